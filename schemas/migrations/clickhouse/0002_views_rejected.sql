-- migrate:up
-- One row per event that was not accepted; its bytes are in the topic views.rejected.
CREATE TABLE views_rejected
(
    partition     UInt16,
    raw_offset    UInt64,
    scored_offset UInt64,
    log_time      DateTime64(3, 'UTC'),
    reason        LowCardinality(String) COMMENT 'label of schemas.verdicts.Refusal',
    event_id      Nullable(String) COMMENT 'null where it could not be read',
    campaign_id   LowCardinality(Nullable(String)),
    promoter_id   LowCardinality(Nullable(String)),
    INDEX by_block (partition, scored_offset) TYPE minmax,
    INDEX by_raw_offset (partition, raw_offset) TYPE minmax
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(log_time)
ORDER BY (reason, log_time)
SETTINGS non_replicated_deduplication_window = 100000;

-- migrate:down
DROP TABLE views_rejected;
