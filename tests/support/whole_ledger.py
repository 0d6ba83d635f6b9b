"""A ledger in which everything happened once."""

from support.bank_replies import booking, detail, statement
from support.corrections import HINDSIGHT, booked, to
from support.ledger import name
from support.payees import new_keys
from support.payouts import PAYER, TODAY, earn, new_campaign, new_promoter

from schemas.payout import Answer
from schemas.seal_keys import Keys
from schemas.verdicts import Verdict
from sinks.correct import correct
from sinks.correct_views import correct_views
from sinks.payouts.answers import import_answers, mark
from sinks.payouts.approve import approve, cancel
from sinks.payouts.draft import draft
from sinks.payouts.export import export
from sinks.postgres import Connection
from sinks.review_find import Subject
from sinks.review_record import Becomes, Review, record
from sinks.settle import settle

REVIEW = Review("invalid", "rita", "looked at it")


def everything_once(conn: Connection) -> None:
    """Earns, corrects, settles, pays and hears from the bank, in an empty ledger."""
    keys = new_keys()
    campaign = new_campaign(conn, fee_bp=1000)
    promoters = [new_promoter(conn, keys, backup_withholding=n == 0) for n in range(6)]
    accruals = [earn(conn, campaign, promoter, 5000) for promoter in promoters]
    correct(conn, accruals[0], 100, reason="bot", actor="fred", key=name())
    settle(conn)
    correct(conn, accruals[0], 100, reason="bot", actor="fred", key=name())
    correct(conn, accruals[1], 100, reason="bot", actor="fred", key=name())

    lines = _pay(conn, keys, promoters)
    _answer(conn, lines[0], "settled")
    _answer(conn, lines[1], "settled")
    _answer(conn, lines[1], "returned")
    _answer(conn, lines[2], "failed")
    _answer(conn, lines[3], "settled")
    correct(conn, accruals[3], 1000, reason="bot", actor="fred", key=name())
    for promoter in promoters[:4]:
        earn(conn, campaign, promoter, 7000)
    settle(conn)
    drafted = draft(conn, "EUR", None, 0, actor="anna", key=name()).batch
    assert drafted is not None
    assert any(line.netted_micros for line in drafted.lines)
    cancel(conn, drafted.batch_id, drafted.lines[0].line_id, actor="anna", reason="wait")
    earn(conn, campaign, promoters[5], 10)
    unknown = statement(booking("1.00", detail("VL999999")))
    import_answers(conn, "statement.xml", unknown, actor="anna")
    (view,) = booked(conn, campaign, [Verdict.VALID], promoters[4])
    correct_views(conn, [to(view, Verdict.INVALID)], HINDSIGHT)
    slot = ("viewer", "post", 1)
    reviewed = Subject(*view[:9], slot, Verdict.VALID, Verdict.INVALID, 0, False)
    record(conn, [reviewed], {reviewed: Becomes(Verdict.INVALID, 0)}, REVIEW)


def _pay(conn: Connection, keys: Keys, promoters: list[str]) -> list[int]:
    """The lines of the promoters in an exported batch."""
    batch = draft(conn, "EUR", None, 0, actor="anna", key=name()).batch
    assert batch is not None
    approve(conn, batch.batch_id, actor="ben")
    export(conn, keys, PAYER, batch.batch_id, "pain.001.001.09", TODAY, actor="anna")
    lines = {line.promoter_id: line.line_id for line in batch.lines}
    return [lines[promoter] for promoter in promoters]


def _answer(conn: Connection, line_id: int, outcome: str) -> None:
    mark(conn, line_id, Answer(reference=f"VL{line_id}", outcome=outcome), actor="ben")
