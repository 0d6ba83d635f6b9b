-- migrate:up
ALTER TABLE views
    MODIFY COLUMN network LowCardinality(Nullable(String)) COMMENT 'datacenter, vpn, tor or other; allowed or denied by the operator',
    MODIFY COLUMN reason_names Array(String) ALIAS arrayMap(
        bit -> transform(
            bit,
            [0, 1, 2, 8, 9, 10, 11, 12, 16, 24, 25, 26],
            ['below_min_watch', 'below_min_visible', 'repeat_view', 'declared_bot',
             'datacenter_address', 'impossible_values', 'tor_address', 'operator_denied',
             'model_score', 'model_unavailable', 'velocity_unavailable', 'lists_unavailable'],
            concat('bit_', toString(bit))
        ),
        bitPositionsToArray(reasons)
    );

-- migrate:down
ALTER TABLE views
    MODIFY COLUMN network LowCardinality(Nullable(String)) COMMENT 'datacenter, vpn, tor or other',
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
