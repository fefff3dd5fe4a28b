-- What the WAL reader sees: inserted `wal` rows. The publication must be older than every slot that reads it.
--
-- With this identity and this filter PostgreSQL turns the flip of a row from `direct` to `wal` into an INSERT, and an outcome
-- into an UPDATE, which the reader passes over. Identity FULL or the default would make it refuse every update.

CREATE UNIQUE INDEX order_items_identity ON order_items (order_item_id, publish_via);
ALTER TABLE order_items REPLICA IDENTITY USING INDEX order_items_identity;

CREATE PUBLICATION kartshoppe_order_items
    FOR TABLE order_items (order_item_id, publish_via, order_id, product_id, quantity, traceparent)
    WHERE (publish_via = 'wal')
    WITH (publish = 'insert,update');
