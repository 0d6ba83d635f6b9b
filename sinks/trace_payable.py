"""What a payout line was paid from: the entries of the payable account before it."""

from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

import msgspec

from sinks.postgres import Connection


class Part(msgspec.Struct, frozen=True):
    """What came onto the payable account, or left it, before a line was drafted."""

    what: str
    """`carried over`, `settlement`, `left for later` (settled after the moment up to which the
    batch pays), `netting`, `correction`, `given back`; else the kind of the journal."""
    micros: int
    journal_id: int | None
    """None for what was carried over."""
    at: datetime | None
    said: str
    line_id: int | None = None
    """The other line: whose money was given back, or after which this was carried over."""


class LineOrder(NamedTuple):
    """When a line was drafted, and up to when it pays."""

    line_id: int
    journal_id: int
    until: datetime


class _Entry(NamedTuple):
    journal_id: int
    at: datetime
    micros: int
    kind: str
    said: str
    transaction: str
    given_back: int | None
    """The line whose payout is reversed."""


_ENTRIES = """
    SELECT journal_id, entries.created_at, entries.amount_micros, journals.kind, description,
        created_xact::text, line_id
    FROM accounts
    JOIN entries USING (account_id)
    JOIN journals USING (journal_id)
    LEFT JOIN payout_lines ON payout_journal_id = reverses_id
    WHERE accounts.kind = 'promoter_payable' AND owner_id = %s AND currency = %s
        AND journal_id < %s
    ORDER BY journal_id
"""
_LINES = """
    SELECT line_id, payout_journal_id, until
    FROM payout_lines JOIN payout_batches USING (batch_id)
    WHERE promoter_id = %s AND currency = %s ORDER BY payout_journal_id
"""


def load_lines(conn: Connection, promoter_id: str, currency: str) -> list[LineOrder]:
    """The lines of a promoter in the order in which they were drafted."""
    return [LineOrder(*row) for row in conn.execute(_LINES, (promoter_id, currency))]


def paying_line(lines: list[LineOrder], journal_id: int, at: datetime) -> int | None:
    """The first line that was drafted after a settlement, by a batch that pays up to `at`."""
    for line in lines:
        if line.journal_id > journal_id and line.until >= at:
            return line.line_id
    return None


def load_parts(conn: Connection, promoter_id: str, currency: str, line_id: int) -> list[Part]:
    """What was payable when a line was drafted; the sum of all parts is the balance then.

    Whatever touches what is payable does so under one lock (`sinks.settle.lock_payouts`), so the
    numbers of the journals tell what came first.
    """
    lines = load_lines(conn, promoter_id, currency)
    at = next(i for i, line in enumerate(lines) if line.line_id == line_id)
    before = lines[at - 1] if at else LineOrder(0, 0, lines[at].until)
    carried, older, since = 0, [], []
    for row in conn.execute(_ENTRIES, (promoter_id, currency, lines[at].journal_id)):
        entry = _Entry(*row)
        own = paying_line(lines, entry.journal_id, entry.at) == line_id
        if entry.journal_id > before.journal_id:
            since.append(entry)
        elif entry.kind == "settlement" and own:
            older.append(entry)
        else:
            carried += entry.micros
    parts = []
    if carried:
        said = f"what stayed payable after line {before.line_id}"
        parts.append(Part("carried over", carried, None, None, said, before.line_id))
    return parts + [
        _part(entry, paying_line(lines, entry.journal_id, entry.at) == line_id)
        for entry in (*older, *_without_mirrors(since))
    ]


def _part(entry: _Entry, own: bool) -> Part:
    what = entry.kind
    if entry.kind == "settlement" and not own:
        what = "left for later"
    elif entry.given_back is not None:
        what = "given back"
    return Part(what, entry.micros, entry.journal_id, entry.at, entry.said, entry.given_back)


def _without_mirrors(entries: list[_Entry]) -> list[_Entry]:
    """Corrections as one entry each: a reversal and a rebooking take back most of each other."""
    micros: dict[str, int] = defaultdict(int)
    last: dict[str, int] = {}
    for entry in entries:
        if _of_correction(entry):
            micros[entry.transaction] += entry.micros
            last[entry.transaction] = entry.journal_id
    return [
        entry._replace(micros=micros[entry.transaction], kind="correction")
        if _of_correction(entry)
        else entry
        for entry in entries
        if not _of_correction(entry)
        or (entry.journal_id == last[entry.transaction] and micros[entry.transaction])
    ]


def _of_correction(entry: _Entry) -> bool:
    return entry.kind == "correction" or (entry.kind == "reversal" and entry.given_back is None)
