-- Orders that are older than announcements and have not ended get their row from the event that is still in the outbox,
-- where a published one is kept for seven days. The order is locked, so that it cannot end meanwhile and leave its
-- payment token behind; nothing is skipped, or what somebody else holds would be taken for done.
WITH forgotten AS (
    SELECT o.id,
           decode(convert_from(placed.payload, 'UTF8')::jsonb -> 'data' ->> 'sealed_order', 'base64') AS sealed_order,
           CASE WHEN o.status <> 'needs_attention' THEN placed.created_at END AS announced_at
    FROM orders AS o
    JOIN order_events AS e ON e.order_id = o.id AND e.type = 'order.placed'
    JOIN outbox AS placed ON placed.event_id = e.event_id
    WHERE o.status IN ('pending', 'cancelling', 'needs_attention')
      AND NOT EXISTS (SELECT FROM announcements AS a WHERE a.order_id = o.id)
    LIMIT $1
    FOR NO KEY UPDATE OF o
)
INSERT INTO announcements (order_id, sealed_order, announced_at)
SELECT id, sealed_order, announced_at FROM forgotten;
