-- +goose Up

-- version counts the entries of the order's timeline: whoever adds one holds the order's row, so entries get their place
-- in the order in which they are committed.
CREATE TABLE orders (
    id                text COLLATE "C" PRIMARY KEY,
    owner             text COLLATE "C" NOT NULL,
    customer_id       text COLLATE "C" NOT NULL,
    status            text COLLATE "C" NOT NULL,
    payment_status    text COLLATE "C" NOT NULL DEFAULT 'none',
    fulfilment_status text COLLATE "C" NOT NULL DEFAULT 'none',
    currency          text COLLATE "C" NOT NULL,
    total             bigint NOT NULL CHECK (total > 0),
    lines             jsonb NOT NULL,
    shipping_address  jsonb NOT NULL,
    reason_code       text NOT NULL DEFAULT '',
    reason_message    text NOT NULL DEFAULT '',
    placed_at         timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    ended_at          timestamptz,
    version           bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 80);

-- Lists are read backwards, newest first. New rows go to the right end of each index, which is the cheap one.
CREATE INDEX orders_placed ON orders (placed_at, id);
CREATE INDEX orders_owner ON orders (owner, placed_at, id);
CREATE INDEX orders_owner_status ON orders (owner, status, placed_at, id);
CREATE INDEX orders_customer ON orders (customer_id, placed_at, id);
CREATE INDEX orders_status ON orders (status, placed_at, id);

-- event_id is that of the event which the entry tells of: a second delivery finds it taken.
CREATE TABLE order_events (
    order_id text COLLATE "C" NOT NULL REFERENCES orders (id) ON DELETE CASCADE,
    seq      bigint NOT NULL,
    type     text NOT NULL,
    at       timestamptz NOT NULL,
    code     text NOT NULL DEFAULT '',
    message  text NOT NULL,
    data     jsonb NOT NULL DEFAULT '{}',
    event_id text COLLATE "C" UNIQUE,
    PRIMARY KEY (order_id, seq)
);

-- +goose Down
DROP TABLE order_events;
DROP TABLE orders;
