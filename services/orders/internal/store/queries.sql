-- name: PlaceOrder :exec
WITH placed AS (
    INSERT INTO orders (id, owner, customer_id, status, currency, total, lines, shipping_address, placed_at, updated_at)
    VALUES (
        @id, @owner, @customer_id, @status, @currency, @total, @lines, @shipping_address, @placed_at, @placed_at
    )
    RETURNING id, version, placed_at
), announced AS (
    INSERT INTO announcements (order_id, sealed_order, announced_at)
    SELECT placed.id, @sealed_order::bytea, placed.placed_at FROM placed
)
INSERT INTO order_events (order_id, seq, type, at, message, event_id)
SELECT placed.id, placed.version, @type, placed.placed_at, @message, @event_id::text
FROM placed;

-- name: GetOrder :one
SELECT * FROM orders WHERE id = $1;

-- name: LockOrder :one
SELECT * FROM orders WHERE id = $1 FOR NO KEY UPDATE;

-- name: MoveOrder :exec
-- Changes the state of a locked order and tells of it in the timeline. Of an order that has ended there is nothing to
-- announce any more.
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
), announced AS (
    UPDATE announcements SET announced_at = sqlc.narg(announced_at)
    WHERE order_id = @id AND sqlc.narg(ended_at)::timestamptz IS NULL
), forgotten AS (
    DELETE FROM announcements
    WHERE order_id = @id AND sqlc.narg(ended_at)::timestamptz IS NOT NULL
)
INSERT INTO order_events (order_id, seq, type, at, code, message, data, event_id)
SELECT moved.id, moved.version, @type, moved.updated_at, @code, @message, @data, @event_id::text
FROM moved;

-- name: ListOthers :many
-- Returns which of the orders are in none of the states.
SELECT id FROM orders WHERE id = ANY (@ids::text[]) AND status <> ALL (@states::text[]);

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

-- name: ClaimSilent :many
-- Takes the orders, longest silent first, whose events were given to the outbox before a time, notes that they are given
-- to it now, and returns those events. Orders that somebody else holds are left: they are not silent.
WITH silent AS (
    SELECT order_id FROM announcements
    WHERE announced_at < @before::timestamptz
    ORDER BY announced_at LIMIT 500
    FOR UPDATE SKIP LOCKED
), claimed AS (
    UPDATE announcements AS a SET announced_at = @now::timestamptz
    FROM silent WHERE a.order_id = silent.order_id
    RETURNING a.order_id, a.sealed_order
)
SELECT claimed.order_id, claimed.sealed_order, e.type, e.at, e.data, e.event_id::text AS event_id
FROM claimed JOIN order_events AS e ON e.order_id = claimed.order_id
WHERE e.type = ANY (@types::text[])
ORDER BY e.order_id, e.seq;

-- name: ListEntries :many
SELECT * FROM order_events WHERE order_id = @order_id AND seq > @after ORDER BY seq LIMIT @max;

-- Orders that have not ended are few beside those that have; the index on the status leads to them.
-- name: CountOpen :many
SELECT status, count(*) AS orders, min(placed_at)::timestamptz AS oldest FROM orders
WHERE status = ANY (@statuses::text[]) GROUP BY status;
