"""From a payout line to the views it pays, and whether every step sums to the next."""

from datetime import datetime

import msgspec

from schemas.money import format_micros
from sinks.clickhouse import Client
from sinks.payouts.batch import LineStatus, PayoutError
from sinks.postgres import Connection
from sinks.trace_accruals import TracedAccrual, find_views, load_accruals
from sinks.trace_checks import check_accruals, check_payout, check_settlements
from sinks.trace_payable import Part, load_parts


class BankAnswer(msgspec.Struct, frozen=True):
    """What a bank said of the line."""

    file: str
    sha256: str
    outcome: str
    code: str
    reason: str
    applied: bool


class PayoutFile(msgspec.Struct, frozen=True):
    """A file of the batch."""

    name: str
    sha256: str


class TracedLine(msgspec.Struct, frozen=True):
    """A payout line."""

    line_id: int
    batch_id: int
    promoter_id: str
    currency: str
    status: LineStatus
    code: str
    reason: str
    gross_micros: int
    withheld_micros: int
    amount_micros: int
    netted_micros: int
    journal_id: int
    drafted_at: datetime


class Trace(msgspec.Struct, frozen=True):
    """A payout line and what it is made of. `parts` sum to its gross amount plus `stays`."""

    line: TracedLine
    files: list[PayoutFile]
    answers: list[BankAnswer]
    parts: list[Part]
    stays_micros: int
    """Stayed payable: below a minor unit, or settled too late."""
    accruals: list[TracedAccrual]
    """Of the settlements among the parts."""
    given_back: list["Trace"]
    """The lines whose money came back and is paid by this one."""
    problems: list[str]
    """What does not sum up, here and in `given_back`; empty where all does."""


def trace(conn: Connection, client: Client, line_id: int, max_events: int = 3) -> Trace:
    """Everything that a line pays, as of one moment of the ledger.

    Args:
        conn: a connection that is in no transaction.
        max_events: most event ids for each accrual.

    Raises:
        PayoutError: there is no such line.
    """
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return trace_line(conn, client, line_id, max_events)


def trace_line(conn: Connection, client: Client, line_id: int, max_events: int) -> Trace:
    """As `trace`, within the caller's transaction."""
    line = load_line(conn, line_id)
    parts = load_parts(conn, line.promoter_id, line.currency, line_id)
    stays = sum(part.micros for part in parts) - line.gross_micros
    settled = {
        part.journal_id: part.micros
        for part in parts
        if part.what == "settlement" and part.journal_id is not None
    }
    accruals = find_views(client, line.promoter_id, load_accruals(conn, settled.keys()), max_events)
    given_back = [
        trace_line(conn, client, part.line_id, max_events)
        for part in parts
        if part.what == "given back" and part.line_id is not None
    ]
    problems = check_payout(conn, line.line_id)
    if stays < 0:
        payable = format_micros(stays + line.gross_micros, line.currency)
        problems.append(f"line {line_id} pays more than was payable, which was {payable}")
    problems += check_settlements(settled, accruals)
    problems += check_accruals(conn, line.promoter_id, line.currency, accruals)
    for other in given_back:
        problems += other.problems
    return Trace(
        line=line,
        files=_files(conn, line.batch_id),
        answers=load_answers(conn, line_id),
        parts=parts,
        stays_micros=stays,
        accruals=accruals,
        given_back=given_back,
        problems=problems,
    )


def load_line(conn: Connection, line_id: int) -> TracedLine:
    """One line.

    Raises:
        PayoutError: there is none of this number.
    """
    row = conn.execute(
        "SELECT line_id, batch_id, promoter_id, currency, payout_lines.status, code, reason,"
        " gross_micros, withheld_micros, amount_micros, netted_micros, payout_journal_id,"
        " journals.created_at"
        " FROM payout_lines JOIN payout_batches USING (batch_id)"
        " JOIN journals ON journal_id = payout_journal_id WHERE line_id = %s",
        (line_id,),
    ).fetchone()
    if row is None:
        raise PayoutError(f"there is no payout line {line_id}: see `viewledger payouts show BATCH`")
    return TracedLine(*row)


def load_answers(conn: Connection, line_id: int) -> list[BankAnswer]:
    """What banks said of a line, in the order in which it was imported."""
    rows = conn.execute(
        "SELECT name, sha256, outcome, code, reason, applied"
        " FROM bank_answers JOIN bank_files USING (bank_file_id)"
        " WHERE line_id = %s ORDER BY answer_id",
        (line_id,),
    )
    return [BankAnswer(*row) for row in rows]


def _files(conn: Connection, batch_id: int) -> list[PayoutFile]:
    rows = conn.execute(
        "SELECT name, sha256 FROM payout_files WHERE batch_id = %s ORDER BY part", (batch_id,)
    )
    return [PayoutFile(*row) for row in rows]
