-- What a hand at psql can write and nobody can use: times that no calendar of a page reaches, and outcomes below nothing.

-- Epoch milliseconds, never beyond what a four-digit year can write: browsers' dates end before PostgreSQL's.
CREATE OR REPLACE FUNCTION kartshoppe_ms(at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN at >= '9999-12-30 23:59:59.999+00' THEN 253402300799999
                WHEN at <= '0001-01-01 00:00:00+00' THEN -62135596800000
                ELSE (extract(epoch FROM at) * 1000)::bigint END
$$;

-- NOT VALID: older rows stay as they are, and start nobody's alarm but `check`'s.
ALTER TABLE order_items
    ADD CONSTRAINT order_items_outcome_not_negative CHECK (allocated >= 0 AND shortfall >= 0) NOT VALID;
