"""Money into a campaign's budget and out of it, apart from the catalogue: by amount and key."""

from typing import NamedTuple

from schemas.money import format_micros
from sinks.catalogue_file import MAX_BUDGET_MICROS, CatalogueError
from sinks.ledger import Entry, Journal, lock_balances, open_accounts, post
from sinks.postgres import Connection


class Moved(NamedTuple):
    """What was funded or refunded."""

    journal_id: int
    amount_micros: int
    currency: str
    left_micros: int
    """In the budget, after it."""
    repeated: bool
    """The key had done it before: nothing was done now."""


def fund_campaign(conn: Connection, campaign_id: str, amount_micros: int, key: str) -> Moved:
    """Adds to a budget; once per key.

    Raises:
        CatalogueError: an unknown campaign, an amount that is not positive, too large a budget.
        IdempotencyError: the key was used for something else.
    """
    return _move(conn, campaign_id, amount_micros, key, refund=False)


def refund_campaign(
    conn: Connection, campaign_id: str, amount_micros: int | None, key: str
) -> Moved:
    """Takes from a budget what is not spent, by default all that is left; once per key.

    Raises:
        CatalogueError: an unknown campaign, an amount that is not positive, more than is left.
        IdempotencyError: the key was used for something else.
    """
    return _move(conn, campaign_id, amount_micros, key, refund=True)


def _move(
    conn: Connection, campaign_id: str, amount_micros: int | None, key: str, *, refund: bool
) -> Moved:
    if amount_micros is not None and amount_micros <= 0:
        raise CatalogueError("the amount must be more than zero")
    with conn.transaction():
        # The lock of an import: two that change budgets come one after the other.
        conn.execute("SELECT FROM catalogue_version FOR UPDATE")
        row = conn.execute(
            "SELECT currency, budget_micros FROM campaigns WHERE campaign_id = %s", (campaign_id,)
        ).fetchone()
        if row is None:
            raise CatalogueError(
                f"campaign {campaign_id!r} is not in the catalogue: import it first"
            )
        currency, budget_micros = row
        owner = (campaign_id, currency)
        budget = open_accounts(conn, "campaign_budget", [owner])[owner]
        source = open_accounts(conn, "campaign_funding", [owner])[owner]
        left = lock_balances(conn, [budget])[budget]
        before = _moved_before(conn, key, budget)
        if amount_micros is None:
            amount_micros = left if before is None else -before
        if before is None:
            _check(campaign_id, currency, amount_micros, left, budget_micros, refund=refund)
        into = -amount_micros if refund else amount_micros
        text = f"{'refund from' if refund else 'funding of'} {campaign_id}: {amount_micros} micros"
        entries = (Entry(source, -into), Entry(budget, into))
        (journal_id,) = post(conn, [Journal("funding", f"fund:{key}", text, entries)])
        if before is None:
            left += into
            conn.execute(
                "UPDATE campaigns SET budget_micros = budget_micros + %s, updated_at = now()"
                " WHERE campaign_id = %s",
                (into, campaign_id),
            )
    return Moved(journal_id, amount_micros, currency, left, before is not None)


def _moved_before(conn: Connection, key: str, budget: int) -> int | None:
    row = conn.execute(
        "SELECT amount_micros FROM journals JOIN entries USING (journal_id)"
        " WHERE idempotency_key = %s AND account_id = %s",
        (f"fund:{key}", budget),
    ).fetchone()
    return None if row is None else int(row[0])


def _check(
    campaign_id: str, currency: str, amount: int, left: int, budget: int, *, refund: bool
) -> None:
    if refund and not 0 < amount <= left:
        raise CatalogueError(
            f"campaign {campaign_id!r}: {format_micros(left, currency)} are left; "
            + ("nothing can be refunded" if not left else "no more than that can be refunded")
        )
    if not refund and budget + amount > MAX_BUDGET_MICROS:
        most = format_micros(MAX_BUDGET_MICROS - budget, currency)
        raise CatalogueError(f"campaign {campaign_id!r}: no more than {most} can be added")
