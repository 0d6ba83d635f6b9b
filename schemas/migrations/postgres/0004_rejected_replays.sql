-- migrate:up
-- Refused events that were sent to views.raw again, by where they first stood there.
CREATE TABLE rejected_replays (
    partition integer NOT NULL CHECK (partition >= 0),
    raw_offset bigint NOT NULL CHECK (raw_offset >= 0),
    intended_at timestamptz NOT NULL DEFAULT now(),
    replayed_at timestamptz,
    PRIMARY KEY (partition, raw_offset)
);
COMMENT ON COLUMN rejected_replays.replayed_at IS 'null: about to be sent; after a crash nobody knows whether it was, and it is sent again';

-- migrate:down
DROP TABLE rejected_replays;
