-- +goose Up

-- What it takes to tell the saga of an order again, until the order has ended; then the row is deleted, and with it the
-- last copy of the payment token that this database holds beside the outbox. It is a table of its own, because orders
-- are updated often and read by everybody. announced_at is when the order's events were last given to the outbox; null
-- while the order waits for an operator, who is told otherwise. Orders that are older than the table have no row.
CREATE TABLE announcements (
    order_id     text COLLATE "C" PRIMARY KEY REFERENCES orders (id) ON DELETE CASCADE,
    sealed_order bytea NOT NULL,
    announced_at timestamptz
);

CREATE INDEX announcements_announced ON announcements (announced_at);

-- +goose Down
DROP TABLE announcements;
