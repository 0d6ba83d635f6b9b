-- migrate:up
-- One row per block of views.scored that counts, written after its rows: where `store` stands.
CREATE TABLE blocks
(
    partition     UInt16,
    scored_offset UInt64,
    epoch         UInt64,
    writer        String,
    raw_from      UInt64,
    raw_next      UInt64,
    holes         UInt64 COMMENT 'offsets in between that hold no event',
    scored_time   DateTime64(3, 'UTC') COMMENT 'log time of the block in views.scored',
    accepted      UInt32,
    duplicates    UInt32,
    rejected      UInt32,
    verdicts      Map(LowCardinality(String), UInt32) COMMENT 'accepted, by verdict',
    refusals      Map(LowCardinality(String), UInt32) COMMENT 'duplicates and rejected, by reason',
    stored_at     DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (partition, scored_offset)
SETTINGS non_replicated_deduplication_window = 100000;

-- migrate:down
DROP TABLE blocks;
