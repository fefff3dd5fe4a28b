-- Dead letters that were replayed: a row is a claim, made before the copy is appended, so that no letter is appended twice. A claim
-- without a place was cut off in between: whether the copy is on the log, only the log can tell.

CREATE TABLE dead_letter_replays (
    log_id        text NOT NULL,    -- offsets begin again with another log
    partition     integer NOT NULL, -- of the letter
    record_offset bigint NOT NULL,
    operator      text NOT NULL,
    claimed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    copy_topic    text NOT NULL,
    order_item_id text,             -- that the copy names: two letters of one item are not both replayed
    copy_partition integer,
    copy_offset   bigint,
    PRIMARY KEY (log_id, partition, record_offset),
    CONSTRAINT dead_letter_replays_place_whole CHECK (num_nulls(copy_partition, copy_offset) IN (0, 2))
);

CREATE UNIQUE INDEX dead_letter_replays_item ON dead_letter_replays (log_id, order_item_id) WHERE order_item_id IS NOT NULL;

-- Operators list orders newest first.
CREATE INDEX orders_newest ON orders (created_at DESC NULLS LAST, order_id DESC);
