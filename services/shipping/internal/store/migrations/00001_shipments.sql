-- +goose Up
CREATE TABLE shipments (
    id              text        PRIMARY KEY,
    order_id        text        NOT NULL,
    fulfilment_id   text        NOT NULL,
    -- Empty, like items and address, where a cancellation came before the request to book.
    warehouse       text        NOT NULL DEFAULT '',
    items           jsonb       NOT NULL DEFAULT '[]',
    address         jsonb,
    state           text        NOT NULL CHECK (state IN (
        'booking', 'booked', 'dispatched', 'in_transit', 'delivered', 'cancelled', 'returned', 'lost')),
    -- Booked by an operator: no saga goes on with it, so the service does.
    manual          boolean     NOT NULL DEFAULT false,
    -- The intent to call it off. While it is set no submission to the carrier begins.
    cancelling      boolean     NOT NULL DEFAULT false,
    -- The submission under way, and when it is over whatever came of it.
    attempt         text,
    attempt_until   timestamptz,
    carrier         text        NOT NULL DEFAULT '',
    carrier_ticket  text,
    -- As far as we know the carrier is going to fetch, or has fetched, what the ticket stands for.
    ticket_live     boolean     NOT NULL DEFAULT false,
    tracking_number text,
    refusal_code    text,
    refusal_message text,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (order_id, fulfilment_id),
    CHECK ((attempt IS NULL) = (attempt_until IS NULL)),
    CHECK ((refusal_code IS NULL) = (refusal_message IS NULL)),
    CHECK (NOT ticket_live OR carrier_ticket IS NOT NULL),
    CHECK (state IN ('booking', 'cancelled') OR (tracking_number IS NOT NULL AND carrier_ticket IS NOT NULL))
);
CREATE INDEX shipments_newest ON shipments (created_at DESC, id DESC);
CREATE INDEX shipments_of_order ON shipments (order_id, created_at DESC, id DESC);
CREATE INDEX shipments_in_state ON shipments (state, created_at DESC, id DESC);
CREATE INDEX shipments_unfinished ON shipments (updated_at)
    WHERE cancelling OR (manual AND state = 'booking') OR (state = 'cancelled' AND ticket_live);

-- +goose Down
DROP TABLE shipments;
