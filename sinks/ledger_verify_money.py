"""Checks of what is earned: budgets, holds, corrections, and that no money is lost on the way.

The queries are as in `sinks.ledger_verify_journals`.
"""

from sinks.ledger_verify_journals import legs

CHECKS = {
    "a campaign's day is what its accruals say": """
        SELECT campaign_id || ' ' || day, coalesce(accrued, 0), coalesce(spent_micros, 0)
        FROM (SELECT campaign_id, (log_hour AT TIME ZONE 'UTC')::date AS day,
                  sum(amount_micros) AS accrued
              FROM accruals GROUP BY campaign_id, day) AS accruals
        FULL JOIN campaign_days USING (campaign_id, day)
        WHERE coalesce(accrued, 0) <> coalesce(spent_micros, 0)
    """,
    "a campaign's budget is what was funded": """
        SELECT campaign_id || ' ' || campaigns.currency, budget_micros, coalesce(-balance_micros, 0)
        FROM campaigns
        LEFT JOIN (accounts JOIN balances USING (account_id))
            ON kind = 'campaign_funding' AND owner_id = campaign_id
            AND accounts.currency = campaigns.currency
        WHERE budget_micros <> coalesce(-balance_micros, 0)
    """,
    "what is left of a budget is what was funded and not paid": """
        SELECT campaign_id || ' ' || currency, coalesce(funded, 0) - coalesce(paid, 0),
            coalesce("left", 0)
        FROM (SELECT owner_id AS campaign_id, currency,
                  -sum(balance_micros) FILTER (WHERE kind = 'campaign_funding') AS funded,
                  sum(balance_micros) FILTER (WHERE kind = 'campaign_budget') AS "left"
              FROM accounts JOIN balances USING (account_id)
              WHERE kind IN ('campaign_funding', 'campaign_budget')
              GROUP BY owner_id, currency) AS budgets
        FULL JOIN
             (SELECT campaign_id, currency, sum(micros) AS paid
              FROM (SELECT campaign_id, currency, amount_micros AS micros FROM accruals
                    UNION ALL
                    SELECT campaign_id, currency, -corrections.amount_micros
                    FROM corrections JOIN accruals USING (accrual_id)) AS each
              GROUP BY campaign_id, currency) AS accrued USING (campaign_id, currency)
        WHERE coalesce(funded, 0) - coalesce(paid, 0) <> coalesce("left", 0)
    """,
    # One at a time settles or corrects, so the numbers of the journals say what came first.
    "what was settled is what was earned, less the corrections before": """
        SELECT 'settled_accruals settled_id ' || settled_id || ' (accrual ' || accrual_id || ')',
            amount_micros - fee_micros - coalesce(corrected, 0), net_micros
        FROM settled_accruals JOIN accruals USING (accrual_id)
        LEFT JOIN (SELECT accrual_id,
                       sum(amount_micros - fee_micros) FILTER (
                           WHERE journal_id IS NULL OR reversal_id < journal_id) AS corrected
                   FROM corrections JOIN settled_accruals USING (accrual_id)
                   GROUP BY accrual_id) AS before USING (accrual_id)
        WHERE amount_micros - fee_micros - coalesce(corrected, 0) <> net_micros
    """,
    "an accrual is settled once": """
        SELECT 'accrual ' || accrual_id, 1, count(*) FROM settled_accruals
        GROUP BY accrual_id HAVING count(*) > 1
    """,
    "a settlement moves what its accruals say": legs(
        "settlement",
        """
        SELECT journal_id, kind, promoter_id AS owner_id, currency, micros
        FROM (SELECT settled_accruals.journal_id, promoter_id, currency,
                  sum(net_micros)::bigint AS net
              FROM settled_accruals JOIN accruals USING (accrual_id)
              WHERE settled_accruals.journal_id IS NOT NULL
              GROUP BY settled_accruals.journal_id, promoter_id, currency) AS settled
        CROSS JOIN LATERAL (VALUES ('promoter_pending', -net), ('promoter_payable', net))
            AS moved (kind, micros)
        """,
    ),
    "no more is corrected than was paid": """
        SELECT 'accrual ' || accrual_id,
            'at most ' || views || ' views, ' || amount_micros || ', fee ' || fee_micros,
            taken || ' views, ' || amount || ', fee ' || fee
        FROM (SELECT accrual_id, sum(views) AS taken, sum(amount_micros) AS amount,
                  sum(fee_micros) AS fee, min(views) AS least
              FROM corrections GROUP BY accrual_id) AS corrected
        JOIN accruals USING (accrual_id)
        WHERE taken > views OR amount <> taken * rate_micros OR least <= 0
            OR fee <> taken * (rate_micros * fee_bp / 10000)
    """,
    "the journals of a correction differ by the correction": """
        SELECT 'correction ' || correction_id || ' ' || who || ' ' || owner_id,
            coalesce(said, 0), coalesce(moved, 0)
        FROM (SELECT correction_id, who, owner_id, said
              FROM corrections JOIN accruals USING (accrual_id) CROSS JOIN LATERAL (VALUES
                  ('budget', campaign_id, corrections.amount_micros),
                  ('fee', 'platform', -corrections.fee_micros),
                  ('promoter', promoter_id, corrections.fee_micros - corrections.amount_micros))
                  AS taken (who, owner_id, said)) AS documents
        FULL JOIN
             (SELECT correction_id, owner_id,
                  CASE WHEN kind = 'campaign_budget' THEN 'budget'
                      WHEN kind = 'platform_fee' THEN 'fee'
                      WHEN kind IN ('promoter_pending', 'promoter_payable', 'promoter_debt')
                      THEN 'promoter' ELSE kind END AS who,
                  sum(entries.amount_micros) AS moved
              FROM corrections
              JOIN entries ON entries.journal_id IN (reversal_id, rebooked_id)
              JOIN accounts USING (account_id)
              GROUP BY 1, 2, 3) AS posted USING (correction_id, who, owner_id)
        WHERE coalesce(said, 0) <> coalesce(moved, 0)
    """,
    "a correction begins with what was booked last": """
        SELECT 'correction ' || correction_id, 'reverses journal ' || coalesce(current, 0),
            'reverses journal ' || coalesce(reverses_id, 0)
        FROM (SELECT correction_id, reversal_id, coalesce(
                  lag(rebooked_id) OVER (PARTITION BY journal_id ORDER BY correction_id),
                  journal_id) AS current
              FROM corrections JOIN accruals USING (accrual_id)) AS corrected
        LEFT JOIN journals ON journals.journal_id = reversal_id
        WHERE current IS DISTINCT FROM reverses_id
    """,
    "what is reversed or booked anew has a correction": """
        SELECT 'journal ' || journals.journal_id || ' ' || journals.kind, 1, count(correction_id)
        FROM journals
        LEFT JOIN journals AS original ON original.journal_id = journals.reverses_id
        LEFT JOIN corrections ON journals.journal_id IN (reversal_id, rebooked_id)
        WHERE journals.kind = 'correction' OR original.kind IN ('accrual', 'correction')
        GROUP BY journals.journal_id HAVING count(correction_id) <> 1
    """,
    "pending is what was accrued and not settled": """
        SELECT owner_id || ' ' || currency, coalesce(waiting, 0), coalesce(balance_micros, 0)
        FROM (SELECT owner_id, currency, balance_micros
              FROM accounts JOIN balances USING (account_id)
              WHERE kind = 'promoter_pending') AS pending
        FULL JOIN
             (SELECT promoter_id AS owner_id, currency,
                  sum(amount_micros - fee_micros - coalesce(corrected, 0)) AS waiting
              FROM accruals
              LEFT JOIN (SELECT accrual_id, sum(amount_micros - fee_micros) AS corrected
                         FROM corrections GROUP BY accrual_id) AS corrected USING (accrual_id)
              WHERE NOT EXISTS (SELECT FROM settled_accruals
                                WHERE settled_accruals.accrual_id = accruals.accrual_id)
              GROUP BY promoter_id, currency) AS accrued USING (owner_id, currency)
        WHERE coalesce(waiting, 0) <> coalesce(balance_micros, 0)
    """,
    "a promoter's money is what was earned and not corrected": """
        SELECT promoter_id || ' ' || currency, coalesce(sum(earned), 0), coalesce(sum(there), 0)
        FROM (SELECT promoter_id, currency, amount_micros - fee_micros AS earned, 0 AS there
              FROM accruals
              UNION ALL
              SELECT promoter_id, currency, corrections.fee_micros - corrections.amount_micros, 0
              FROM corrections JOIN accruals USING (accrual_id)
              UNION ALL
              SELECT owner_id, currency, 0, balance_micros
              FROM accounts JOIN balances USING (account_id)
              WHERE kind IN ('promoter_pending', 'promoter_payable', 'promoter_debt',
                             'payout_clearing')
              UNION ALL
              SELECT promoter_id, currency, 0, CASE payout_lines.status
                  WHEN 'settled' THEN gross_micros ELSE withheld_micros END
              FROM payout_lines JOIN payout_batches USING (batch_id)
              WHERE payout_lines.status IN ('drafted', 'approved', 'exported', 'settled')) AS flow
        GROUP BY promoter_id, currency HAVING sum(earned) <> sum(there)
    """,
    "all money that campaigns paid is somewhere": """
        SELECT currency, sum(paid), sum(there)
        FROM (SELECT currency, amount_micros AS paid, 0 AS there FROM accruals
              UNION ALL
              SELECT currency, -corrections.amount_micros, 0
              FROM corrections JOIN accruals USING (accrual_id)
              UNION ALL
              SELECT currency, 0, balance_micros FROM accounts JOIN balances USING (account_id)
              WHERE kind NOT IN ('campaign_funding', 'campaign_budget')) AS flow
        GROUP BY currency HAVING sum(paid) <> sum(there)
    """,
}
