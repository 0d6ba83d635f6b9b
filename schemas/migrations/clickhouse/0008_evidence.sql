-- migrate:up
-- By what a view was judged, for as long as somebody may ask, and what the shadows say of it.
ALTER TABLE views
    ADD COLUMN features Array(Float32) COMMENT 'as judged by, in the order of the card of the model; kept for 90 days'
        CODEC(ZSTD(1)) TTL toDateTime(log_time) + INTERVAL 90 DAY AFTER score,
    ADD COLUMN shadow_scores Array(Float32) COMMENT 'in the order of blocks.shadows'
        CODEC(ZSTD(1)) AFTER features;

-- migrate:down
ALTER TABLE views DROP COLUMN features, DROP COLUMN shadow_scores;

-- migrate:up
ALTER TABLE blocks
    ADD COLUMN features_digest LowCardinality(String) COMMENT 'what views.features of the block mean',
    ADD COLUMN shadows Array(String) COMMENT 'versions of the models that watched',
    ADD COLUMN shadow_thresholds Array(Float32) COMMENT 'score from which on each takes a view for a bot''s';

-- migrate:down
ALTER TABLE blocks
    DROP COLUMN features_digest,
    DROP COLUMN shadows,
    DROP COLUMN shadow_thresholds;
