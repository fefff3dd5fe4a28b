-- Carts, and the keys that make a checkout safe to ask again.

-- A cart is one row: locking, checking and emptying it at checkout is one update, and adding to it never makes an index grow.
-- The three arrays are parallel, one place per line; prices are the catalogue's and are not kept.
CREATE TABLE carts (
    session_id  text PRIMARY KEY,
    user_id     varchar(50),
    product_ids text[] NOT NULL DEFAULT '{}',
    quantities  bigint[] NOT NULL DEFAULT '{}',
    added_at_ms bigint[] NOT NULL DEFAULT '{}', -- epoch milliseconds
    version     bigint NOT NULL DEFAULT 1,      -- one more with each change: checkout buys exactly what it read
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT carts_lines_parallel
        CHECK (cardinality(product_ids) = cardinality(quantities) AND cardinality(product_ids) = cardinality(added_at_ms)),
    CONSTRAINT carts_quantities_positive CHECK (1 <= ALL (quantities))
) WITH (fillfactor = 70);
CREATE INDEX carts_idle ON carts (created_at);

-- One key, one order. No foreign key: an order that is gone must not keep its key from being swept.
CREATE TABLE idempotency_keys (
    key         text PRIMARY KEY,
    fingerprint bytea NOT NULL, -- SHA-256 of session and body
    order_id    varchar(50) NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
