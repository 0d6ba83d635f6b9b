"""A statement as text and as CSV."""

import csv
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from schemas.money import MICROS
from sinks.bank_files.text import csv_text, plain_text
from sinks.statement import InCurrency, Statement
from sinks.statement_tables import Table, tables, title, utc

# fmt: off
COLUMNS = [
    "promoter_id", "currency", "section", "at", "reference", "detail", "views", "rate", "amount",
]
# fmt: on


def as_text(statement: Statement) -> str:
    """Tables in columns, as wide as they need to be."""
    blocks = ["\n".join(plain_text(line) for line in title(statement))]
    return "\n\n".join([*blocks, *map(_columns, tables(statement))]) + "\n"


def _columns(table: Table) -> str:
    rows = [[plain_text(cell) for cell in row] for row in (table.header, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i < table.texts else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([table.title, *("  " + line for line in lines)])


def as_csv(statement: Statement) -> str:
    """A line for everything in the statement, all with the same columns, in UTF-8 with a header.

    Amounts are exact, in units of the currency; times in UTC, ISO 8601. Text that a spreadsheet
    would run as a formula begins with an apostrophe.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for part in statement.currencies:
        for line in (*_balances(part), *_earnings(part), *_payments(part)):
            texts = [statement.promoter_id, part.currency, *line[:4]]
            writer.writerow([*map(csv_text, texts), *line[4:]])
    for row in statement.unpaid:
        reasons = " ".join([row.verdict, *row.reasons])
        texts = [statement.promoter_id, "", "not paid", "", row.campaign_id, reasons]
        writer.writerow([*map(csv_text, texts), str(row.views), "", ""])
    return out.getvalue()


class _Line(NamedTuple):
    """The columns from `section` on; amounts and rates in decimals."""

    section: str
    at: str = ""
    reference: str = ""
    detail: str = ""
    views: str = ""
    rate: str = ""
    amount: str = ""


def _balances(part: InCurrency) -> Iterator[_Line]:
    moved = [(f"movement: {movement.what}", movement.accounts) for movement in part.movements]
    for section, accounts in (("opening", part.opening), *moved, ("closing", part.closing)):
        for account in accounts.__struct_fields__:
            micros: int = getattr(accounts, account)
            if micros or section in ("opening", "closing"):
                yield _Line(section, "", account, "", "", "", _amount(micros))


def _earnings(part: InCurrency) -> Iterator[_Line]:
    for row in part.earned:
        views, rate = str(row.views), _amount(row.rate_micros)
        yield _Line("earned", "", row.campaign_id, "", views, rate, _amount(row.gross_micros))
        if row.fee_micros:
            fee = f"{row.fee_bp} basis points"
            yield _Line("fee", "", row.campaign_id, fee, views, "", _amount(-row.fee_micros))
        if row.capped_views:
            capped = str(row.capped_views)
            yield _Line("beyond the budget", "", row.campaign_id, "", capped, rate)
    for held in part.hold:
        views, net = str(held.views), _amount(held.net_micros)
        until = utc(held.last_release)
        yield _Line("in hold", until, held.campaign_id, "released until then", views, "", net)
    for back in part.corrections:
        net, views = _amount(back.fee_micros - back.gross_micros), str(-back.views)
        what = f"accrual {back.accrual_id}: {back.reason}"
        rate = _amount(back.rate_micros)
        yield _Line("correction", utc(back.at), back.campaign_id, what, views, rate, net)


def _payments(part: InCurrency) -> Iterator[_Line]:
    for row in part.settlements:
        said = f"{row.accruals} accruals"
        journal, net = f"journal {row.journal_id}", _amount(row.net_micros)
        yield _Line("released", utc(row.at), journal, said, "", "", net)
    for netting in part.nettings:
        journal, kept = f"journal {netting.journal_id}", _amount(-netting.micros)
        yield _Line("netted", utc(netting.at), journal, "", "", "", kept)
    for line in part.payouts:
        name, batch = f"VL{line.line_id}", f"batch {line.batch_id}"
        said = " ".join(filter(None, [batch, line.status, line.code, line.reason]))
        for section, micros in (
            ("payout", line.amount_micros),
            ("payout: withheld tax", line.withheld_micros),
        ):
            if micros:
                yield _Line(section, utc(line.drafted_at), name, said, "", "", _amount(micros))
        for section, at, micros in (
            ("payout settled", line.settled_at, line.amount_micros),
            ("payout returned", line.returned_at, line.amount_micros),
            ("payout given back", line.given_back_at, line.gross_micros),
        ):
            if at is not None:
                yield _Line(section, utc(at), name, said, "", "", _amount(micros))


def _amount(micros: int) -> str:
    return f"{Decimal(micros) / MICROS:.6f}"
