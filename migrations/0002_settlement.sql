-- Our columns beside the platform's: who publishes an item, what became of it, and whose order it is.

-- Rows that are here already were dealt with before KartShoppe came: the first default marks them, the second is for new rows.
ALTER TABLE order_items
    ADD COLUMN IF NOT EXISTS publish_via      text NOT NULL DEFAULT 'history',
    ADD COLUMN IF NOT EXISTS expires_at       timestamptz,
    ADD COLUMN IF NOT EXISTS inserted_at      timestamptz,
    ADD COLUMN IF NOT EXISTS traceparent      text,
    ADD COLUMN IF NOT EXISTS product_name     text,
    ADD COLUMN IF NOT EXISTS outcome          text,
    ADD COLUMN IF NOT EXISTS allocated        bigint,
    ADD COLUMN IF NOT EXISTS shortfall        bigint,
    ADD COLUMN IF NOT EXISTS outcome_event_id text,
    ADD COLUMN IF NOT EXISTS outcome_reason   text,
    ADD COLUMN IF NOT EXISTS settled_at       timestamptz,
    ADD COLUMN IF NOT EXISTS last_probe_at    timestamptz;
ALTER TABLE order_items
    ALTER COLUMN publish_via SET DEFAULT 'wal',
    ALTER COLUMN inserted_at SET DEFAULT clock_timestamp();

-- created_at stays empty for the orders that were here before; that is how they are told from ours.
ALTER TABLE orders
    ADD COLUMN IF NOT EXISTS session_id   text,
    ADD COLUMN IF NOT EXISTS payment_info text,
    ADD COLUMN IF NOT EXISTS created_at   timestamptz,
    ADD COLUMN IF NOT EXISTS updated_at   timestamptz;
ALTER TABLE orders
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();

-- NOT VALID: new rows must keep these, older rows of the platform may not. NaN is a numeric, and greater than every number.
ALTER TABLE order_items
    ADD CONSTRAINT order_items_publish_via_known CHECK (publish_via IN ('wal', 'direct', 'history')),
    ADD CONSTRAINT order_items_direct_expires CHECK (publish_via <> 'direct' OR expires_at IS NOT NULL),
    ADD CONSTRAINT order_items_quantity_positive CHECK (quantity IS NOT NULL AND quantity >= 1) NOT VALID,
    ADD CONSTRAINT order_items_product_named CHECK (product_id IS NOT NULL AND product_id <> '') NOT VALID,
    ADD CONSTRAINT order_items_money_sane
        CHECK (unit_price >= 0 AND unit_price <> 'NaN' AND line_total >= 0 AND line_total <> 'NaN' AND discount <> 'NaN') NOT VALID,
    ADD CONSTRAINT order_items_outcome_known CHECK (outcome IN ('ALLOCATED', 'SHORT', 'REJECTED')),
    ADD CONSTRAINT order_items_outcome_whole
        CHECK (num_nulls(outcome, allocated, shortfall, outcome_event_id, settled_at) IN (0, 5));
ALTER TABLE orders
    ADD CONSTRAINT orders_money_sane
        CHECK (subtotal >= 0 AND subtotal <> 'NaN' AND total >= 0 AND total <> 'NaN'
               AND tax >= 0 AND tax <> 'NaN' AND shipping >= 0 AND shipping <> 'NaN') NOT VALID;

CREATE INDEX IF NOT EXISTS idx_order_items_order ON order_items (order_id);
CREATE INDEX orders_of_session ON orders (session_id, created_at DESC) WHERE session_id IS NOT NULL;
-- Items that wait: for rescue (direct, oldest expiry first) and for whoever asks what the WAL reader owes.
CREATE INDEX order_items_waiting ON order_items (publish_via, expires_at) WHERE outcome IS NULL AND publish_via <> 'history';
