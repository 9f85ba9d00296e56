-- name: InsertBooking :one
-- Returns no row where the key was submitted before.
INSERT INTO sandbox.bookings (ticket, key, order_id, fulfilment_id, postal_code, tracking_number, ready_at)
VALUES (@ticket, @key, @order_id, @fulfilment_id, @postal_code, @tracking_number,
    clock_timestamp() + make_interval(secs => @ready_in_seconds::float8))
ON CONFLICT (key) DO NOTHING
RETURNING ticket;

-- name: FindTicket :one
SELECT ticket FROM sandbox.bookings WHERE key = @key;

-- name: GetBooking :one
SELECT *, (ready_at <= clock_timestamp())::boolean AS ready FROM sandbox.bookings WHERE ticket = @ticket;

-- name: CancelBooking :exec
UPDATE sandbox.bookings SET cancelled_at = coalesce(cancelled_at, clock_timestamp()) WHERE ticket = @ticket;

-- name: ListBookings :many
SELECT *, (ready_at <= clock_timestamp())::boolean AS ready FROM sandbox.bookings
WHERE order_id = @order_id ORDER BY created_at LIMIT @max_rows;

-- name: CountMiss :one
INSERT INTO sandbox.misses (key, times) VALUES (@key, 1)
ON CONFLICT (key) DO UPDATE SET times = misses.times + 1
RETURNING times;

-- name: GetOutage :one
SELECT cancel FROM sandbox.outage;

-- name: SetOutage :exec
UPDATE sandbox.outage SET cancel = @cancel;
