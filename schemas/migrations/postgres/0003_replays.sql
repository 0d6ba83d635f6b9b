-- migrate:up
-- By how much each file was moved in time when it was first replayed: for ever.
CREATE TABLE replays (
    sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    adapter text NOT NULL,
    shift_ms bigint NOT NULL,
    events bigint NOT NULL CHECK (events > 0),
    first_replayed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sha256, adapter)
);

-- migrate:down
DROP TABLE replays;
