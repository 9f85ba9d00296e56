-- name: PaymentForUpdate :one
SELECT * FROM payments WHERE id = $1 FOR UPDATE;

-- name: PaymentOfOrderForUpdate :one
SELECT * FROM payments WHERE order_id = $1 FOR UPDATE;

-- name: Payment :one
SELECT * FROM payments WHERE id = $1;

-- name: PaymentOfOrder :one
SELECT * FROM payments WHERE order_id = $1;

-- name: InsertPayment :execrows
INSERT INTO payments (id, order_id, customer_id, state, amount, currency, attempt_until, cancelled_at, created_at,
    updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
ON CONFLICT (order_id) DO NOTHING;

-- name: UpdatePayment :exec
UPDATE payments
SET state = $2, captured = $3, refunded = $4, reference = $5, attempt = $6, attempt_until = $7,
    capture_started_at = $8, cancelled_at = $9, decline_code = $10, decline_message = $11, updated_at = $12
WHERE id = $1;

-- name: NewestPayments :many
SELECT * FROM payments
WHERE (created_at, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY created_at DESC, id DESC
LIMIT @max_rows;

-- name: NewestPaymentsOfCustomer :many
SELECT * FROM payments
WHERE customer_id = @customer_id::text AND (created_at, id) < (@before_time::timestamptz, @before_id::text)
  AND (sqlc.narg('state')::text IS NULL OR state = sqlc.narg('state'))
ORDER BY created_at DESC, id DESC
LIMIT @max_rows;

-- name: NewestPaymentsInState :many
SELECT * FROM payments
WHERE state = @state AND (created_at, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY created_at DESC, id DESC
LIMIT @max_rows;

-- name: RefundsOfPayment :many
SELECT * FROM refunds WHERE payment_id = $1 ORDER BY created_at, id;

-- name: RefundByKey :one
SELECT * FROM refunds WHERE origin = $1 AND requested_by = $2 AND idempotency_key = $3;

-- name: IdleRefunds :many
SELECT id, payment_id FROM refunds
WHERE state = 'pending' AND updated_at <= @idle_since
ORDER BY updated_at
LIMIT @max_rows;

-- name: RefundForUpdate :one
SELECT * FROM refunds WHERE id = $1 FOR UPDATE;

-- name: InsertRefund :one
INSERT INTO refunds (id, payment_id, origin, requested_by, idempotency_key, fingerprint, amount, reason, state,
    attempt_until, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', $9, $10, $10)
RETURNING *;

-- name: UpdateRefund :one
UPDATE refunds
SET state = $2, attempt_until = $3, failure_code = $4, failure_message = $5, updated_at = $6
WHERE id = $1
RETURNING *;

-- name: FraudSettings :one
SELECT * FROM fraud_settings;

-- name: UpdateFraudSettings :exec
UPDATE fraud_settings SET maintenance = $1, updated_by = $2, updated_at = $3;

-- name: FraudLimits :many
SELECT * FROM fraud_limits ORDER BY currency;

-- name: DeleteFraudLimits :exec
DELETE FROM fraud_limits;

-- name: InsertFraudLimit :exec
INSERT INTO fraud_limits (currency, amount) VALUES ($1, $2);

-- name: OpenExposure :exec
INSERT INTO exposure (customer_id, currency, amount) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING;

-- name: RaiseExposure :execrows
-- Touches no row where the limit of the currency would be exceeded. Subtracting avoids an overflow.
UPDATE exposure
SET amount = exposure.amount + @added
WHERE customer_id = @customer_id AND exposure.currency = @currency
  AND exposure.amount <= COALESCE((SELECT l.amount FROM fraud_limits l WHERE l.currency = @currency),
      9223372036854775807) - @added;

-- name: LowerExposure :exec
UPDATE exposure SET amount = amount - @removed WHERE customer_id = @customer_id AND currency = @currency;
