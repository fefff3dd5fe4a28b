-- When a line came into the cart that became this item, in epoch milliseconds as carts keep it; empty for rows of other hands.
ALTER TABLE order_items ADD COLUMN IF NOT EXISTS added_at_ms bigint;

-- Old keys are swept by age.
CREATE INDEX IF NOT EXISTS idempotency_keys_age ON idempotency_keys (created_at);
