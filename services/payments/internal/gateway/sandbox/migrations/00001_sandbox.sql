-- +goose Up
CREATE SCHEMA sandbox;

CREATE TABLE sandbox.charges (
    key        text        PRIMARY KEY,
    reference  text        NOT NULL,
    order_id   text        NOT NULL,
    token      text        NOT NULL,
    status     text        NOT NULL,
    decline    text        NOT NULL DEFAULT '',
    currency   text        NOT NULL,
    authorized bigint      NOT NULL,
    captured   bigint      NOT NULL DEFAULT 0,
    refunded   bigint      NOT NULL DEFAULT 0,
    voided     bigint      NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    CONSTRAINT charges_status_check CHECK (status IN ('authorized', 'captured', 'voided', 'declined')),
    CONSTRAINT charges_captured_check CHECK (captured BETWEEN 0 AND authorized),
    CONSTRAINT charges_refunded_check CHECK (refunded BETWEEN 0 AND captured)
);
CREATE UNIQUE INDEX charges_reference ON sandbox.charges (reference);
CREATE INDEX charges_newest ON sandbox.charges (created_at DESC, reference DESC);
CREATE INDEX charges_newest_of_order ON sandbox.charges (order_id, created_at DESC, reference DESC);

CREATE TABLE sandbox.refunds (
    key        text        PRIMARY KEY,
    charge_key text        NOT NULL REFERENCES sandbox.charges (key),
    amount     bigint      NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT refunds_amount_check CHECK (amount > 0)
);
CREATE INDEX refunds_of_charge ON sandbox.refunds (charge_key, created_at);

-- How often something was asked for; some tokens fail the first time only.
CREATE TABLE sandbox.attempts (
    key   text    PRIMARY KEY,
    count integer NOT NULL
);

-- One row: which calls are down for the tokens that depend on it.
CREATE TABLE sandbox.outage (
    single boolean PRIMARY KEY DEFAULT true,
    void boolean NOT NULL DEFAULT true,
    CONSTRAINT outage_single_check CHECK (single)
);
INSERT INTO sandbox.outage DEFAULT VALUES;

-- +goose Down
DROP SCHEMA sandbox CASCADE;
