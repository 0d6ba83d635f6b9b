-- migrate:up
-- What a collector says about where a view came from, without keeping the address.
ALTER TABLE views
    ADD COLUMN ip_hash Nullable(String) COMMENT 'keyed hash of the address, other every UTC day' AFTER ip,
    ADD COLUMN ip_prefix_hash Nullable(String) COMMENT 'keyed hash of the /24 or /48' AFTER ip_hash,
    ADD COLUMN network LowCardinality(Nullable(String)) COMMENT 'datacenter, vpn, tor or other' AFTER ip_prefix_hash,
    ADD COLUMN client_hints LowCardinality(Nullable(String)) COMMENT 'of the headers Sec-CH-UA…' AFTER user_agent,
    ADD COLUMN consent LowCardinality(Nullable(String)) COMMENT 'granted or denied' AFTER attrs,
    ADD COLUMN collector LowCardinality(Nullable(String)) COMMENT 'which one received it' AFTER consent,
    MODIFY COLUMN reason_names Array(String) ALIAS arrayMap(
        bit -> transform(
            bit,
            [0, 1, 2, 8, 9, 10, 11, 16, 24, 25, 26],
            ['below_min_watch', 'below_min_visible', 'repeat_view', 'declared_bot',
             'datacenter_address', 'impossible_values', 'tor_address', 'model_score',
             'model_unavailable', 'velocity_unavailable', 'lists_unavailable'],
            concat('bit_', toString(bit))
        ),
        bitPositionsToArray(reasons)
    );

-- migrate:down
ALTER TABLE views
    MODIFY COLUMN reason_names Array(String) ALIAS arrayMap(
        bit -> transform(
            bit,
            [0, 1, 2, 8, 9, 10, 16, 24, 25, 26],
            ['below_min_watch', 'below_min_visible', 'repeat_view', 'declared_bot',
             'datacenter_address', 'impossible_values', 'model_score', 'model_unavailable',
             'velocity_unavailable', 'lists_unavailable'],
            concat('bit_', toString(bit))
        ),
        bitPositionsToArray(reasons)
    ),
    DROP COLUMN ip_hash,
    DROP COLUMN ip_prefix_hash,
    DROP COLUMN network,
    DROP COLUMN client_hints,
    DROP COLUMN consent,
    DROP COLUMN collector;
