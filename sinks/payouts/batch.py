"""Payout batches and their lines as they are in the database."""

from datetime import date, datetime
from typing import Literal, NamedTuple

from psycopg.rows import class_row

from sinks.postgres import Connection

LineStatus = Literal[
    "drafted", "approved", "exported", "settled", "failed", "returned", "cancelled"
]
OPEN: tuple[LineStatus, ...] = ("drafted", "approved", "exported")


class PayoutError(Exception):
    """What was asked for cannot be done; says why and what to do."""


class Line(NamedTuple):
    """One row of `payout_lines`."""

    line_id: int
    batch_id: int
    promoter_id: str
    gross_micros: int
    withheld_micros: int
    amount_micros: int
    amount_minor: int
    netted_micros: int
    status: LineStatus
    payee_version: int
    payout_journal_id: int
    code: str
    reason: str

    @property
    def end_to_end_id(self) -> str:
        """What finds the line again in what a bank answers."""
        return f"VL{self.line_id}"


class Batch(NamedTuple):
    """One row of `payout_batches`, with its lines."""

    batch_id: int
    currency: str
    until: datetime
    min_micros: int
    status: Literal["draft", "approved", "exported", "closed", "cancelled"]
    drafted_by: str
    drafted_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    chain_head: bytes | None
    format: str | None
    execution_date: date | None
    exported_by: str | None
    exported_at: datetime | None
    lines: list[Line]

    @property
    def total_micros(self) -> int:
        """What is or was to be transferred: all lines but the cancelled ones."""
        return sum(line.amount_micros for line in self.lines if line.status != "cancelled")


def load_batch(conn: Connection, batch_id: int, *, lock: bool = False) -> Batch:
    """A batch with its lines in order.

    Args:
        lock: until the transaction ends.

    Raises:
        PayoutError: there is none of this number.
    """
    columns = ", ".join(field for field in Batch._fields if field != "lines")
    row = conn.execute(
        f"SELECT {columns} FROM payout_batches WHERE batch_id = %s"  # noqa: S608 - names of ours
        + (" FOR UPDATE" if lock else ""),
        (batch_id,),
    ).fetchone()
    if row is None:
        raise PayoutError(f"there is no payout batch {batch_id}: see `viewledger payouts list`")
    with conn.cursor(row_factory=class_row(Line)) as cursor:
        cursor.execute(
            f"SELECT {', '.join(Line._fields)} FROM payout_lines"  # noqa: S608
            " WHERE batch_id = %s ORDER BY line_id",
            (batch_id,),
        )
        return Batch(**dict(zip(Batch._fields, row, strict=False)), lines=cursor.fetchall())


def list_batches(conn: Connection) -> list[tuple[int, str, str, str, int, int]]:
    """Number, currency, status, who drafted, lines and micros of each batch, newest first."""
    return conn.execute(
        """
        SELECT batch_id, currency, payout_batches.status, drafted_by, count(line_id),
            coalesce(sum(amount_micros) FILTER (WHERE payout_lines.status <> 'cancelled'), 0)
                ::bigint
        FROM payout_batches LEFT JOIN payout_lines USING (batch_id)
        GROUP BY batch_id ORDER BY batch_id DESC
        """
    ).fetchall()


def act_as(conn: Connection, actor: str) -> None:
    """Says who does what follows in this transaction; it is written beside every change.

    Raises:
        PayoutError: nobody, or not a name that can be shown in a line.
    """
    if not actor.strip():
        raise PayoutError("--actor is empty: say who does this")
    if not actor.isprintable():
        raise PayoutError(f"--actor is {actor[:80]!r}: it must be printable characters")
    conn.execute("SELECT set_config('viewledger.actor', %s, true)", (actor.strip(),))


def move_lines(
    conn: Connection, line_ids: list[int], status: LineStatus, code: str = "", reason: str = ""
) -> None:
    """Gives lines another status. The database refuses what cannot follow."""
    conn.execute(
        "UPDATE payout_lines SET status = %s, code = %s, reason = %s WHERE line_id = ANY (%s)",
        (status, code, reason, line_ids),
    )
