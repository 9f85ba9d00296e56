-- +goose Up
create table inbox (
    consumer   text        not null,
    event_id   text        not null,
    handled_at timestamptz not null default clock_timestamp(),
    primary key (consumer, event_id)
);

-- For the removal of what no stream still holds.
create index inbox_handled_at on inbox (handled_at);

-- +goose Down
drop table inbox;
