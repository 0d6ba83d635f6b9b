"""A statement as tables, for people: text and PDF show the same ones."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from schemas.money import MICROS
from sinks.statement import InCurrency, Statement
from sinks.statement_accounts import Accounts


class Table(NamedTuple):
    """A title, a header and rows of the same width."""

    title: str
    header: list[str]
    rows: list[list[str]]
    texts: int
    """How many columns from the left are text; the others are numbers."""


def title(statement: Statement) -> list[str]:
    """Two lines: of whom, and of when."""
    name = f" ({statement.legal_name})" if statement.legal_name else ""
    return [
        f"Statement of promoter {statement.promoter_id}{name}",
        f"from {utc(statement.from_)} until {utc(statement.to)}, which is not in it",
    ]


def tables(statement: Statement) -> Iterator[Table]:
    """Those that have rows; amounts are exact, to the micro."""
    for part in statement.currencies:
        yield _balances(part)
        yield from (table for table in _details(part) if table.rows)
    if statement.unpaid:
        yield Table(
            "Views that were not paid",
            ["campaign", "verdict", "reasons", "views"],
            [
                [row.campaign_id, row.verdict, ", ".join(row.reasons), f"{row.views:,}"]
                for row in statement.unpaid
            ],
            3,
        )


def _balances(part: InCurrency) -> Table:
    rows = [("at the beginning", part.opening)]
    rows += [(movement.what, movement.accounts) for movement in part.movements]
    rows.append(("at the end", part.closing))
    header = ["", "pending", "payable", "debt", "in transit"]
    return Table(f"{part.currency}: balances", header, [[w, *_accounts(a)] for w, a in rows], 1)


def _accounts(accounts: Accounts) -> list[str]:
    fields = (accounts.pending, accounts.payable, accounts.debt, accounts.in_transit)
    return [amount(micros) for micros in fields]


def _details(part: InCurrency) -> Iterator[Table]:
    yield Table(
        f"{part.currency}: earned",
        ["campaign", "views", "rate", "gross", "fee", "net", "beyond the budget"],
        [
            [
                row.campaign_id,
                f"{row.views:,}",
                amount(row.rate_micros),
                amount(row.gross_micros),
                amount(row.fee_micros),
                amount(row.gross_micros - row.fee_micros),
                f"{row.capped_views:,}",
            ]
            for row in part.earned
        ],
        1,
    )
    yield Table(
        f"{part.currency}: in hold at the end",
        ["campaign", "released from", "to", "views", "net"],
        [
            [
                row.campaign_id,
                utc(row.first_release),
                utc(row.last_release),
                f"{row.views:,}",
                amount(row.net_micros),
            ]
            for row in part.hold
        ],
        3,
    )
    yield Table(
        f"{part.currency}: corrections",
        ["when", "campaign", "reason", "accrual", "views", "net"],
        [
            [
                utc(row.at),
                row.campaign_id,
                row.reason,
                str(row.accrual_id),
                f"{-row.views:,}",
                amount(row.fee_micros - row.gross_micros),
            ]
            for row in part.corrections
        ],
        3,
    )
    yield Table(
        f"{part.currency}: released from hold",
        ["when", "journal", "accruals", "net"],
        [
            [utc(row.at), str(row.journal_id), f"{row.accruals:,}", amount(row.net_micros)]
            for row in part.settlements
        ],
        1,
    )
    yield Table(
        f"{part.currency}: netted with what was paid too much",
        ["when", "journal", "amount"],
        [[utc(row.at), str(row.journal_id), amount(row.micros)] for row in part.nettings],
        1,
    )
    yield Table(
        f"{part.currency}: payouts",
        ["line", "drafted", "status", "settled", "given back", "gross", "tax", "transfer"],
        [
            [
                f"VL{row.line_id}",
                utc(row.drafted_at),
                " ".join(filter(None, [row.status, row.code, row.reason])),
                utc(row.settled_at),
                utc(row.given_back_at),
                amount(row.gross_micros),
                amount(row.withheld_micros),
                amount(row.amount_micros),
            ]
            for row in part.payouts
        ],
        5,
    )


def amount(micros: int) -> str:
    """`1234567890` → `1,234.567890`: exact."""
    return f"{Decimal(micros) / MICROS:,.6f}"


def utc(at: datetime | None) -> str:
    """To the second; empty for None."""
    if at is None:
        return ""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
