-- Items that the WAL reader published and that nobody will handle, as somebody moved the inventory's position over them, are taken back:
-- asked about like direct ones, and published anew after the answer (docs/adr).

ALTER TABLE order_items
    ADD COLUMN IF NOT EXISTS inserted_before pg_lsn,  -- the end of the WAL when the item was seen to wait: its INSERT lies before
    ADD COLUMN IF NOT EXISTS taken_back      boolean; -- from then until it is published anew; only answers to later probes count

-- A process of an earlier version would publish such an item anew after any answer: it is refused.
ALTER TABLE order_items
    ADD CONSTRAINT order_items_taken_back_is_direct CHECK (taken_back IS NULL OR publish_via = 'direct') NOT VALID;

CREATE INDEX IF NOT EXISTS order_items_seen_waiting ON order_items (order_item_id) WHERE inserted_before IS NOT NULL AND outcome IS NULL;
