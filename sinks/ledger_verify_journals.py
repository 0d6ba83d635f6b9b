"""Checks of accounts, journals and entries: each is one query.

A query returns the rows that are wrong, and nothing else: which one, what was expected, what is
there. What the database refuses is checked all the same: who owns it can switch that off.
"""


def legs(kind: str, expected: str) -> str:
    """Journals of a kind move exactly what `expected` says.

    Args:
        expected: a query of `journal_id, kind, owner_id, currency, micros`; the kind is that of
            the account.
    """
    return f"""
        SELECT 'journal ' || journal_id
            || coalesce(' ' || accounts.kind || ' ' || owner_id || ' ' || currency, ''),
            coalesce(said, 0), coalesce(moved, 0)
        FROM (SELECT journal_id, account_id, sum(micros) AS said
              FROM ({expected}) AS document
              LEFT JOIN accounts USING (kind, owner_id, currency)
              GROUP BY journal_id, account_id) AS documents
        FULL JOIN
             (SELECT journal_id, account_id, amount_micros AS moved
              FROM journals JOIN entries USING (journal_id)
              WHERE journals.kind = '{kind}') AS posted
            USING (journal_id, account_id)
        LEFT JOIN accounts USING (account_id)
        WHERE coalesce(said, 0) <> coalesce(moved, 0)
    """  # noqa: S608 - text of ours


# Table, its id, the column that points, table and column it points to.
_BELONGS = [
    ("entries", "journal_id", "journal_id", "journals", "journal_id"),
    ("entries", "journal_id", "account_id", "accounts", "account_id"),
    ("accounts", "account_id", "account_id", "balances", "account_id"),
    ("balances", "account_id", "account_id", "accounts", "account_id"),
    ("journals", "journal_id", "reverses_id", "journals", "journal_id"),
    ("accruals", "accrual_id", "journal_id", "journals", "journal_id"),
    ("settled_accruals", "settled_id", "accrual_id", "accruals", "accrual_id"),
    ("settled_accruals", "settled_id", "journal_id", "journals", "journal_id"),
    ("corrections", "correction_id", "accrual_id", "accruals", "accrual_id"),
    ("corrections", "correction_id", "reversal_id", "journals", "journal_id"),
    ("corrections", "correction_id", "rebooked_id", "journals", "journal_id"),
    ("view_corrections", "view_correction_id", "accrual_id", "accruals", "accrual_id"),
    ("view_corrections", "view_correction_id", "correction_id", "corrections", "correction_id"),
    ("view_reviews", "review_id", "view_correction_id", "view_corrections", "view_correction_id"),
    ("campaign_days", "campaign_id", "campaign_id", "campaigns", "campaign_id"),
    ("campaign_rates", "campaign_id", "campaign_id", "campaigns", "campaign_id"),
    ("payout_lines", "line_id", "batch_id", "payout_batches", "batch_id"),
    ("payout_lines", "line_id", "promoter_id", "promoters", "promoter_id"),
    ("payout_lines", "line_id", "payout_journal_id", "journals", "journal_id"),
    ("payout_events", "event_id", "batch_id", "payout_batches", "batch_id"),
    ("payout_events", "event_id", "line_id", "payout_lines", "line_id"),
    ("payout_files", "file_id", "batch_id", "payout_batches", "batch_id"),
    ("bank_answers", "answer_id", "bank_file_id", "bank_files", "bank_file_id"),
    ("bank_answers", "answer_id", "line_id", "payout_lines", "line_id"),
]


def _orphans() -> str:
    return " UNION ALL ".join(
        f"(SELECT '{table} {row_id} ' || child.{row_id},"  # noqa: S608
        f" '{parent} ' || child.{column}, 'no such row'"
        f" FROM {table} AS child WHERE child.{column} IS NOT NULL AND NOT EXISTS"
        f" (SELECT FROM {parent} AS parent WHERE parent.{key} = child.{column}))"
        for table, row_id, column, parent, key in _BELONGS
    )


CHECKS = {
    "every row has what it belongs to": _orphans(),
    "balance is the sum of its entries": """
        SELECT kind || ' ' || owner_id || ' ' || currency, coalesce(total, 0), balance_micros
        FROM accounts
        JOIN balances USING (account_id)
        LEFT JOIN (SELECT account_id, sum(amount_micros) AS total FROM entries GROUP BY account_id)
            AS moved USING (account_id)
        WHERE balance_micros <> coalesce(total, 0)
    """,
    "only funding and debts are below zero, and debts are never above": """
        SELECT kind || ' ' || owner_id || ' ' || currency,
            CASE kind WHEN 'promoter_debt' THEN 'at most 0' ELSE 'at least 0' END, balance_micros
        FROM accounts JOIN balances USING (account_id)
        WHERE (kind NOT IN ('campaign_funding', 'promoter_debt') AND balance_micros < 0)
            OR (kind = 'promoter_debt' AND balance_micros > 0)
    """,
    "a balance may go below zero where its account may": """
        SELECT 'balances account_id ' || account_id, accounts.may_go_negative,
            balances.may_go_negative
        FROM accounts JOIN balances USING (account_id)
        WHERE accounts.may_go_negative <> balances.may_go_negative
    """,
    "entries of a journal sum to zero": """
        SELECT 'journal ' || journal_id || ' ' || currency, 0, sum(amount_micros)
        FROM entries JOIN accounts USING (account_id)
        GROUP BY journal_id, currency HAVING sum(amount_micros) <> 0
    """,
    "a journal has at least two entries": """
        SELECT 'journal ' || journal_id, 2, count(account_id)
        FROM journals LEFT JOIN entries USING (journal_id)
        GROUP BY journal_id HAVING count(account_id) < 2
    """,
    "a reversal takes back its journal, entry by entry": """
        SELECT 'journal ' || journal_id || ' account ' || account_id,
            coalesce(expected, 0), coalesce(taken, 0)
        FROM (SELECT back.journal_id, account_id, -amount_micros AS expected
              FROM journals AS back JOIN entries ON entries.journal_id = reverses_id) AS posted
        FULL JOIN
             (SELECT journal_id, account_id, amount_micros AS taken
              FROM journals JOIN entries USING (journal_id)
              WHERE kind = 'reversal' OR reverses_id IS NOT NULL) AS reversed
            USING (journal_id, account_id)
        WHERE coalesce(expected, 0) <> coalesce(taken, 0)
    """,
    "only what was accrued, corrected or paid out is reversed, and once": """
        SELECT 'journal ' || original.journal_id || ' ' || original.kind, 'at most one reversal',
            'reversed by ' || string_agg(back.journal_id::text, ', ' ORDER BY back.journal_id)
        FROM journals AS back JOIN journals AS original ON original.journal_id = back.reverses_id
        GROUP BY original.journal_id
        HAVING count(*) > 1
            OR original.kind NOT IN ('accrual', 'correction', 'payout', 'payout_settled')
    """,
    "funding and netting stay with their owner": """
        SELECT 'journal ' || journal_id || ' ' || journals.kind,
            'entries of one owner',
            string_agg(accounts.kind || ' ' || owner_id, ', ' ORDER BY account_id)
        FROM journals JOIN entries USING (journal_id) JOIN accounts USING (account_id)
        WHERE journals.kind IN ('funding', 'netting')
        GROUP BY journal_id
        HAVING count(DISTINCT owner_id) > 1 OR NOT bool_and(accounts.kind = ANY (
            CASE journals.kind WHEN 'funding' THEN ARRAY['campaign_funding', 'campaign_budget']
                ELSE ARRAY['promoter_payable', 'promoter_debt'] END))
    """,
    "a journal credits what its accruals say": legs(
        "accrual",
        """
        SELECT journal_id, 'promoter_pending' AS kind, promoter_id AS owner_id, currency,
            amount_micros - fee_micros AS micros
        FROM accruals WHERE journal_id IS NOT NULL
        UNION ALL
        SELECT journal_id, 'campaign_budget', campaign_id, currency, -sum(amount_micros)::bigint
        FROM accruals WHERE journal_id IS NOT NULL GROUP BY journal_id, campaign_id, currency
        UNION ALL
        SELECT journal_id, 'platform_fee', 'platform', currency, sum(fee_micros)::bigint
        FROM accruals WHERE journal_id IS NOT NULL GROUP BY journal_id, currency
        """,
    ),
    "an accrual is what its views come to": """
        SELECT 'accrual ' || accrual_id,
            views * rate_micros || ', of it ' || views * (rate_micros * fee_bp / 10000)
                || ', capped ' || capped_views * rate_micros,
            amount_micros || ', of it ' || fee_micros || ', capped ' || capped_micros
        FROM accruals
        WHERE amount_micros <> views * rate_micros OR capped_micros <> capped_views * rate_micros
            OR fee_micros <> views * (rate_micros * fee_bp / 10000)
            OR least(views, capped_views) < 0 OR (journal_id IS NULL) <> (views = 0)
    """,
}
