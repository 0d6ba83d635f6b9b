"""What a bank answers, line by line: settled, failed or returned, and the money follows."""

import hashlib
from typing import NamedTuple

import msgspec

from schemas.money import format_minor
from schemas.payout import Answer
from sinks.bank_answers.pain002 import UNDERWAY
from sinks.bank_answers.read import read_answers
from sinks.payouts.batch import Batch, Line, PayoutError, act_as, load_batch
from sinks.payouts.money import follow_answers
from sinks.postgres import Connection, retry_conflicts
from sinks.settle import lock_payouts

_FOLLOWS = {
    "settled": ("exported",),
    "failed": ("exported",),
    "returned": ("exported", "settled"),
}


class Noted(NamedTuple):
    """What was made of one answer."""

    answer: Answer
    line_id: int | None
    applied: bool
    note: str
    """Why nothing was done; a person has to look."""


class Imported(NamedTuple):
    """Outcome of `import_answers`."""

    kind: str
    already: bool
    """The same file was imported before: nothing was done now."""
    noted: list[Noted]
    unrelated: int


@retry_conflicts
def import_answers(conn: Connection, name: str, content: bytes, *, actor: str) -> Imported:
    """Takes in a pain.002, a camt.053 or NACHA returns, in one transaction.

    Raises:
        sinks.bank_answers.read.AnswerError: it is none of these.
        PayoutError: no actor.
    """
    found = read_answers(content)
    sha256 = hashlib.sha256(content).hexdigest()
    with conn.transaction():
        lock_payouts(conn)
        act_as(conn, actor)
        row = conn.execute(
            "INSERT INTO bank_files (sha256, kind, name, imported_by) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (sha256) DO NOTHING RETURNING bank_file_id",
            (sha256, found.kind, name, actor.strip()),
        ).fetchone()
        if row is None:
            return Imported(found.kind, True, [], found.unrelated)
        batches: dict[int, Batch] = {}
        noted: list[Noted] = []
        told = {answer.reference for answer in found.answers if not answer.whole_file}
        for answer in found.answers:
            if answer.whole_file:
                noted += _whole_file(conn, answer, told, batches)
            else:
                noted.append(_one(conn, answer, batches))
        applied = [(one.answer, one.line_id) for one in noted if one.applied and one.line_id]
        follow_answers(conn, batches, applied)
        _keep(conn, row[0], noted)
    return Imported(found.kind, False, noted, found.unrelated)


@retry_conflicts
def mark(conn: Connection, line_id: int, answer: Answer, *, actor: str) -> Noted:
    """As if a bank had answered: for banks that do so on paper.

    Raises:
        PayoutError: the line is not in a state for it.
    """
    with conn.transaction():
        lock_payouts(conn)
        act_as(conn, actor)
        batches: dict[int, Batch] = {}
        noted = _one(conn, answer, batches)
        if noted.note:
            raise PayoutError(f"line {line_id}: {noted.note}")
        if noted.applied:
            follow_answers(conn, batches, [(answer, line_id)])
        return noted


def _one(conn: Connection, answer: Answer, batches: dict[int, Batch]) -> Noted:
    number = answer.reference.removeprefix("VL")
    if not answer.reference.startswith("VL") or not number.isdecimal() or len(number) > 13:
        return Noted(answer, None, False, "unknown reference")
    row = conn.execute(
        "SELECT batch_id FROM payout_lines WHERE line_id = %s", (int(number),)
    ).fetchone()
    if row is None:
        return Noted(answer, None, False, "unknown reference")
    batch = _batch(conn, row[0], batches)
    line = next(line for line in batch.lines if line.line_id == int(number))
    return _judge(answer, batch, line, batches)


def _whole_file(
    conn: Connection, answer: Answer, told: set[str], batches: dict[int, Batch]
) -> list[Noted]:
    number = answer.reference.removeprefix("VLB")
    if not answer.reference.startswith("VLB") or not number.isdecimal() or len(number) > 13:
        return [Noted(answer, None, False, "unknown file")]
    try:
        batch = _batch(conn, int(number), batches)
    except PayoutError:
        return [Noted(answer, None, False, "unknown file")]
    lines = [
        line
        for line in batch.lines
        if line.status != "cancelled" and line.end_to_end_id not in told
    ]
    if answer.amount_minor is not None:
        # A double or partial booking of the file shows up here only.
        total = sum(line.amount_minor for line in lines)
        if (answer.amount_minor, answer.currency) != (total, batch.currency):
            said = f"another amount than {format_minor(total, batch.currency)} of its lines"
            return [Noted(answer, None, False, said)]
        answer = msgspec.structs.replace(answer, amount_minor=None, currency=None)
    return [_judge(answer, batch, line, batches) for line in lines]


def _batch(conn: Connection, batch_id: int, batches: dict[int, Batch]) -> Batch:
    if batch_id not in batches:
        batches[batch_id] = load_batch(conn, batch_id, lock=True)
    return batches[batch_id]


def _judge(answer: Answer, batch: Batch, line: Line, batches: dict[int, Batch]) -> Noted:
    """Decides on one answer, and remembers the new status for the answers that follow."""
    if answer.currency not in (None, batch.currency) or answer.amount_minor not in (
        None,
        line.amount_minor,
    ):
        expected = format_minor(line.amount_minor, batch.currency)
        return Noted(answer, line.line_id, False, f"another amount than {expected}")
    if answer.outcome == "pending":
        said = answer.code or (answer.text not in UNDERWAY and answer.text)
        note = "a person has to look" if said else ""
        return Noted(answer, line.line_id, False, note)
    if answer.outcome == line.status:
        return Noted(answer, line.line_id, False, "")
    if line.status not in _FOLLOWS[answer.outcome]:
        return Noted(
            answer, line.line_id, False, f"the line is {line.status}, not {answer.outcome}"
        )
    changed = [
        each._replace(status=answer.outcome) if each.line_id == line.line_id else each
        for each in batch.lines
    ]
    batches[batch.batch_id] = batch._replace(lines=changed)
    return Noted(answer, line.line_id, True, "")


def _keep(conn: Connection, bank_file_id: int, noted: list[Noted]) -> None:
    conn.execute(
        """
        INSERT INTO bank_answers (bank_file_id, reference, outcome, code, reason, amount_minor,
            currency, line_id, applied, note)
        SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
            %s::text[], %s::bigint[], %s::boolean[], %s::text[])
        """,
        (
            bank_file_id,
            [one.answer.reference for one in noted],
            [one.answer.outcome for one in noted],
            [one.answer.code for one in noted],
            [one.answer.text for one in noted],
            [one.answer.amount_minor for one in noted],
            [one.answer.currency for one in noted],
            [one.line_id for one in noted],
            [one.applied for one in noted],
            [one.note for one in noted],
        ),
    )


def load_puzzles(conn: Connection) -> list[tuple[str, Noted]]:
    """Answers that were not applied and say why, with the name of their file, oldest first."""
    rows = conn.execute(
        "SELECT name, reference, outcome, code, reason, amount_minor, bank_answers.currency,"
        " line_id, note FROM bank_answers JOIN bank_files USING (bank_file_id)"
        " WHERE note <> '' ORDER BY answer_id"
    )
    return [
        (
            name,
            Noted(
                Answer(
                    reference=reference,
                    outcome=outcome,
                    code=code,
                    text=text,
                    amount_minor=amount,
                    currency=currency,
                ),
                line_id,
                False,
                note,
            ),
        )
        for name, reference, outcome, code, text, amount, currency, line_id, note in rows
    ]
