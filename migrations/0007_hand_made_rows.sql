-- Rows that a hand at psql or another program wrote must not keep anybody else's from being read. PostgreSQL's `infinity` has no epoch, a
-- numeric may be NaN or wider than ours, and a cast that fails ends the whole query.

-- Epoch milliseconds; a time without an end is the first or last moment that a four-digit year can write.
CREATE OR REPLACE FUNCTION kartshoppe_ms(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN isfinite(at) THEN (extract(epoch FROM at) * 1000)::bigint
                WHEN at > '2000-01-01 00:00:00+00' THEN 253402300799999
                WHEN at IS NOT NULL THEN -62135596800000 END
$$;

-- Cents; NULL for what is no amount of money.
CREATE OR REPLACE FUNCTION kartshoppe_cents(amount numeric) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN amount BETWEEN -1e15 AND 1e15 THEN (amount * 100)::bigint END
$$;

-- Our own columns are put right, those of the platform (order_date) stay as they are: they are read through the functions. An expiry
-- that never comes would keep an item from ever being rescued.
UPDATE orders SET created_at = CASE WHEN isfinite(created_at) THEN created_at ELSE now() END,
                  updated_at = CASE WHEN isfinite(updated_at) THEN updated_at ELSE now() END
WHERE NOT isfinite(created_at) OR NOT isfinite(updated_at);
UPDATE order_items SET inserted_at = CASE WHEN isfinite(inserted_at) THEN inserted_at ELSE now() END,
                       expires_at = CASE WHEN isfinite(expires_at) THEN expires_at ELSE now() END,
                       settled_at = CASE WHEN isfinite(settled_at) THEN settled_at ELSE now() END,
                       last_probe_at = CASE WHEN isfinite(last_probe_at) THEN last_probe_at END
WHERE NOT isfinite(inserted_at) OR NOT isfinite(expires_at) OR NOT isfinite(settled_at) OR NOT isfinite(last_probe_at);

ALTER TABLE orders
    ADD CONSTRAINT orders_times_finite CHECK (isfinite(created_at) AND isfinite(updated_at)) NOT VALID;
ALTER TABLE order_items
    ADD CONSTRAINT order_items_times_finite
        CHECK (isfinite(inserted_at) AND isfinite(expires_at) AND isfinite(settled_at) AND isfinite(last_probe_at)) NOT VALID;
