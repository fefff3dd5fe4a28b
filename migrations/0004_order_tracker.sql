-- How far the order tracker has read `inventory-events`, and where it could not be sure that it had read everything.

CREATE TABLE order_tracker_positions (
    partition     integer PRIMARY KEY,
    record_offset bigint NOT NULL, -- of the last record that was read, not of the next
    event_id      text NOT NULL,   -- of that record: it is read again at start and must be the same
    moved_at      timestamptz NOT NULL DEFAULT now()
);

-- Outcomes may be missing before such a point: direct items made before it are listed for a human and never flipped.
CREATE TABLE order_tracker_gaps (
    gap_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition  integer NOT NULL,
    reason     text NOT NULL,
    noticed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
