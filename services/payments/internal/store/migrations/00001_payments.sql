-- +goose Up
CREATE TABLE payments (
    id                 text        PRIMARY KEY,
    order_id           text        NOT NULL,
    customer_id        text,                 -- absent where an order was cancelled before anything was paid for it
    state              text        NOT NULL,
    amount             bigint      NOT NULL,
    currency           text        NOT NULL,
    captured           bigint      NOT NULL DEFAULT 0,
    refunded           bigint      NOT NULL DEFAULT 0,
    reference          text,                 -- the provider's name for the charge
    attempt            integer     NOT NULL DEFAULT 1,
    attempt_until      timestamptz,          -- until then a call to the provider may be under way
    capture_started_at timestamptz,          -- set while a capture's answer is awaited
    cancelled_at       timestamptz,          -- set once: from then on no money may be held or taken
    decline_code       text,
    decline_message    text,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    CONSTRAINT payments_order_id_key UNIQUE (order_id),
    CONSTRAINT payments_state_check CHECK (state IN ('authorizing', 'authorized', 'captured', 'partially_refunded',
        'refunded', 'voided', 'declined', 'unknown')),
    CONSTRAINT payments_amount_check CHECK (amount >= 0),
    CONSTRAINT payments_captured_check CHECK (captured BETWEEN 0 AND amount),
    CONSTRAINT payments_refunded_check CHECK (refunded BETWEEN 0 AND captured)
);
CREATE INDEX payments_newest ON payments (created_at DESC, id DESC);
CREATE INDEX payments_newest_by_customer ON payments (customer_id, created_at DESC, id DESC);
CREATE INDEX payments_newest_by_state ON payments (state, created_at DESC, id DESC);

-- A pending refund reserves its amount, so that refunds which run at the same time never exceed what was captured.
CREATE TABLE refunds (
    id              text        PRIMARY KEY,
    payment_id      text        NOT NULL REFERENCES payments (id),
    origin          text        NOT NULL,
    requested_by    text        NOT NULL,
    idempotency_key text        NOT NULL,
    fingerprint     bytea       NOT NULL,
    amount          bigint      NOT NULL,
    reason          text        NOT NULL,
    state           text        NOT NULL,
    attempt_until   timestamptz,             -- until then a call to the provider may be under way
    failure_code    text,
    failure_message text,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    CONSTRAINT refunds_key UNIQUE (origin, requested_by, idempotency_key),
    CONSTRAINT refunds_origin_check CHECK (origin IN ('http', 'cancel')),
    CONSTRAINT refunds_state_check CHECK (state IN ('pending', 'succeeded', 'failed')),
    CONSTRAINT refunds_amount_check CHECK (amount > 0)
);
CREATE INDEX refunds_of_payment ON refunds (payment_id, created_at, id);

-- One row: whether payments are being maintained.
CREATE TABLE fraud_settings (
    single        boolean     PRIMARY KEY DEFAULT true,
    maintenance boolean     NOT NULL DEFAULT false,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    updated_by  text        NOT NULL DEFAULT '',
    CONSTRAINT fraud_settings_single_check CHECK (single)
);
INSERT INTO fraud_settings DEFAULT VALUES;

-- A currency without a row has no limit.
CREATE TABLE fraud_limits (
    currency text   PRIMARY KEY,
    amount   bigint NOT NULL,
    CONSTRAINT fraud_limits_amount_check CHECK (amount >= 0)
);

-- What each customer's live payments come to: asked for and not declined, voided or refunded.
CREATE TABLE exposure (
    customer_id text   NOT NULL,
    currency    text   NOT NULL,
    amount      bigint NOT NULL,
    PRIMARY KEY (customer_id, currency),
    CONSTRAINT exposure_amount_check CHECK (amount >= 0)
);

-- +goose Down
DROP TABLE exposure;
DROP TABLE fraud_limits;
DROP TABLE fraud_settings;
DROP TABLE refunds;
DROP TABLE payments;
