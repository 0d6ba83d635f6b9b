"""The accounts of a promoter at the beginning and at the end of a period."""

from collections import defaultdict
from datetime import datetime
from typing import NamedTuple, TypedDict

import msgspec

from sinks.postgres import Connection


class StatementError(Exception):
    """There is no statement: says why and what to do."""


Period = TypedDict("Period", {"promoter": str, "from": datetime, "to": datetime})
"""Parameters of all queries; half-open."""


class Accounts(msgspec.Struct, frozen=True):
    """Micros on, or moved into, the accounts of a promoter."""

    pending: int = 0
    """Earned, in hold."""
    payable: int = 0
    debt: int = 0
    """Negative: what was paid too much and is netted from what comes."""
    in_transit: int = 0
    """In a batch, and not yet settled by the bank."""

    def __add__(self, other: "Accounts") -> "Accounts":
        return Accounts(
            self.pending + other.pending,
            self.payable + other.payable,
            self.debt + other.debt,
            self.in_transit + other.in_transit,
        )


class Ends(NamedTuple):
    """Sums of entries before the beginning and before the end."""

    opening: Accounts = Accounts()
    closing: Accounts = Accounts()


_FIELDS = {
    "promoter_pending": "pending",
    "promoter_payable": "payable",
    "promoter_debt": "debt",
    "payout_clearing": "in_transit",
}


def load_ends(conn: Connection, period: Period) -> dict[str, Ends]:
    """By currency.

    Raises:
        StatementError: a balance is not the sum of its entries.
    """
    rows = conn.execute(
        """
        SELECT currency, kind, balance_micros, coalesce(sum(amount_micros), 0)::bigint,
            coalesce(sum(amount_micros) FILTER (WHERE entries.created_at < %(from)s), 0)::bigint,
            coalesce(sum(amount_micros) FILTER (WHERE entries.created_at < %(to)s), 0)::bigint
        FROM accounts JOIN balances USING (account_id) LEFT JOIN entries USING (account_id)
        WHERE owner_id = %(promoter)s
            AND kind IN ('promoter_pending', 'promoter_payable', 'promoter_debt', 'payout_clearing')
        GROUP BY currency, kind, balance_micros
        """,
        period,
    )
    found: dict[str, tuple[dict[str, int], dict[str, int]]] = defaultdict(lambda: ({}, {}))
    for currency, kind, balance, entries, opening, closing in rows:
        if balance != entries:
            raise StatementError(
                f"the {kind} account of {period['promoter']} in {currency} has {balance:,} micros "
                f"and its entries sum to {entries:,}: run `viewledger ledger verify`"
            )
        found[currency][0][_FIELDS[kind]] = opening
        found[currency][1][_FIELDS[kind]] = closing
    return {
        currency: Ends(Accounts(**opening), Accounts(**closing))
        for currency, (opening, closing) in found.items()
    }
