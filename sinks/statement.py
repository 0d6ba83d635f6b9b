"""The statement of a promoter: what there was, what came and went, and what there is.

What came and went is told from what it was for (accruals, corrections, settled accruals, payout
lines), what there was and is from the entries of the ledger. The two must meet exactly, on every
account: where they do not, there is no statement.
"""

from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from sinks.clickhouse import Client
from sinks.postgres import Connection
from sinks.statement_accounts import Accounts, Ends, Period, StatementError, load_ends
from sinks.statement_earned import (
    Correction,
    Earned,
    Hold,
    load_corrections,
    load_earned,
    load_hold,
)
from sinks.statement_paid import (
    Netting,
    Payout,
    Settlement,
    load_nettings,
    load_payouts,
    load_settlements,
    payout_movements,
)
from sinks.statement_views import Unpaid, load_unpaid

__all__ = ["InCurrency", "Movement", "Statement", "StatementError", "load_currencies", "statement"]


class Movement(msgspec.Struct, frozen=True):
    """What all things of one kind did to the accounts in the period."""

    what: str
    accounts: Accounts


class InCurrency(msgspec.Struct, frozen=True):
    """A statement in one currency: `opening` and all `movements` sum to `closing`."""

    currency: str
    opening: Accounts
    movements: list[Movement]
    closing: Accounts
    earned: list[Earned]
    hold: list[Hold]
    """Sums to what is pending in `closing`."""
    corrections: list[Correction]
    settlements: list[Settlement]
    nettings: list[Netting]
    payouts: list[Payout]


class Statement(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """One promoter in `[from_, to)`: the ledger by when it was booked, views by log time."""

    promoter_id: str
    legal_name: str
    """Empty where there is no payee."""
    from_: datetime
    to: datetime
    currencies: list[InCurrency]
    unpaid: list[Unpaid]
    """Views that are not valid; valid ones beyond the budget are in `earned`."""


def statement(
    conn: Connection, client: Client, promoter_id: str, from_: datetime, to: datetime
) -> Statement:
    """What happened to the views and the money of a promoter.

    Made again it says the same, once all transactions that began before `to` have ended and
    all views that came before it are stored.

    Args:
        conn: a connection that is in no transaction.
        from_, to: with a time zone; the period is half-open.

    Raises:
        StatementError: no such promoter, an empty period, or books that do not add up.
    """
    if from_ >= to:
        raise StatementError(f"the period from {from_.isoformat()} to {to.isoformat()} is empty")
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = conn.execute(
            "SELECT coalesce(legal_name, '') FROM promoters LEFT JOIN payees USING (promoter_id)"
            " WHERE promoter_id = %s",
            (promoter_id,),
        ).fetchone()
        if row is None:
            raise StatementError(
                f"there is no promoter {promoter_id!r} in the catalogue: ids are as in its import"
            )
        currencies = load_currencies(conn, {"promoter": promoter_id, "from": from_, "to": to})
    unpaid = load_unpaid(client, promoter_id, from_, to)
    return Statement(promoter_id, row[0], from_, to, currencies, unpaid)


def load_currencies(conn: Connection, period: Period) -> list[InCurrency]:
    """The ledger's part of a statement, within the caller's transaction.

    Raises:
        StatementError: the books do not add up.
    """
    ends = load_ends(conn, period)
    earned, hold = load_earned(conn, period), load_hold(conn, period)
    corrections, settlements = load_corrections(conn, period), load_settlements(conn, period)
    nettings, payouts = load_nettings(conn, period), load_payouts(conn, period)
    capped_only = {row.currency for row in earned} - set(ends)
    found = []
    for currency in sorted({*ends, *capped_only}):
        opening, closing = ends.get(currency, Ends())
        part = InCurrency(
            currency=currency,
            opening=opening,
            movements=[],
            closing=closing,
            earned=_of(currency, earned),
            hold=_of(currency, hold),
            corrections=_of(currency, corrections),
            settlements=_of(currency, settlements),
            nettings=_of(currency, nettings),
            payouts=_of(currency, payouts),
        )
        part = msgspec.structs.replace(part, movements=_movements(part, period))
        _check(part, period)
        found.append(part)
    return found


class _InCurrency(Protocol):
    @property
    def currency(self) -> str: ...


_Row = TypeVar("_Row", bound=_InCurrency)


def _of(currency: str, rows: list[_Row]) -> list[_Row]:
    return [row for row in rows if row.currency == currency]


def _movements(part: InCurrency, period: Period) -> list[Movement]:
    released = sum(row.net_micros for row in part.settlements)
    netted = sum(row.micros for row in part.nettings)
    corrected = sum((row.accounts for row in part.corrections), Accounts())
    moved = [
        ("earned, gross", Accounts(sum(row.gross_micros for row in part.earned))),
        ("platform fees", Accounts(-sum(row.fee_micros for row in part.earned))),
        ("corrections", corrected),
        ("released from hold", Accounts(-released, released)),
        ("netted", Accounts(0, -netted, netted)),
        *payout_movements(part.payouts, period["from"]),
    ]
    return [Movement(what, accounts) for what, accounts in moved if accounts != Accounts()]


def _check(part: InCurrency, period: Period) -> None:
    told = sum((movement.accounts for movement in part.movements), part.opening)
    hold = sum(row.net_micros for row in part.hold)
    for account, expected, found in (
        *((f, getattr(told, f), getattr(part.closing, f)) for f in Accounts.__struct_fields__),
        ("pending by what is in hold", hold, part.closing.pending),
    ):
        if expected != found:
            raise StatementError(
                f"the books of {period['promoter']} in {part.currency} do not add up ({account}): "
                f"{expected:,} micros by accruals, corrections, settlements and payout lines, and "
                f"{found:,} by the entries of the ledger; run `viewledger ledger verify`"
            )
