-- What the WAL reader must never meet: rows that can be neither published nor settled. Tables of the existing platform may allow them, or
-- a hand at psql may write them. Older rows stay as they are.

-- Each id is 1 to 50 characters and none of them a control character, as everywhere else (domain/ids.rs). Written so that it costs less
-- than a microsecond a row.
ALTER TABLE order_items
    ADD CONSTRAINT order_items_ids_usable CHECK (
        order_id IS NOT NULL
        AND length(order_item_id) BETWEEN 1 AND 50
        AND length(order_id) BETWEEN 1 AND 50
        AND length(product_id) BETWEEN 1 AND 50
        AND (order_item_id || order_id || product_id) !~ '[\u0001-\u001F\u007F-\u009F]'
    ) NOT VALID;

-- What a row publishes must stay small: over TLS the reader's client library lets a message of tens of kilobytes lie until the next one.
ALTER TABLE order_items
    ADD CONSTRAINT order_items_traceparent_short CHECK (length(traceparent) <= 256) NOT VALID;
