-- +goose Up
-- Few refunds are pending at a time, of all that there ever were.
CREATE INDEX refunds_pending ON refunds (updated_at) WHERE state = 'pending';

-- +goose Down
DROP INDEX refunds_pending;
