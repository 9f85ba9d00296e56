-- name: OpenReservation :one
-- Locks are taken in one order everywhere: warehouses, reservations, stock; rows of stock by (sku, warehouse). Whoever
-- keeps to it cannot deadlock.
--
-- OpenReservation returns no row where the order has a reservation already. It waits for one that is being made.
INSERT INTO reservations (id, order_id, state, lines, expires_at)
VALUES (@id, @order_id, @state, @lines, now() + make_interval(secs => @hold_seconds::float8))
ON CONFLICT (order_id) DO NOTHING
RETURNING *;

-- name: LockReservation :one
SELECT * FROM reservations WHERE order_id = @order_id FOR UPDATE;

-- name: MoveReservation :one
UPDATE reservations SET state = @state, updated_at = now() WHERE id = @id
RETURNING *;

-- name: HoldAgain :one
UPDATE reservations
SET state = 'held', updated_at = now(), expires_at = now() + make_interval(secs => @hold_seconds::float8)
WHERE id = @id
RETURNING *;

-- name: ExpireOverdue :many
WITH overdue AS MATERIALIZED (
    SELECT id FROM reservations WHERE state = 'held' AND expires_at <= now()
    ORDER BY expires_at LIMIT @batch_size FOR UPDATE SKIP LOCKED
)
UPDATE reservations r SET state = 'expired', updated_at = now() FROM overdue WHERE r.id = overdue.id
RETURNING r.*;

-- name: ReservationLines :many
SELECT * FROM reservation_lines WHERE reservation_id = ANY (@reservation_ids::text[])
ORDER BY reservation_id, fulfilment, sku;

-- name: ForgetLines :exec
DELETE FROM reservation_lines WHERE reservation_id = @reservation_id;

-- name: LockStock :many
SELECT s.sku, s.warehouse, w.priority, (s.on_hand - s.reserved)::bigint AS available
FROM stock s JOIN warehouses w ON w.code = s.warehouse
WHERE s.sku = ANY (@skus::text[])
ORDER BY s.sku, s.warehouse
FOR NO KEY UPDATE OF s;

-- name: HoldStock :exec
-- HoldStock needs the lock of LockStock.
WITH taken AS (
    SELECT unnest(@fulfilments::integer[]) AS fulfilment, unnest(@skus::text[]) AS sku,
           unnest(@warehouses::text[]) AS warehouse, unnest(@quantities::bigint[]) AS quantity
), kept AS (
    INSERT INTO reservation_lines (reservation_id, fulfilment, sku, warehouse, quantity)
    SELECT @reservation_id, fulfilment, sku, warehouse, quantity FROM taken
)
UPDATE stock s SET reserved = s.reserved + t.quantity, updated_at = now()
FROM taken t WHERE s.sku = t.sku AND s.warehouse = t.warehouse;

-- name: ReturnStock :exec
WITH held AS (
    SELECT sku, warehouse, sum(quantity)::bigint AS quantity FROM reservation_lines
    WHERE reservation_id = ANY (@reservation_ids::text[]) GROUP BY sku, warehouse
), locked AS (
    SELECT s.sku, s.warehouse, held.quantity FROM stock s JOIN held ON held.sku = s.sku AND held.warehouse = s.warehouse
    ORDER BY s.sku, s.warehouse FOR NO KEY UPDATE OF s
)
UPDATE stock s SET reserved = s.reserved - l.quantity, updated_at = now()
FROM locked l WHERE s.sku = l.sku AND s.warehouse = l.warehouse;

-- name: CommitStock :exec
-- The lines are materialized because a merge join, which statistics can make look cheap, would read all of the stock.
WITH lines AS MATERIALIZED (
    SELECT sku, warehouse, quantity FROM reservation_lines WHERE reservation_id = @reservation_id
), locked AS (
    SELECT s.sku, s.warehouse, l.quantity FROM stock s JOIN lines l ON l.sku = s.sku AND l.warehouse = s.warehouse
    ORDER BY s.sku, s.warehouse FOR NO KEY UPDATE OF s
)
UPDATE stock s SET on_hand = s.on_hand - l.quantity, reserved = s.reserved - l.quantity, updated_at = now()
FROM locked l WHERE s.sku = l.sku AND s.warehouse = l.warehouse;

-- name: LockStockOfReservation :many
WITH lines AS MATERIALIZED (
    SELECT sku, warehouse, quantity FROM reservation_lines WHERE reservation_id = @reservation_id
)
SELECT l.sku, l.warehouse, l.quantity, (s.on_hand - s.reserved)::bigint AS available
FROM stock s JOIN lines l ON l.sku = s.sku AND l.warehouse = s.warehouse
ORDER BY s.sku, s.warehouse
FOR NO KEY UPDATE OF s;

-- name: TakeStock :exec
-- TakeStock takes what is not held from the shelves. It needs the lock of LockStockOfReservation.
WITH lines AS MATERIALIZED (
    SELECT sku, warehouse, quantity FROM reservation_lines WHERE reservation_id = @reservation_id
)
UPDATE stock s SET on_hand = s.on_hand - l.quantity, updated_at = now()
FROM lines l WHERE s.sku = l.sku AND s.warehouse = l.warehouse;

-- name: ReservationByID :one
SELECT * FROM reservations WHERE id = @id;

-- name: ReservationByOrder :one
SELECT * FROM reservations WHERE order_id = @order_id;

-- name: NewestReservations :many
SELECT * FROM reservations
WHERE (created_at, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY created_at DESC, id DESC LIMIT @row_limit;

-- name: NewestReservationsInState :many
SELECT * FROM reservations
WHERE state = @state AND (created_at, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY created_at DESC, id DESC LIMIT @row_limit;

-- name: AddWarehouse :exec
INSERT INTO warehouses (code) VALUES (@code) ON CONFLICT (code) DO NOTHING;

-- name: PutWarehouse :one
INSERT INTO warehouses (code, priority) VALUES (@code, @priority)
ON CONFLICT (code) DO UPDATE SET priority = excluded.priority, updated_at = now()
RETURNING *;

-- name: Warehouses :many
SELECT * FROM warehouses WHERE code > @after_code::text ORDER BY code LIMIT @row_limit;

-- name: AddStock :execrows
INSERT INTO stock (sku, warehouse, on_hand) VALUES (@sku, @warehouse, 0) ON CONFLICT (sku, warehouse) DO NOTHING;

-- name: LockStockItem :one
SELECT * FROM stock WHERE sku = @sku AND warehouse = @warehouse FOR NO KEY UPDATE;

-- name: SetOnHand :one
UPDATE stock SET on_hand = @on_hand, updated_at = now() WHERE sku = @sku AND warehouse = @warehouse
RETURNING *;

-- name: StockOfSKU :many
SELECT * FROM stock WHERE sku = @sku AND warehouse > @after_warehouse::text
ORDER BY warehouse LIMIT @row_limit;

-- name: StockOfWarehouse :many
SELECT * FROM stock WHERE warehouse = @warehouse AND sku > @after_sku::text ORDER BY sku LIMIT @row_limit;

-- name: StockItem :one
SELECT * FROM stock WHERE sku = @sku AND warehouse = @warehouse;

-- name: Stock :many
SELECT * FROM stock WHERE (sku, warehouse) > (@after_sku::text, @after_warehouse::text)
ORDER BY sku, warehouse LIMIT @row_limit;

-- name: TransactionTime :one
SELECT now()::timestamptz;

-- name: CountHeld :one
SELECT count(*) FROM reservations WHERE state = 'held';
