-- +goose Up
create table outbox (
    seq          bigint generated always as identity primary key,
    event_id     text        not null unique,
    subject      text        not null,
    headers      jsonb       not null default '{}',
    payload      bytea       not null,
    created_at   timestamptz not null default clock_timestamp(),
    published_at timestamptz
);

-- What the relay looks for stays small and near, however long the table gets.
create index outbox_unpublished on outbox (seq) where published_at is null;

-- A commit that notifies holds a lock that is one for the whole server, and so keeps all others that notify from sharing
-- a flush of the log. Therefore only one transaction at a time does. The relay looks again shortly after, for those that
-- were at work at the same time; and a process that runs a relay wakes it by itself.
-- +goose StatementBegin
create function outbox_notify() returns trigger language plpgsql as $$
begin
    if pg_try_advisory_xact_lock(hashtextextended('outbox_notify', 0)) then
        notify outbox;
    end if;
    return null;
end
$$;
-- +goose StatementEnd

create trigger outbox_notify after insert on outbox for each statement execute function outbox_notify();

-- +goose Down
drop table outbox;
drop function outbox_notify();
