-- name: InsertShipment :one
-- Returns no row where the fulfilment has a shipment already.
INSERT INTO shipments (id, order_id, fulfilment_id, warehouse, items, address, state, manual)
VALUES (@id, @order_id, @fulfilment_id, @warehouse, @items, @address, @state, @manual)
ON CONFLICT (order_id, fulfilment_id) DO NOTHING
RETURNING id;

-- name: GetShipment :one
SELECT sqlc.embed(shipments), (coalesce(attempt_until > clock_timestamp(), false))::boolean AS attempt_live
FROM shipments WHERE id = @id;

-- name: GetShipmentOf :one
SELECT sqlc.embed(shipments), (coalesce(attempt_until > clock_timestamp(), false))::boolean AS attempt_live
FROM shipments WHERE order_id = @order_id AND fulfilment_id = @fulfilment_id;

-- name: LockShipment :one
SELECT sqlc.embed(shipments), (coalesce(attempt_until > clock_timestamp(), false))::boolean AS attempt_live
FROM shipments WHERE id = @id FOR UPDATE;

-- name: UpdateShipment :one
-- A new attempt is over lease_seconds from now by the database's clock, the only one that all replicas share.
UPDATE shipments SET
    state = @state, cancelling = @cancelling, carrier = @carrier, carrier_ticket = @carrier_ticket,
    ticket_live = @ticket_live, tracking_number = @tracking_number, refusal_code = @refusal_code,
    refusal_message = @refusal_message,
    attempt_until = CASE
        WHEN sqlc.narg(attempt)::text IS NULL THEN NULL
        WHEN sqlc.narg(attempt)::text = attempt THEN attempt_until
        ELSE clock_timestamp() + make_interval(secs => @lease_seconds::float8)
    END,
    attempt = sqlc.narg(attempt),
    updated_at = clock_timestamp()
WHERE id = @id
RETURNING updated_at;

-- name: ListShipments :many
SELECT * FROM shipments
WHERE (created_at, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY created_at DESC, id DESC LIMIT @max_rows;

-- name: ListShipmentsInState :many
SELECT * FROM shipments
WHERE state = @state AND (created_at, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY created_at DESC, id DESC LIMIT @max_rows;

-- name: ListShipmentsOfOrder :many
-- An order has few shipments, so the state is a filter on what the index finds.
SELECT * FROM shipments
WHERE order_id = @order_id AND (created_at, id) < (@before_time::timestamptz, @before_id::text)
    AND state = coalesce(sqlc.narg(state)::text, state)
ORDER BY created_at DESC, id DESC LIMIT @max_rows;

-- name: ListUnfinished :many
SELECT id FROM shipments
WHERE (cancelling OR (manual AND state = 'booking') OR (state = 'cancelled' AND ticket_live))
    AND updated_at < clock_timestamp() - make_interval(secs => @idle_seconds::float8)
ORDER BY updated_at LIMIT @max_rows;
