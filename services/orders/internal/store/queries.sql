-- name: PlaceOrder :exec
WITH placed AS (
    INSERT INTO orders (id, owner, customer_id, status, currency, total, lines, shipping_address, placed_at, updated_at)
    VALUES (
        @id, @owner, @customer_id, @status, @currency, @total, @lines, @shipping_address, @placed_at, @placed_at
    )
    RETURNING id, version, placed_at
)
INSERT INTO order_events (order_id, seq, type, at, message, event_id)
SELECT placed.id, placed.version, @type, placed.placed_at, @message, @event_id::text
FROM placed;

-- name: GetOrder :one
SELECT * FROM orders WHERE id = $1;

-- name: LockOrder :one
SELECT * FROM orders WHERE id = $1 FOR NO KEY UPDATE;

-- name: MoveOrder :exec
-- Changes the state of a locked order, tells of it in the timeline, and wakes whoever waits for the order to settle.
WITH moved AS (
    UPDATE orders
    SET status         = @status,
        reason_code    = @reason_code,
        reason_message = @reason_message,
        updated_at     = @updated_at,
        ended_at       = sqlc.narg(ended_at),
        version        = version + 1
    WHERE id = @id
    RETURNING id, version, updated_at
), told AS (
    INSERT INTO order_events (order_id, seq, type, at, code, message, data, event_id)
    SELECT moved.id, moved.version, @type, moved.updated_at, @code, @message, @data, @event_id::text
    FROM moved
)
SELECT pg_notify('order_settled', moved.id) FROM moved WHERE @settled::boolean;

-- name: AddEntry :one
-- Adds an entry to an order's timeline and carries the statuses beside the order's own forward: each is replaced only
-- where it is one of those that the new one may follow. An entry for an event that is there already, or of an order that
-- does not exist, is not added; the result is the number of entries that were.
WITH target AS (
    UPDATE orders
    SET payment_status    = CASE WHEN payment_status = ANY (@payment_after::text[])
                                 THEN @payment_status ELSE payment_status END,
        fulfilment_status = CASE WHEN fulfilment_status = ANY (@fulfilment_after::text[])
                                 THEN @fulfilment_status ELSE fulfilment_status END,
        updated_at        = greatest(updated_at, @now),
        version           = version + 1
    WHERE id = @order_id
      AND NOT EXISTS (SELECT 1 FROM order_events AS e WHERE e.event_id = sqlc.narg(event_id)::text)
    RETURNING id, version
), told AS (
    INSERT INTO order_events (order_id, seq, type, at, code, message, data, event_id)
    SELECT target.id, target.version, @type, @at, @code, @message, @data, sqlc.narg(event_id)::text
    FROM target
    RETURNING 1
)
SELECT count(*) FROM told;

-- name: ListEntries :many
SELECT * FROM order_events WHERE order_id = @order_id AND seq > @after ORDER BY seq LIMIT @max;
