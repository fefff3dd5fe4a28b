-- What tracing systems keep beside `traceparent` travels with it, through the WAL as well. Source: W3C Trace Context, section 3.3.

ALTER TABLE order_items ADD COLUMN tracestate text;
ALTER TABLE order_items ADD CONSTRAINT order_items_tracestate_short CHECK (length(tracestate) <= 512) NOT VALID;

-- With the same filter as before.
ALTER PUBLICATION kartshoppe_order_items
    SET TABLE order_items (order_item_id, publish_via, order_id, product_id, quantity, traceparent, tracestate)
    WHERE (publish_via = 'wal');
