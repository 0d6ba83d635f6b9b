"""What people ask the ledger: balances, and one journal with everything around it."""

from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import class_row, scalar_row

from sinks.postgres import Connection


class Balance(msgspec.Struct, frozen=True):
    """What is on an account."""

    kind: str
    owner_id: str
    currency: str
    balance_micros: int


class EntryOf(msgspec.Struct, frozen=True):
    """One side of a journal."""

    account_id: int
    kind: str
    owner_id: str
    currency: str
    amount_micros: int


class CorrectionOf(msgspec.Struct, frozen=True):
    """A correction that the journal is a part of, or that corrects what it booked."""

    correction_id: int
    accrual_id: int
    views: int
    amount_micros: int
    fee_micros: int
    reason: str
    actor: str
    reversal_id: int
    rebooked_id: int | None


class JournalOf(msgspec.Struct, frozen=True):
    """A journal, and what belongs to it."""

    journal_id: int
    kind: str
    idempotency_key: str
    description: str
    created_by: str
    created_at: datetime
    reverses_id: int | None
    reversed_by: int | None
    entries: list[EntryOf]
    corrections: list[CorrectionOf]


def load_balances(
    conn: Connection,
    kind: str | None = None,
    owner_id: str | None = None,
    currency: str | None = None,
) -> list[Balance]:
    """Balances by kind, currency and owner; None takes all."""
    with conn.cursor(row_factory=class_row(Balance)) as cursor:
        cursor.execute(
            """
            SELECT kind, owner_id, currency, balance_micros
            FROM accounts JOIN balances USING (account_id)
            WHERE (%(kind)s::text IS NULL OR kind = %(kind)s)
                AND (%(owner)s::text IS NULL OR owner_id = %(owner)s)
                AND (%(currency)s::text IS NULL OR currency = %(currency)s)
            ORDER BY kind, currency, owner_id
            """,
            {"kind": kind, "owner": owner_id, "currency": currency},
        )
        return cursor.fetchall()


def load_journal(conn: Connection, id_or_key: str) -> JournalOf | None:
    """A journal by its number, else by its idempotency key; None if there is no such one."""
    found = None
    if id_or_key.isdecimal() and int(id_or_key) < 2**63:
        found = _journal(conn, "journal_id", int(id_or_key))
    return found or _journal(conn, "idempotency_key", id_or_key)


def _journal(conn: Connection, column: str, value: object) -> JournalOf | None:
    row = conn.execute(
        f"""
        SELECT journal_id, kind, idempotency_key, description, created_by, created_at,
            reverses_id, (SELECT journal_id FROM journals AS back
                          WHERE back.reverses_id = journals.journal_id)
        FROM journals WHERE {column} = %s
        """.encode(),  # noqa: S608 - a name of ours
        (value,),
    ).fetchone()
    if row is None:
        return None
    values = [*row, _entries(conn, row[0]), _corrections(conn, row[0])]
    return JournalOf(**dict(zip(JournalOf.__struct_fields__, values, strict=True)))


def _entries(conn: Connection, journal_id: int) -> list[EntryOf]:
    rows: list[tuple[Any, ...]] = conn.execute(
        "SELECT account_id, kind, owner_id, currency, amount_micros"
        " FROM entries JOIN accounts USING (account_id) WHERE journal_id = %s"
        " ORDER BY amount_micros, account_id",
        (journal_id,),
    ).fetchall()
    return [EntryOf(*row) for row in rows]


def _corrections(conn: Connection, journal_id: int) -> list[CorrectionOf]:
    fields = CorrectionOf.__struct_fields__
    # By index each: with OR between the two tables Postgres would read both.
    with conn.cursor(row_factory=scalar_row) as cursor:
        ids = cursor.execute(
            """
            SELECT correction_id FROM corrections
            WHERE accrual_id IN (SELECT accrual_id FROM accruals WHERE journal_id = %(id)s)
            UNION SELECT correction_id FROM corrections
            WHERE reversal_id = %(id)s OR rebooked_id = %(id)s
            """,
            {"id": journal_id},
        ).fetchall()
    with conn.cursor(row_factory=class_row(CorrectionOf)) as cursor:
        return cursor.execute(
            f"SELECT {', '.join(fields)} FROM corrections"  # noqa: S608
            " WHERE correction_id = ANY (%s) ORDER BY correction_id",
            (ids,),
        ).fetchall()
