"""What campaigns may still spend, in total and by day, as of the transaction that books."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from sinks.book_accrue import Accrual, Budget, Demand, days_of
from sinks.ledger import Owner, find_accounts, lock_balances
from sinks.postgres import Connection


def lock_budgets(conn: Connection, wanted: Demand) -> tuple[dict[Owner, int], list[Budget]]:
    """Budget accounts by owner, and what is left for each of `wanted.owners`.

    Balances are locked in order of their accounts, then days in order of campaign and day. An
    owner without a budget account has nothing left.
    """
    accounts = find_accounts(conn, "campaign_budget", wanted.owners)
    balances = lock_balances(conn, accounts.values())
    rows = conn.execute(
        "SELECT campaign_id, fee_bp, daily_budget_micros FROM campaigns"
        " WHERE campaign_id = ANY (%s)",
        ([campaign_id for campaign_id, _ in accounts],),
    ).fetchall()
    fees = {campaign_id: fee_bp for campaign_id, fee_bp, _ in rows}
    by_day = _left_by_day(conn, wanted, {row[0]: row[2] for row in rows if row[2] is not None})
    budgets = [
        Budget(balances[accounts[owner]], fees.get(owner[0], 0), by_day.get(owner[0]))
        if owner in accounts
        else Budget(0)
        for owner in wanted.owners
    ]
    return accounts, budgets


def _left_by_day(
    conn: Connection, wanted: Demand, limits: dict[str, int]
) -> dict[str, dict[date, int]]:
    if not limits:
        return {}
    days: list[date] = sorted(set(days_of(wanted).tolist()))
    left = {campaign_id: dict.fromkeys(days, limit) for campaign_id, limit in limits.items()}
    # A day that is not there yet cannot be locked: its campaign's balance is, that is enough.
    rows = conn.execute(
        """
        SELECT campaign_id, day, spent_micros FROM campaign_days
        WHERE campaign_id = ANY (%s) AND day = ANY (%s)
        ORDER BY campaign_id, day FOR UPDATE
        """,
        (list(limits), days),
    )
    for campaign_id, day, spent in rows:
        left[campaign_id][day] -= spent
    return left


def record_days(conn: Connection, accruals: Sequence[Accrual]) -> None:
    """Adds what was paid to the days of the campaigns."""
    spent: dict[tuple[str, date], int] = defaultdict(int)
    for row in accruals:
        if row.views:
            spent[row.campaign_id, row.log_hour.date()] += row.amount_micros
    if not spent:
        return
    keys = sorted(spent)  # one order for all, against deadlocks
    conn.execute(
        """
        INSERT INTO campaign_days AS known (campaign_id, day, spent_micros)
        SELECT * FROM unnest(%s::text[], %s::date[], %s::bigint[])
        ON CONFLICT (campaign_id, day)
            DO UPDATE SET spent_micros = known.spent_micros + excluded.spent_micros
        """,
        ([key[0] for key in keys], [key[1] for key in keys], [spent[key] for key in keys]),
    )
