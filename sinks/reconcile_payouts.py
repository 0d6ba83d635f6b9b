"""The third side: what was exported, what the files say, and what the bank answered."""

from collections import Counter
from typing import NamedTuple

import msgspec

from schemas.money import to_micros
from schemas.seal_keys import Keys
from sinks.bank_files.read_back import read_transfers
from sinks.payouts.batch import PayoutError
from sinks.payouts.export import stored_files
from sinks.postgres import Connection
from sinks.reconcile_store import LIMIT, Difference
from sinks.sealing import SealError


class Payouts(msgspec.Struct, frozen=True):
    """Payout lines of one currency that were exported, and what became of them."""

    batches: int
    lines: int
    micros: int
    waiting_lines: int
    """Not answered yet."""
    waiting_micros: int
    settled_lines: int
    settled_micros: int
    failed_lines: int
    returned_lines: int
    back_micros: int
    """Of failed and returned lines: payable again."""
    by_bank: int
    """Answers of the bank that changed a line."""
    by_hand: int
    """Changes that a person noted."""


class Files(msgspec.Struct, frozen=True):
    """The bank files that are stored."""

    files: int = 0
    read: int = 0
    """Of them, those that could be opened: the keys are there."""
    transfers: int = 0
    micros: dict[str, int] = {}
    """By currency, of the files that were read."""


class _Exported(NamedTuple):
    batch_id: int
    currency: str
    format: str
    files: int
    key_ids: list[str]


_ANSWERS = {
    "a line changed as the bank answered, and only so": """
        SELECT 'payout_lines line_id ' || line_id || ' ' || outcome,
            coalesce('answer in ' || name, 'no answer'),
            coalesce('changed by ' || changed.actor, 'not changed')
        FROM (SELECT line_id, outcome, imported_at AS at, imported_by AS actor, name
              FROM bank_answers JOIN bank_files USING (bank_file_id) WHERE applied) AS answered
        FULL JOIN
             (SELECT line_id, became AS outcome, at, actor
              FROM payout_events
              WHERE became IN ('settled', 'failed', 'returned') AND EXISTS (
                  SELECT FROM bank_files WHERE imported_at = at AND imported_by = actor)) AS changed
            USING (line_id, outcome, at)
        WHERE name IS NULL OR changed.actor IS DISTINCT FROM answered.actor
    """,
    "the bank answered about the amount of the line": """
        SELECT 'bank_answers answer_id ' || answer_id || ' line_id ' || line_id,
            payout_lines.amount_minor || ' ' || payout_batches.currency,
            coalesce(bank_answers.amount_minor::text, '') || ' '
                || coalesce(bank_answers.currency, '')
        FROM bank_answers JOIN payout_lines USING (line_id) JOIN payout_batches USING (batch_id)
        WHERE applied AND (bank_answers.amount_minor <> payout_lines.amount_minor
            OR bank_answers.currency <> payout_batches.currency)
    """,
}


def check_answers(conn: Connection) -> list[Difference]:
    """Where lines did not become what the bank answered; at most `LIMIT` per check."""
    return [
        Difference(check, *row)
        for check, query in _ANSWERS.items()
        for row in conn.execute(f"{query} ORDER BY 1 LIMIT {LIMIT}".encode())
    ]


def check_files(conn: Connection, keys: Keys | None) -> tuple[Files, list[Difference]]:
    """Whether the stored files pay the exported lines, each with its amount.

    Args:
        keys: of the payees; files whose key is not there are counted and not read.
    """
    files, read, transfers = 0, 0, 0
    micros: Counter[str] = Counter()
    differences: list[Difference] = []
    for batch in _exported(conn):
        files += batch.files
        if keys is None or not set(batch.key_ids) <= set(keys):
            continue
        where = f"payout batch {batch.batch_id}"
        try:
            found = [
                transfer
                for file in stored_files(conn, keys, batch.batch_id)
                for transfer in read_transfers(batch.format, file.content)
            ]
        except (SealError, PayoutError, ValueError) as error:
            differences.append(Difference("stored files can be read", where, "", str(error)))
            continue
        read += batch.files
        transfers += len(found)
        for _, minor, currency in found:
            micros[currency] += to_micros(minor, currency)
        differences += _compare(where, _lines(conn, batch), found)
    return Files(files, read, transfers, dict(sorted(micros.items()))), differences


def load_payouts(conn: Connection) -> dict[str, Payouts]:
    """What was exported, by currency."""
    rows = conn.execute(
        """
        SELECT currency, count(DISTINCT batch_id), count(*), sum(amount_micros)::bigint,
            count(*) FILTER (WHERE payout_lines.status = 'exported'),
            coalesce(sum(amount_micros) FILTER (WHERE payout_lines.status = 'exported'), 0)::bigint,
            count(*) FILTER (WHERE payout_lines.status = 'settled'),
            coalesce(sum(amount_micros) FILTER (WHERE payout_lines.status = 'settled'), 0)::bigint,
            count(*) FILTER (WHERE payout_lines.status = 'failed'),
            count(*) FILTER (WHERE payout_lines.status = 'returned'),
            coalesce(sum(amount_micros) FILTER (
                WHERE payout_lines.status IN ('failed', 'returned')), 0)::bigint,
            sum(by_bank)::bigint, sum(changes - by_bank)::bigint
        FROM payout_lines JOIN payout_batches USING (batch_id)
        CROSS JOIN LATERAL (SELECT count(*) AS by_bank FROM bank_answers
            WHERE bank_answers.line_id = payout_lines.line_id AND applied) AS answers
        LEFT JOIN (SELECT line_id, count(*) AS changes FROM payout_events
            WHERE became IN ('settled', 'failed', 'returned') GROUP BY line_id) AS events
            USING (line_id)
        WHERE exported_at IS NOT NULL AND payout_lines.status <> 'cancelled'
        GROUP BY currency ORDER BY currency
        """
    ).fetchall()
    return {currency: Payouts(*(figure or 0 for figure in row)) for currency, *row in rows}


def _exported(conn: Connection) -> list[_Exported]:
    rows = conn.execute(
        """
        SELECT batch_id, currency, format, count(file_id), array_agg(DISTINCT key_id)
        FROM payout_batches JOIN payout_files USING (batch_id)
        GROUP BY batch_id ORDER BY batch_id
        """
    ).fetchall()
    return [_Exported(*row) for row in rows]


def _lines(conn: Connection, batch: _Exported) -> list[tuple[str, int, str]]:
    return conn.execute(
        "SELECT 'VL' || line_id, amount_minor, %s FROM payout_lines"
        " WHERE batch_id = %s AND status <> 'cancelled' ORDER BY line_id",
        (batch.currency, batch.batch_id),
    ).fetchall()


def _compare(
    where: str, lines: list[tuple[str, int, str]], found: list[tuple[str, int, str]]
) -> list[Difference]:
    expected, there = Counter(lines), Counter(found)
    if expected == there:
        return []
    wrong = sorted((expected - there) + (there - expected))
    details = [
        Difference(
            "a file pays each exported line",
            f"{where}, {one[0]}",
            f"{expected[one]} times {one[1]} {one[2]}",
            f"{there[one]} times",
        )
        for one in wrong[: LIMIT - 1]
    ]
    sums = [
        f"{len(rows)} transfers, {sum(minor for _, minor, _ in rows)} minor units"
        for rows in (lines, found)
    ]
    return [Difference("transfers in the files = exported lines", where, *sums), *details]
