-- +goose Up
create table idempotency_keys (
    caller      text        not null,
    key         text        not null,
    fingerprint bytea       not null,
    response    jsonb       not null,
    created_at  timestamptz not null,
    expires_at  timestamptz not null,
    primary key (caller, key)
);

-- For the removal of what has expired.
create index idempotency_keys_expires_at on idempotency_keys (expires_at);

-- +goose Down
drop table idempotency_keys;
