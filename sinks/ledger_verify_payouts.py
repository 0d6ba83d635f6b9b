"""Checks of payout batches and their lines: against journals, and against what was noted.

The queries are as in `sinks.ledger_verify_journals`.
"""

from sinks.ledger_verify_journals import legs

CHECKS = {
    "nobody is paid less than nothing, and amounts add up": """
        SELECT 'payout_lines line_id ' || line_id,
            'gross - withheld = amount = minor units, above zero',
            gross_micros || ' - ' || withheld_micros || ', ' || amount_micros || ', '
                || amount_minor || ' ' || currency
        FROM payout_lines JOIN payout_batches USING (batch_id)
        LEFT JOIN unnest(%(currencies)s::text[], %(per_minor)s::bigint[])
            AS known (currency, per_minor) USING (currency)
        WHERE amount_minor <= 0 OR withheld_micros < 0 OR netted_micros < 0
            OR amount_micros <> gross_micros - withheld_micros
            OR amount_micros IS DISTINCT FROM amount_minor * per_minor
            OR gross_micros < min_micros
    """,
    "a line's journal moves what the line says": legs(
        "payout",
        """
        SELECT payout_journal_id AS journal_id, kind, owner_id, currency, micros
        FROM payout_lines JOIN payout_batches USING (batch_id) CROSS JOIN LATERAL (VALUES
            ('promoter_payable', promoter_id, -gross_micros),
            ('payout_clearing', promoter_id, amount_micros),
            ('tax_withheld', 'platform', withheld_micros)) AS moved (kind, owner_id, micros)
        """,
    ),
    "a settled line's journal moves what the line says": legs(
        "payout_settled",
        """
        SELECT journal_id, paid.kind, owner_id, currency, micros
        FROM payout_lines JOIN payout_batches USING (batch_id)
        JOIN journals ON journals.idempotency_key = 'payout_settled:' || line_id
        CROSS JOIN LATERAL (VALUES
            ('payout_clearing', promoter_id, -amount_micros),
            ('bank', 'platform', amount_micros)) AS paid (kind, owner_id, micros)
        """,
    ),
    "what was netted from a line was moved": """
        SELECT 'payout_lines line_id ' || line_id, coalesce(amount_micros, 0), netted_micros
        FROM (SELECT line_id, netted_micros,
                  'netting:' || idempotency_key || ':' || promoter_id AS key
              FROM payout_lines JOIN payout_batches USING (batch_id)) AS lines
        LEFT JOIN (SELECT idempotency_key AS key, amount_micros
                   FROM journals JOIN entries USING (journal_id) JOIN accounts USING (account_id)
                   WHERE journals.kind = 'netting' AND accounts.kind = 'promoter_debt') AS netted
            USING (key)
        WHERE coalesce(amount_micros, 0) <> netted_micros
    """,
    "a line is what its journals say": """
        SELECT 'payout_lines line_id ' || line_id, status,
            CASE WHEN back.journal_id IS NOT NULL THEN 'given back' ELSE 'not given back' END
                || CASE WHEN paid.journal_id IS NULL THEN ', not paid'
                        WHEN unpaid.journal_id IS NULL THEN ', paid' ELSE ', paid and returned' END
        FROM payout_lines
        LEFT JOIN journals AS back ON back.reverses_id = payout_journal_id
        LEFT JOIN journals AS paid ON paid.idempotency_key = 'payout_settled:' || line_id
        LEFT JOIN journals AS unpaid ON unpaid.reverses_id = paid.journal_id
        WHERE (back.journal_id IS NOT NULL) <> (status IN ('failed', 'cancelled', 'returned'))
            OR (paid.journal_id IS NOT NULL AND unpaid.journal_id IS NULL) <> (status = 'settled')
            OR (unpaid.journal_id IS NOT NULL AND status <> 'returned')
    """,
    "clearing, bank and tax hold what the lines say": """
        SELECT kind || ' ' || owner_id || ' ' || currency, coalesce(said, 0),
            coalesce(balance_micros, 0)
        FROM (SELECT kind, owner_id, currency, sum(micros) AS said
              FROM payout_lines JOIN payout_batches USING (batch_id) CROSS JOIN LATERAL (VALUES
                  (CASE payout_lines.status WHEN 'settled' THEN 'bank' ELSE 'payout_clearing' END,
                   CASE payout_lines.status WHEN 'settled' THEN 'platform' ELSE promoter_id END,
                   amount_micros),
                  ('tax_withheld', 'platform', withheld_micros)) AS held (kind, owner_id, micros)
              WHERE payout_lines.status IN ('drafted', 'approved', 'exported', 'settled')
              GROUP BY kind, owner_id, currency) AS lines
        FULL JOIN
             (SELECT kind, owner_id, currency, balance_micros
              FROM accounts JOIN balances USING (account_id)
              WHERE kind IN ('payout_clearing', 'bank', 'tax_withheld')) AS held
            USING (kind, owner_id, currency)
        WHERE coalesce(said, 0) <> coalesce(balance_micros, 0)
    """,
    "a batch is what its lines are": """
        SELECT 'payout_batches batch_id ' || batch_id, payout_batches.status,
            coalesce(string_agg(DISTINCT payout_lines.status, ', '), 'no lines')
        FROM payout_batches LEFT JOIN payout_lines USING (batch_id)
        GROUP BY batch_id
        HAVING (CASE payout_batches.status
            WHEN 'draft' THEN bool_and(payout_lines.status IN ('drafted', 'cancelled'))
                AND bool_or(payout_lines.status = 'drafted')
            WHEN 'approved' THEN bool_and(payout_lines.status IN ('approved', 'cancelled'))
                AND bool_or(payout_lines.status = 'approved')
            WHEN 'exported' THEN
                bool_and(payout_lines.status NOT IN ('drafted', 'approved'))
                AND bool_or(payout_lines.status = 'exported')
            WHEN 'closed' THEN
                bool_and(payout_lines.status NOT IN ('drafted', 'approved', 'exported'))
            WHEN 'cancelled' THEN bool_and(payout_lines.status = 'cancelled')
            END) IS NOT TRUE
    """,
    "a line and a batch are what was noted last": """
        SELECT CASE WHEN line_id = 0 THEN 'payout_batches batch_id ' || batch_id
                ELSE 'payout_lines line_id ' || line_id || ' of batch ' || batch_id END,
            coalesce(noted, 'nothing'), coalesce(said, 'no such row')
        FROM (SELECT DISTINCT ON (batch_id, line_id) batch_id, coalesce(line_id, 0) AS line_id,
                  concat_ws(' ', became, code, reason) AS noted
              FROM payout_events ORDER BY batch_id, line_id, event_id DESC) AS events
        FULL JOIN
             (SELECT batch_id, line_id, concat_ws(' ', status, code, reason) AS said
              FROM payout_lines
              UNION ALL SELECT batch_id, 0, concat_ws(' ', status, '', '')
              FROM payout_batches) AS there
            USING (batch_id, line_id)
        WHERE noted IS DISTINCT FROM said
    """,
    "what was noted follows": """
        SELECT 'payout_events event_id ' || event_id, 'from ' || coalesce(last, 'nothing'),
            'from ' || coalesce(was, 'nothing')
        FROM (SELECT event_id, was, lag(became) OVER (
                  PARTITION BY batch_id, line_id ORDER BY event_id) AS last
              FROM payout_events) AS events
        WHERE last IS DISTINCT FROM was
    """,
    "a batch was signed by those who were noted, and by two": """
        SELECT 'payout_batches batch_id ' || batch_id || ' ' || step,
            coalesce(noted.actor || ' at ' || noted.at, 'nobody'),
            coalesce(signed.actor || ' at ' || signed.at, 'nobody')
        FROM (SELECT batch_id, step, trim(actor) AS actor, at
              FROM payout_batches CROSS JOIN LATERAL (VALUES
                  ('draft', drafted_by, drafted_at), ('approved', approved_by, approved_at),
                  ('exported', exported_by, exported_at)) AS signed (step, actor, at)
              WHERE actor IS NOT NULL OR at IS NOT NULL) AS signed
        FULL JOIN (SELECT batch_id, became AS step, actor, at FROM payout_events
                   WHERE line_id IS NULL AND became IN ('draft', 'approved', 'exported')) AS noted
            USING (batch_id, step)
        WHERE (noted.actor, noted.at) IS DISTINCT FROM (signed.actor, signed.at)
            OR (step = 'approved' AND lower(signed.actor) = (
                SELECT lower(trim(drafted_by)) FROM payout_batches
                WHERE payout_batches.batch_id = signed.batch_id))
    """,
    "a batch was approved on a head of the chain": """
        SELECT 'payout_batches batch_id ' || batch_id, 'a hash of the chain',
            coalesce(encode(chain_head, 'hex'), 'none')
        FROM payout_batches
        WHERE approved_at IS NOT NULL
            AND NOT EXISTS (SELECT FROM chain_links WHERE hash = chain_head)
    """,
    "a line was paid to a payee that there was": """
        SELECT 'payout_lines line_id ' || line_id, 'a version of payee ' || promoter_id,
            'version ' || payee_version
        FROM payout_lines
        WHERE NOT EXISTS (SELECT FROM payee_changes
            WHERE payee_changes.promoter_id = payout_lines.promoter_id
                AND payee_changes.version = payee_version)
    """,
    "exported batches have files, and only they": """
        SELECT 'payout_batches batch_id ' || batch_id || ' ' || payout_batches.status,
            CASE WHEN exported_at IS NULL THEN 'no file' ELSE 'files 1, 2, …' END,
            count(file_id) || ' files'
        FROM payout_batches LEFT JOIN payout_files USING (batch_id)
        GROUP BY batch_id
        HAVING (exported_at IS NULL) <> (count(file_id) = 0) OR max(part) <> count(file_id)
    """,
}
