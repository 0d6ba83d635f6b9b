"""The money of lines: paid out, taken back, given back. Every journal is posted once."""

from schemas.payout import Answer
from sinks.ledger import PLATFORM, Entry, Journal, lock_balances, open_accounts, post, reversals
from sinks.payouts.batch import Batch, Line, move_lines
from sinks.postgres import Connection


def follow_answers(
    conn: Connection, batches: dict[int, Batch], applied: list[tuple[Answer, int]]
) -> None:
    """Moves money and lines as the bank says, and closes batches that have all answers."""
    lines = {line.line_id: (batch, line) for batch in batches.values() for line in batch.lines}
    for outcome in ("settled", "failed", "returned"):
        chosen = [(answer, line_id) for answer, line_id in applied if answer.outcome == outcome]
        if not chosen:
            continue
        of = [lines[line_id] for _, line_id in chosen]
        if outcome == "settled":
            _pay_out(conn, of)
        else:
            why = f"the bank says {outcome}"
            if outcome == "returned":
                _take_back(conn, [line for _, line in of], why)
            give_back(conn, [line for _, line in of], why)
        by_words: dict[tuple[str, str], list[int]] = {}
        for answer, line_id in chosen:
            by_words.setdefault((answer.code, answer.text), []).append(line_id)
        for (code, text), line_ids in by_words.items():
            move_lines(conn, line_ids, outcome, code, text)
    for batch in batches.values():
        conn.execute(
            "UPDATE payout_batches SET status = 'closed' WHERE batch_id = %s"
            " AND status = 'exported' AND NOT EXISTS (SELECT FROM payout_lines"
            " WHERE payout_lines.batch_id = payout_batches.batch_id AND status = 'exported')",
            (batch.batch_id,),
        )


def _pay_out(conn: Connection, of: list[tuple[Batch, Line]]) -> None:
    owners = [(line.promoter_id, batch.currency) for batch, line in of]
    clearing = open_accounts(conn, "payout_clearing", set(owners))
    currencies = {(PLATFORM, batch.currency) for batch, _ in of}
    bank = open_accounts(conn, "bank", currencies)
    lock_balances(conn, [*clearing.values(), *bank.values()])
    post(
        conn,
        [
            Journal(
                "payout_settled",
                f"payout_settled:{line.line_id}",
                f"line {line.line_id} of batch {batch.batch_id} is settled",
                (
                    Entry(clearing[owner], -line.amount_micros),
                    Entry(bank[PLATFORM, batch.currency], line.amount_micros),
                ),
            )
            for (batch, line), owner in zip(of, owners, strict=True)
        ],
    )


def _take_back(conn: Connection, lines: list[Line], why: str) -> None:
    keys = [f"payout_settled:{line.line_id}" for line in lines]
    settled = conn.execute(
        "SELECT journal_id FROM journals WHERE idempotency_key = ANY (%s)", (keys,)
    ).fetchall()
    post(conn, reversals(conn, [journal_id for (journal_id,) in settled], "unsettled", why))


def give_back(conn: Connection, lines: list[Line], why: str) -> None:
    """Makes the money of lines payable again: each journal is reversed at most once."""
    journals = reversals(conn, [line.payout_journal_id for line in lines], "payout_back", why)
    post(conn, journals)
