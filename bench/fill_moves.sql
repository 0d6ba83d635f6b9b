-- A year of a ledger: {accruals} accruals, each settled, some corrected, a tenth of the promoters
-- paid by each of 20 batches. All of it adds up: `verify_ledger` finds nothing.
SET session_replication_role = replica;
SET work_mem = '256MB';

CREATE UNLOGGED TABLE planned_accruals AS
    SELECT i, 1 + (i - 1) % {promoters} AS p, 1 + (i / {promoters} + i % 97) % {campaigns} AS c,
        now() - interval '360 days' * (1 - i / {accruals}.0) AS at
    FROM generate_series(1, {accruals}) AS i;
CREATE UNLOGGED TABLE planned_lines AS
    SELECT row_number() OVER (ORDER BY batch_id, p) AS line_id, batch_id, p,
        now() - interval '360 days' * (1 - batch_id / 20.0) AS at
    FROM generate_series(1, 20) AS batch_id JOIN generate_series(1, {promoters}) AS p
        ON p % 10 = batch_id % 10;

-- Everything that moves money, in order of time: from one account to another.
CREATE UNLOGGED TABLE planned AS
SELECT row_number() OVER (ORDER BY at, priority, n) AS journal_id, * FROM (
    SELECT 'funding' AS kind, 0 AS priority, c AS n, 'funding:c' || c AS key,
        now() - interval '370 days' AS at, 'campaign_funding' AS out_of, 'c' || c AS payer,
        'campaign_budget' AS goes_to, 'c' || c AS payee, 1000000000000000 AS micros
    FROM generate_series(1, {campaigns}) AS c
    UNION ALL
    SELECT 'accrual', 1, i, 'accrual:' || i % 4 || ':' || i || ':c' || c || ':EUR', at,
        'campaign_budget', 'c' || c, 'promoter_pending', 'p' || p, 1000000
    FROM planned_accruals
    UNION ALL
    SELECT 'settlement', 2, i, 'settlement:' || i, at + interval '73 hours',
        'promoter_pending', 'p' || p, 'promoter_payable', 'p' || p, 1000000
    FROM planned_accruals WHERE at + interval '73 hours' < now()
    UNION ALL
    SELECT 'reversal', 3, i, 'correction:' || i, at + interval '80 hours',
        'promoter_pending', 'p' || p, 'campaign_budget', 'c' || c, 1000000
    FROM planned_accruals WHERE i % 499 = 0 AND at + interval '80 hours' < now()
    UNION ALL
    SELECT 'correction', 4, i, 'correction:' || i || ':anew', at + interval '80 hours',
        'promoter_payable', 'p' || p, 'promoter_pending', 'p' || p, 1000000
    FROM planned_accruals WHERE i % 499 = 0 AND at + interval '80 hours' < now()
    UNION ALL
    SELECT 'payout', 5, line_id, 'payout:' || batch_id || ':p' || p, at,
        'promoter_payable', 'p' || p, 'payout_clearing', 'p' || p, 1000000
    FROM planned_lines
    UNION ALL
    SELECT 'payout_settled', 6, line_id, 'payout_settled:' || line_id, at + interval '2 days',
        'payout_clearing', 'p' || p, 'bank', 'platform', 1000000
    FROM planned_lines WHERE batch_id < 20) AS moved;
ANALYZE planned, planned_accruals, planned_lines, accounts;

-- The journals of what came first have the lower numbers, as in life.
INSERT INTO journals (journal_id, kind, idempotency_key, fingerprint, description, created_by,
        created_xact, created_at, reverses_id)
    OVERRIDING SYSTEM VALUE
    SELECT journal_id, kind, key, sha256(key::bytea), kind || ' of ' || payee, 'viewledger',
        (1000 + journal_id / 2)::text::xid8, at, reverses_id
    FROM planned LEFT JOIN (SELECT n, journal_id AS reverses_id FROM planned WHERE kind = 'accrual')
        AS accrual ON kind = 'reversal' AND accrual.n = planned.n
    ORDER BY journal_id;
INSERT INTO entries (journal_id, account_id, amount_micros, created_at)
    SELECT journal_id, account_id, amount, at
    FROM (SELECT journal_id, at, out_of AS kind, payer AS owner_id, -micros AS amount FROM planned
          UNION ALL SELECT journal_id, at, goes_to, payee, micros FROM planned) AS legs
    JOIN accounts USING (kind, owner_id)
    ORDER BY at, journal_id;
INSERT INTO balances (account_id, may_go_negative, balance_micros)
    SELECT account_id, may_go_negative, coalesce(sum(amount_micros), 0)
    FROM accounts LEFT JOIN entries USING (account_id) GROUP BY account_id;

INSERT INTO accruals (accrual_id, partition, scored_from, scored_next, campaign_id, promoter_id,
        currency, rate_micros, log_hour, views, amount_micros, capped_views, capped_micros,
        journal_id, booked_at)
    OVERRIDING SYSTEM VALUE
    SELECT i, i % 4, i, i + 4, 'c' || c, 'p' || p, 'EUR', 1000, date_trunc('hour', planned.at),
        1000, 1000000, 0, 0, journal_id, planned.at
    FROM planned JOIN planned_accruals ON n = i WHERE kind = 'accrual' ORDER BY i;
INSERT INTO campaign_days SELECT campaign_id, (log_hour AT TIME ZONE 'UTC')::date,
    sum(amount_micros) FROM accruals GROUP BY 1, 2;
INSERT INTO settled_accruals (accrual_id, net_micros, journal_id, settled_at)
    SELECT n, micros, journal_id, at FROM planned WHERE kind = 'settlement' ORDER BY journal_id;
INSERT INTO corrections (accrual_id, views, amount_micros, fee_micros, reason, actor,
        idempotency_key, reversal_id, rebooked_id, created_at)
    SELECT back.n, 1000, 1000000, 0, 'bots', 'carla', back.n::text, back.journal_id,
        anew.journal_id, back.at
    FROM planned AS back JOIN planned AS anew ON anew.kind = 'correction' AND anew.n = back.n
    WHERE back.kind = 'reversal' ORDER BY back.journal_id;

INSERT INTO payout_batches (batch_id, idempotency_key, currency, until, min_micros, status,
        drafted_by, drafted_at, approved_by, approved_at, chain_head, format, execution_date,
        exported_by, exported_at)
    OVERRIDING SYSTEM VALUE
    SELECT batch_id, 'batch ' || batch_id, 'EUR', min(at), 0,
        CASE WHEN batch_id < 20 THEN 'closed' ELSE 'draft' END, 'dora', min(at),
        CASE WHEN batch_id < 20 THEN 'alan' END, CASE WHEN batch_id < 20 THEN min(at) END,
        CASE WHEN batch_id < 20 THEN (SELECT hash FROM chain_links ORDER BY link_id DESC LIMIT 1) END,
        CASE WHEN batch_id < 20 THEN 'pain.001' END,
        CASE WHEN batch_id < 20 THEN min(at)::date END,
        CASE WHEN batch_id < 20 THEN 'alan' END, CASE WHEN batch_id < 20 THEN min(at) END
    FROM planned_lines GROUP BY batch_id ORDER BY batch_id;
INSERT INTO payout_lines (line_id, batch_id, promoter_id, gross_micros, amount_micros,
        amount_minor, status, payee_version, payout_journal_id)
    OVERRIDING SYSTEM VALUE
    SELECT line_id, batch_id, 'p' || p, 1000000, 1000000, 100,
        CASE WHEN batch_id < 20 THEN 'settled' ELSE 'drafted' END, 2, journal_id
    FROM planned_lines JOIN planned ON kind = 'payout' AND n = line_id ORDER BY line_id;
INSERT INTO payout_events (batch_id, line_id, was, became, actor, at)
    SELECT batch_id, line_id, was, became, actor, drafted_at
    FROM (SELECT batch_id, NULL::bigint AS line_id, drafted_at FROM payout_batches
          UNION ALL SELECT batch_id, line_id, drafted_at
          FROM payout_lines JOIN payout_batches USING (batch_id)) AS noted
    CROSS JOIN (VALUES
        (1, true, NULL, 'draft', 'dora'), (2, true, 'draft', 'approved', 'alan'),
        (3, true, 'approved', 'exported', 'alan'), (4, true, 'exported', 'closed', 'ivan'),
        (1, false, NULL, 'drafted', 'dora'), (2, false, 'drafted', 'approved', 'alan'),
        (3, false, 'approved', 'exported', 'alan'), (4, false, 'exported', 'settled', 'ivan'))
        AS step (number, of_batch, was, became, actor)
    WHERE of_batch = (line_id IS NULL) AND (batch_id < 20 OR number = 1)
    ORDER BY batch_id, number, line_id;
INSERT INTO payout_files (batch_id, part, name, sha256, key_id, sealed)
    SELECT batch_id, 1, 'payout-' || batch_id || '.xml', repeat('0', 64), 'none', ''
    FROM payout_batches WHERE status = 'closed';
INSERT INTO bank_files (sha256, kind, name, imported_by)
    SELECT lpad(batch_id::text, 64, '0'), 'camt.053', 'statement ' || batch_id, 'ivan'
    FROM payout_batches WHERE status = 'closed' ORDER BY batch_id;
INSERT INTO bank_answers (bank_file_id, reference, outcome, code, reason, line_id, applied)
    SELECT batch_id, 'VL' || line_id, 'settled', '', '', line_id, true
    FROM payout_lines WHERE status = 'settled' ORDER BY line_id;

DROP TABLE planned, planned_accruals, planned_lines;
-- Numbers go on after those that were written.
SELECT setval(pg_get_serial_sequence('journals', 'journal_id'), max(journal_id)) FROM journals;
SELECT setval(pg_get_serial_sequence('accruals', 'accrual_id'), max(accrual_id)) FROM accruals;
SELECT setval(pg_get_serial_sequence('payout_lines', 'line_id'), max(line_id)) FROM payout_lines;
SELECT setval(pg_get_serial_sequence('payout_batches', 'batch_id'), max(batch_id))
    FROM payout_batches;
