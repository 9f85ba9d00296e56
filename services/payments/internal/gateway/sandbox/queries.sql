-- name: Charge :one
SELECT * FROM sandbox.charges WHERE key = $1;

-- name: ChargeForUpdate :one
SELECT * FROM sandbox.charges WHERE key = $1 FOR UPDATE;

-- name: InsertCharge :one
INSERT INTO sandbox.charges (key, reference, order_id, token, status, decline, currency, authorized, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
RETURNING *;

-- name: CaptureCharge :exec
UPDATE sandbox.charges SET status = 'captured', captured = authorized WHERE key = $1;

-- name: VoidCharge :exec
UPDATE sandbox.charges SET status = 'voided', voided = authorized WHERE key = $1;

-- name: RefundCharge :exec
UPDATE sandbox.charges SET refunded = refunded + @refunded WHERE key = @key;

-- name: InsertRefund :exec
INSERT INTO sandbox.refunds (key, charge_key, amount, created_at) VALUES ($1, $2, $3, $4);

-- name: RefundsOfCharge :many
SELECT * FROM sandbox.refunds WHERE charge_key = $1 ORDER BY created_at;

-- name: CountAttempt :one
INSERT INTO sandbox.attempts (key, count) VALUES ($1, 1)
ON CONFLICT (key) DO UPDATE SET count = sandbox.attempts.count + 1
RETURNING count;

-- name: Outage :one
SELECT void FROM sandbox.outage;

-- name: SetOutage :exec
UPDATE sandbox.outage SET void = $1;

-- name: NewestCharges :many
SELECT * FROM sandbox.charges
WHERE (created_at, reference) < (@before_time::timestamptz, @before_reference::text)
ORDER BY created_at DESC, reference DESC
LIMIT @max_rows;

-- name: NewestChargesOfOrder :many
SELECT * FROM sandbox.charges
WHERE order_id = @order_id AND (created_at, reference) < (@before_time::timestamptz, @before_reference::text)
ORDER BY created_at DESC, reference DESC
LIMIT @max_rows;
