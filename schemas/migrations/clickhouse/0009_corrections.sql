-- migrate:up
-- One row per correction of a view, copied from the ledger by id. Copied twice, it is one row of
-- `corrections FINAL`. Not partitioned, so that an insert is one part: there in whole or not at all.
CREATE TABLE corrections
(
    correction_id  UInt64 COMMENT 'view_correction_id of the ledger',
    partition      UInt16,
    raw_offset     UInt64,
    scored_offset  UInt64,
    event_id       String,
    log_time       DateTime64(3, 'UTC'),
    campaign_id    LowCardinality(String),
    promoter_id    LowCardinality(String),
    currency       LowCardinality(String),
    rate_micros    Int64,
    was            LowCardinality(String),
    was_reasons    UInt32,
    became         LowCardinality(String),
    became_reasons UInt32,
    why            LowCardinality(String) COMMENT 'hindsight or review',
    paid_micros    Int64 COMMENT 'what the campaign pays more; below zero: gets back',
    capped_micros  Int64 COMMENT 'what is more, or less, beyond the budget',
    accrual_id     Nullable(UInt64) COMMENT 'in the ledger',
    ledger_correction_id Nullable(UInt64) COMMENT 'corrections.correction_id of the ledger',
    model_version  LowCardinality(String),
    policy_version LowCardinality(String),
    lists_version  LowCardinality(String),
    rules_version  LowCardinality(String),
    actor          LowCardinality(String),
    note           String,
    corrected_at   DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY correction_id
SETTINGS non_replicated_deduplication_window = 1000;

-- migrate:down
DROP TABLE corrections;
