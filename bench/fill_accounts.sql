-- Campaigns, promoters with verified payees, and their accounts: {promoters} and {campaigns}.
-- Triggers and foreign keys are off, so that it takes minutes and not hours; `bench/fill.py`.
SET session_replication_role = replica;
SET maintenance_work_mem = '512MB';
SET work_mem = '256MB';
SELECT make_entry_partitions(now() - interval '13 months', 14);

INSERT INTO campaigns (campaign_id, currency, budget_micros, starts_at, ends_at, status, hold_hours)
    SELECT 'c' || c, 'EUR', 1000000000000000, now() - interval '13 months',
        now() + interval '1 year', 'active', 72
    FROM generate_series(1, {campaigns}) AS c;
INSERT INTO campaign_rates (campaign_id, valid_from, rate_micros)
    SELECT campaign_id, '-infinity', 1000 FROM campaigns;
INSERT INTO promoters (promoter_id, status)
    SELECT 'p' || p, 'active' FROM generate_series(1, {promoters}) AS p;
INSERT INTO payees (promoter_id, version, legal_name, street, building, postcode, town, region,
        country, currency, method, sealed, key_id, masked, tax_form, backup_withholding,
        verified_by, verified_at, updated_by, updated_at, edited_by)
    SELECT promoter_id, 2, promoter_id, '', '', '', 'Berlin', '', 'DE', 'EUR', 'iban',
        decode(repeat('00', 60), 'hex'), 'none', 'DE***', 'none', false,
        'vera', now(), 'paula', now(), ARRAY['paula']
    FROM promoters;
INSERT INTO payee_changes (promoter_id, version, kind, fields, before, after, changed_by)
    SELECT promoter_id, version, kind, '{{}}', '{{}}', '{{}}', 'vera'
    FROM promoters CROSS JOIN (VALUES (1, 'created'), (2, 'verified')) AS done (version, kind);

INSERT INTO accounts (kind, owner_id, currency)
    SELECT kind, owner, 'EUR' FROM (
        SELECT kind, 'c' || c FROM generate_series(1, {campaigns}) AS c
            CROSS JOIN unnest(ARRAY['campaign_funding', 'campaign_budget']) AS kind
        UNION ALL SELECT kind, 'platform'
            FROM unnest(ARRAY['platform_fee', 'tax_withheld', 'bank']) AS kind
        UNION ALL SELECT kind, 'p' || p FROM generate_series(1, {promoters}) AS p
            CROSS JOIN unnest(ARRAY['promoter_pending', 'promoter_payable', 'promoter_debt',
                                    'payout_clearing']) AS kind) AS wanted (kind, owner);
