"""What the ledger adds up to, and whether it agrees with itself."""

from typing import NamedTuple

from sinks.postgres import Connection


class Total(NamedTuple):
    """All that was booked for one promoter in one campaign."""

    campaign_id: str
    promoter_id: str
    currency: str
    views: int
    """Paid."""
    amount_micros: int
    capped_views: int
    """Valid, but not covered by the budget."""
    capped_micros: int


class Discrepancy(NamedTuple):
    """Two figures that should be the same."""

    check: str
    subject: str
    expected: int
    found: int


def ledger_totals(conn: Connection) -> list[Total]:
    """Sums of the accruals by campaign, promoter and currency, in this order."""
    rows = conn.execute(
        """
        SELECT campaign_id, promoter_id, currency, sum(views)::bigint,
            sum(amount_micros)::bigint, sum(capped_views)::bigint, sum(capped_micros)::bigint
        FROM accruals
        GROUP BY campaign_id, promoter_id, currency
        ORDER BY campaign_id, promoter_id, currency
        """
    )
    return [Total(*row) for row in rows]


_CHECKS = {
    "balance is the sum of its entries": """
        SELECT kind || ' ' || owner_id || ' ' || currency, coalesce(total, 0), balance_micros
        FROM accounts
        JOIN balances USING (account_id)
        LEFT JOIN (SELECT account_id, sum(amount_micros) AS total FROM entries GROUP BY account_id)
            AS moved USING (account_id)
        WHERE balance_micros <> coalesce(total, 0)
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
    "a journal credits what its accruals say": """
        SELECT 'journal ' || journal_id || ' ' || kind || ' ' || owner_id || ' ' || currency,
            coalesce(accrued, 0), coalesce(credited, 0)
        FROM (SELECT journal_id, kind, owner_id, currency, sum(micros) AS accrued
              FROM accruals CROSS JOIN LATERAL (VALUES
                  ('promoter_pending', promoter_id, amount_micros - fee_micros),
                  ('platform_fee', 'platform', fee_micros)) AS paid (kind, owner_id, micros)
              WHERE journal_id IS NOT NULL
              GROUP BY journal_id, kind, owner_id, currency) AS accruals
        FULL JOIN
             (SELECT journal_id, accounts.kind, owner_id, currency, sum(amount_micros) AS credited
              FROM journals JOIN entries USING (journal_id) JOIN accounts USING (account_id)
              WHERE journals.kind = 'accrual'
                  AND accounts.kind IN ('promoter_pending', 'platform_fee')
              GROUP BY journal_id, accounts.kind, owner_id, currency) AS credits
            USING (journal_id, kind, owner_id, currency)
        WHERE coalesce(accrued, 0) <> coalesce(credited, 0)
    """,
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
}


def verify_ledger(conn: Connection) -> list[Discrepancy]:
    """Everything that does not add up, as of one moment; empty where the ledger is sound."""
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return discrepancies(conn)


def discrepancies(conn: Connection) -> list[Discrepancy]:
    """As `verify_ledger`, within the caller's transaction. Reads all entries."""
    return [
        Discrepancy(check, subject, int(expected), int(found))
        for check, query in _CHECKS.items()
        for subject, expected, found in conn.execute(query)
    ]
