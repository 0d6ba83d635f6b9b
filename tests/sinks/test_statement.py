import contextlib
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.ledger import name
from support.payees import new_keys
from support.payouts import PAYER, TODAY, money, new_campaign, new_promoter
from support.provenance import World, new_world

from schemas.payout import Answer
from schemas.settings import Settings
from schemas.verdicts import Reason, Verdict
from sinks.correct import CorrectionError, correct
from sinks.payouts.answers import mark
from sinks.payouts.approve import approve, cancel
from sinks.payouts.batch import PayoutError
from sinks.payouts.draft import draft
from sinks.payouts.export import export
from sinks.settle import settle
from sinks.statement import InCurrency, Statement, StatementError, load_currencies, statement
from sinks.statement_accounts import Accounts
from sinks.statement_views import Unpaid

pytestmark = pytest.mark.services
BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
KEYS = new_keys()


@pytest.fixture(scope="module")
def world(stack: Settings) -> Iterator[World]:
    yield from new_world(stack)


def now(world: World) -> datetime:
    row = world.conn.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return row[0]


def state(world: World, promoter: str, since: datetime = BEGIN) -> Statement:
    to = max(now(world), since + timedelta(microseconds=1))
    return statement(world.conn, world.client, promoter, since, to)


def effects(part: InCurrency) -> dict[str, Accounts]:
    return {movement.what: movement.accounts for movement in part.movements}


def pay(world: World) -> int:
    """Everything payable, up to the bank; the number of the batch."""
    made = draft(world.conn, "EUR", None, 0, actor="anna", key=name("key")).batch
    assert made is not None
    approve(world.conn, made.batch_id, actor="ben")
    export(world.conn, KEYS, PAYER, made.batch_id, "pain.001.001.09", TODAY, actor="ben")
    return made.lines[0].line_id


def answer(world: World, line: int, outcome: str) -> None:
    told = Answer(reference=f"VL{line}", outcome=outcome, code="AC04", text="closed")  # type: ignore[arg-type]
    mark(world.conn, line, told, actor="ben")


def test_everything_that_can_happen(world: World) -> None:
    campaign = new_campaign(world.conn, fee_bp=1000)
    promoter = new_promoter(world.conn, KEYS)
    partition, _ = world.view(campaign, promoter, 40)
    world.view(campaign, promoter, 8, rate_micros=2000)
    settle(world.conn)
    line = pay(world)
    answer(world, line, "settled")
    middle = now(world)
    correct(world.conn, world.accrual(partition), 5, reason="bots", actor="f", key=name("key"))
    world.view(campaign, promoter, 30)
    (part,) = state(world, promoter, middle).currencies
    assert part.opening == Accounts(0, 400)
    moved = {
        "earned, gross": Accounts(30_000),
        "platform fees": Accounts(-3_000),
        "corrections": Accounts(0, -400, -4_100),
    }
    assert effects(part) == moved
    assert part.closing == Accounts(27_000, 0, -4_100)
    assert [(row.views, row.net_micros) for row in part.hold] == [(30, 27_000)]
    (booked,) = world.conn.execute(
        "SELECT booked_at FROM accruals WHERE promoter_id = %s ORDER BY accrual_id DESC LIMIT 1",
        (promoter,),
    ).fetchall()[0]
    # Its campaign has no hold; the views came in long before they were booked.
    assert [(row.first_release, row.last_release) for row in part.hold] == [(booked, booked)]
    settle(world.conn)
    second = pay(world)
    answer(world, second, "failed")
    (part,) = state(world, promoter, middle).currencies
    assert effects(part) == moved | {
        "released from hold": Accounts(-27_000, 27_000),
        "netted": Accounts(0, -4_100, 4_100),
        "drafted for payout": Accounts(0, -20_000, 0, 20_000),
        "payouts given back": Accounts(0, 20_000, 0, -20_000),
    }
    assert part.closing == Accounts(0, 22_900)
    assert money(world.conn, promoter) == {"promoter_payable": 22_900}
    (paid,) = part.payouts
    assert (paid.line_id, paid.status, paid.code) == (second, "failed", "AC04")
    assert (paid.settled_at, paid.given_back_at is None) == (None, False)
    whole = state(world, promoter)
    (part,) = whole.currencies
    assert part.opening == Accounts()
    assert [(row.rate_micros, row.views, row.fee_micros) for row in part.earned] == [
        (1000, 70, 7_000),
        (2000, 8, 1_600),
    ]
    assert [row.status for row in part.payouts] == ["settled", "failed"]
    assert whole.legal_name == "Ada Müller"


def test_views_that_were_not_paid(world: World) -> None:
    campaign, promoter = new_campaign(world.conn), new_promoter(world.conn, KEYS)
    small = new_campaign(world.conn, daily_budget_micros=3_000)
    both = Reason.DECLARED_BOT.bit | Reason.MODEL_SCORE.bit
    world.view(campaign, promoter, 5, verdict=Verdict.INVALID, reasons=both)
    world.view(campaign, promoter, 2, verdict=Verdict.HELD, reasons=Reason.MODEL_UNAVAILABLE.bit)
    world.view(campaign, promoter, 1, duplicates=[0, 1])
    world.view(small, promoter, 8)
    made = state(world, promoter)
    assert made.unpaid == [
        Unpaid(campaign, "invalid", ["declared_bot", "model_score"], 5),
        Unpaid(campaign, "held", ["model_unavailable"], 2),
        Unpaid(campaign, "duplicate", [], 2),
    ]
    found = {(row.campaign_id, row.views, row.capped_views) for row in made.currencies[0].earned}
    assert found == {(campaign, 1, 0), (small, 3, 5)}
    at = datetime(2025, 10, 9, 8, 53, 20, 20_000, tzinfo=UTC)  # log time of the third view
    early = statement(world.conn, world.client, promoter, BEGIN, at)
    assert [row.views for row in early.unpaid] == [2, 2, 2]
    assert early.currencies[0].closing == Accounts()


def test_currencies_stay_apart(world: World) -> None:
    promoter = new_promoter(world.conn, KEYS)
    for currency in ("JPY", "EUR"):
        world.view(new_campaign(world.conn, currency), promoter, 3, currency=currency)
    assert [
        (part.currency, part.closing.pending) for part in state(world, promoter).currencies
    ] == [
        ("EUR", 3_000),
        ("JPY", 3_000),
    ]


def test_what_cannot_be_stated(world: World) -> None:
    for promoter, to, why in (
        ("nobody", BEGIN + timedelta(days=1), "no promoter 'nobody'"),
        (new_promoter(world.conn, KEYS), BEGIN, "is empty"),
    ):
        with pytest.raises(StatementError, match=why):
            statement(world.conn, world.client, promoter, BEGIN, to)


steps = st.lists(
    st.sampled_from(["earn", "earn", "settle", "correct", "pay", "draft", "cancel", "answer"]),
    max_size=14,
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps, st.data())
def test_opening_and_movements_are_closing_in_every_period(
    world: World, steps: list[str], data: st.DataObject
) -> None:
    """`statement` refuses where they are not; and one period ends where the next begins."""
    campaign = new_campaign(world.conn, fee_bp=data.draw(st.sampled_from([0, 333, 10_000])))
    promoter = new_promoter(world.conn, KEYS)
    cuts, accruals, lines = [BEGIN, now(world)], [], []
    for step in steps:
        with contextlib.suppress(CorrectionError, PayoutError):
            do(world, step, campaign, promoter, accruals, lines, data)
        cuts.append(now(world))
    parts = [
        statement(world.conn, world.client, promoter, since, to).currencies
        for since, to in itertools.pairwise(cuts)
    ]
    at = Accounts()
    for part in (found[0] for found in parts if found):
        assert part.opening == at
        at = part.closing
        assert sum((movement.accounts for movement in part.movements), part.opening) == at
    assert {
        "promoter_pending": at.pending,
        "promoter_payable": at.payable,
        "promoter_debt": at.debt,
        "payout_clearing": at.in_transit,
    }.items() >= money(world.conn, promoter).items()
    world.conn.execute("UPDATE promoters SET status = 'suspended'")


def do(
    world: World,
    step: str,
    campaign: str,
    promoter: str,
    accruals: list[int],
    lines: list[tuple[int, int]],
    data: st.DataObject,
) -> None:
    conn = world.conn
    if step == "earn":
        views = data.draw(st.integers(1, 60))
        accruals.append(world.accrual(world.view(campaign, promoter, views)[0]))
    elif step == "settle":
        settle(conn)
    elif step == "correct" and accruals:
        accrual, views = data.draw(st.sampled_from(accruals)), data.draw(st.integers(1, 40))
        correct(conn, accrual, views, reason="bots", actor="fred", key=name("key"))
    elif step in ("pay", "draft"):
        made = draft(conn, "EUR", None, 0, actor="anna", key=name("key")).batch
        if made is not None:
            lines.append((made.batch_id, made.lines[0].line_id))
            if step == "pay":
                approve(conn, made.batch_id, actor="ben")
                export(conn, KEYS, PAYER, made.batch_id, "pain.001.001.09", TODAY, actor="ben")
    elif lines:
        batch, line = data.draw(st.sampled_from(lines))
        if step == "cancel":
            cancel(conn, batch, actor="ben", reason="a test")
        else:
            answer(world, line, data.draw(st.sampled_from(["settled", "failed", "returned"])))


TAMPERED = {
    "an accrual": "UPDATE accruals SET views = views + 1,"
    " amount_micros = (views + 1) * rate_micros,"
    " fee_micros = (views + 1) * (rate_micros * fee_bp / 10000)",
    "an accrual of another": "UPDATE accruals SET promoter_id = 'x'",
    "when it was booked": "UPDATE accruals SET booked_at = booked_at - interval '2 years'",
    "a settled accrual": "UPDATE settled_accruals SET net_micros = net_micros + 1"
    " WHERE net_micros > 0",
    "a payout": "UPDATE payout_lines SET gross_micros = 1, amount_micros = 1",
    "a correction": "UPDATE corrections SET fee_micros = fee_micros + 1",
    "an entry": "UPDATE entries SET amount_micros = amount_micros + 1",
    "a balance": "UPDATE balances SET balance_micros = balance_micros + 1",
    "a journal": "UPDATE journals SET kind = 'funding' WHERE kind = 'settlement'",
}


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_is_noticed(world: World, what: str) -> None:
    promoter = new_promoter(world.conn, KEYS)
    partition, _ = world.view(new_campaign(world.conn, fee_bp=100), promoter, 40)
    settle(world.conn)
    correct(world.conn, world.accrual(partition), 5, reason="bots", actor="f", key=name("key"))
    pay(world)
    state(world, promoter)
    with psycopg.connect(world.settings.url("postgres")) as owner:
        owner.execute("SET LOCAL session_replication_role = replica")  # no triggers
        owner.execute(TAMPERED[what])  # type: ignore[arg-type]
        with pytest.raises(StatementError, match="run `viewledger ledger verify`"):
            load_currencies(owner, {"promoter": promoter, "from": BEGIN, "to": now(world)})
        owner.rollback()
