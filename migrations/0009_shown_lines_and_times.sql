-- What each line of a cart showed when it was added, by product id: {"MUG": {"name": …, "price": cents, "image_url": …}}. A product that is
-- no longer sold is still called by its name.
ALTER TABLE carts ADD COLUMN IF NOT EXISTS shown jsonb NOT NULL DEFAULT '{}';

-- When the record that orders an item was appended to the log, and when the inventory's answer was, in epoch milliseconds of the log's
-- clock. Both come with the answer; empty for older rows.
ALTER TABLE order_items
    ADD COLUMN IF NOT EXISTS published_at_ms bigint,
    ADD COLUMN IF NOT EXISTS applied_at_ms   bigint;
