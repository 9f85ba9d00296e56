-- +goose Up
CREATE SCHEMA sandbox;

CREATE TABLE sandbox.bookings (
    ticket          text        PRIMARY KEY,
    key             text        NOT NULL UNIQUE,
    order_id        text        NOT NULL,
    fulfilment_id   text        NOT NULL,
    postal_code     text        NOT NULL,
    tracking_number text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ready_at        timestamptz NOT NULL,
    cancelled_at    timestamptz
);
CREATE INDEX bookings_of_order ON sandbox.bookings (order_id, created_at);

-- How often a key was submitted while the carrier was down.
CREATE TABLE sandbox.misses (
    key   text    PRIMARY KEY,
    times integer NOT NULL
);

CREATE TABLE sandbox.outage (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    cancel boolean NOT NULL
);
INSERT INTO sandbox.outage (cancel) VALUES (true);

-- +goose Down
DROP SCHEMA sandbox CASCADE;
