-- +goose Up

-- Codes are compared byte by byte (COLLATE "C"): it is faster, and the order is the one that Go compares by.

CREATE TABLE warehouses (
    code       text COLLATE "C" PRIMARY KEY,
    -- 1 is asked first.
    priority   integer     NOT NULL DEFAULT 100 CHECK (priority BETWEEN 1 AND 1000),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- An article is known once it has a row here, be it with nothing on hand; rows are never deleted.
CREATE TABLE stock (
    sku        text COLLATE "C" NOT NULL,
    warehouse  text COLLATE "C" NOT NULL REFERENCES warehouses (code),
    on_hand    bigint           NOT NULL CHECK (on_hand <= 1000000000000),
    reserved   bigint           NOT NULL DEFAULT 0,
    updated_at timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (sku, warehouse),
    CONSTRAINT stock_reserved_within_on_hand CHECK (0 <= reserved AND reserved <= on_hand)
) WITH (fillfactor = 80); -- Room on the page keeps the frequent updates off the indexes.

CREATE INDEX stock_by_warehouse ON stock (warehouse, sku);

CREATE TABLE reservations (
    id         text COLLATE "C" PRIMARY KEY,
    order_id   text COLLATE "C" NOT NULL CONSTRAINT reservations_order_id UNIQUE,
    state      text             NOT NULL CHECK (state IN ('held', 'committed', 'released', 'expired')),
    -- What was asked for: [{"sku": "…", "quantity": 1}]. Empty in the mark that Release leaves where nothing was
    -- held.
    lines      jsonb            NOT NULL,
    expires_at timestamptz      NOT NULL,
    created_at timestamptz      NOT NULL DEFAULT now(),
    updated_at timestamptz      NOT NULL DEFAULT now()
);

CREATE INDEX reservations_newest ON reservations (created_at DESC, id DESC);
CREATE INDEX reservations_by_state ON reservations (state, created_at DESC, id DESC);
CREATE INDEX reservations_due ON reservations (expires_at) WHERE state = 'held';

-- Where the pieces come from. A warehouse is one fulfilment, an article is one line of it.
CREATE TABLE reservation_lines (
    reservation_id text COLLATE "C" NOT NULL REFERENCES reservations (id),
    fulfilment     integer          NOT NULL CHECK (fulfilment > 0),
    sku            text COLLATE "C" NOT NULL,
    warehouse      text COLLATE "C" NOT NULL,
    quantity       bigint           NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (reservation_id, fulfilment, sku)
);

-- +goose Down

DROP TABLE reservation_lines;
DROP TABLE reservations;
DROP TABLE stock;
DROP TABLE warehouses;
