"""What the ledger adds up to, and whether it agrees with itself."""

from contextlib import suppress
from typing import NamedTuple

from schemas.money import to_micros
from sinks import (
    ledger_verify_corrections,
    ledger_verify_journals,
    ledger_verify_money,
    ledger_verify_payouts,
)
from sinks.postgres import Connection

LIMIT = 100
"""Most discrepancies that one check reports."""


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
    """Two things that should be the same."""

    check: str
    subject: str
    """The row that is wrong."""
    expected: str
    found: str


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


def verify_ledger(conn: Connection) -> list[Discrepancy]:
    """Everything that does not add up, as of one moment; empty where the ledger is sound."""
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return discrepancies(conn)


def discrepancies(conn: Connection) -> list[Discrepancy]:
    """As `verify_ledger`, within the caller's transaction. Reads all entries."""
    checks = (
        ledger_verify_journals.CHECKS
        | ledger_verify_money.CHECKS
        | ledger_verify_corrections.CHECKS
        | ledger_verify_payouts.CHECKS
    )
    # With a partition a month, compiling a query takes longer than running it.
    conn.execute("SET LOCAL jit = off")
    per_minor = _micros_per_minor(conn)
    parameters = {"currencies": list(per_minor), "per_minor": list(per_minor.values())}
    return [
        Discrepancy(check, *map(str, row))
        for check, query in checks.items()
        for row in conn.execute(f"{query} ORDER BY 1 LIMIT {LIMIT}".encode(), parameters)
    ]


def _micros_per_minor(conn: Connection) -> dict[str, int]:
    found = {}
    for (currency,) in conn.execute("SELECT DISTINCT currency FROM payout_batches"):
        with suppress(ValueError):  # nothing can be paid in it, and the checks say so
            found[currency] = to_micros(1, currency)
    return found
