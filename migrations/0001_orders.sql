-- The tables of the existing platform: orders and their items. Names, widths and defaults are the contract's.
-- A database of that platform may hold them already, made in another way: then they are brought to the same shape.

CREATE TABLE IF NOT EXISTS orders (
    order_id         varchar(50) PRIMARY KEY DEFAULT gen_random_uuid()::text,
    customer_id      varchar(50) NOT NULL,
    order_date       timestamp DEFAULT CURRENT_TIMESTAMP,
    status           varchar(50) DEFAULT 'PENDING',
    subtotal         numeric(10, 2) NOT NULL,
    tax              numeric(10, 2) DEFAULT 0,
    shipping         numeric(10, 2) DEFAULT 0,
    total            numeric(10, 2) NOT NULL,
    payment_method   varchar(50),
    shipping_address text,
    tracking_number  varchar(100),
    notes            text
) WITH (fillfactor = 85); -- each order is updated once, when it settles: room for that on the same page

CREATE TABLE IF NOT EXISTS order_items (
    order_item_id varchar(50) PRIMARY KEY DEFAULT gen_random_uuid()::text,
    order_id      varchar(50) NOT NULL REFERENCES orders (order_id),
    product_id    varchar(50) NOT NULL,
    quantity      integer NOT NULL DEFAULT 1,
    unit_price    numeric(10, 2) NOT NULL,
    discount      numeric(10, 2) DEFAULT 0,
    line_total    numeric(10, 2) NOT NULL
) WITH (fillfactor = 85);

-- The catalogue lives in the event log and guests have no account: keys to products and customers would refuse our orders.
DO $$
DECLARE
    foreign_key record;
BEGIN
    FOR foreign_key IN
        SELECT conrelid::regclass AS owner, conname
        FROM pg_constraint
        WHERE contype = 'f'
          AND (conrelid = 'orders'::regclass OR conrelid = 'order_items'::regclass AND confrelid <> 'orders'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', foreign_key.owner, foreign_key.conname);
    END LOOP;

    IF NOT EXISTS (SELECT FROM pg_constraint
                   WHERE contype = 'f' AND conrelid = 'order_items'::regclass AND confrelid = 'orders'::regclass) THEN
        ALTER TABLE order_items ADD FOREIGN KEY (order_id) REFERENCES orders (order_id) NOT VALID;
    END IF;

    -- The platform numbers its items with a sequence; ours carry an id that is unique across machines.
    IF EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'order_items'::regclass AND attname = 'order_item_id' AND atttypid <> 'varchar'::regtype) THEN
        ALTER TABLE order_items ALTER COLUMN order_item_id DROP IDENTITY IF EXISTS;
        ALTER TABLE order_items ALTER COLUMN order_item_id DROP DEFAULT;
        ALTER TABLE order_items ALTER COLUMN order_item_id TYPE varchar(50) USING order_item_id::text;
    END IF;
END
$$;

ALTER TABLE orders
    ALTER COLUMN order_id SET DEFAULT gen_random_uuid()::text,
    ALTER COLUMN order_date SET DEFAULT CURRENT_TIMESTAMP,
    ALTER COLUMN status SET DEFAULT 'PENDING',
    ALTER COLUMN tax SET DEFAULT 0,
    ALTER COLUMN shipping SET DEFAULT 0;

ALTER TABLE order_items
    ALTER COLUMN order_item_id SET DEFAULT gen_random_uuid()::text,
    ALTER COLUMN quantity SET DEFAULT 1,
    ALTER COLUMN discount SET DEFAULT 0;
