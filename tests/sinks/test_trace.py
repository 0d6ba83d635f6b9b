from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from support.corrections import HINDSIGHT, REVIEW
from support.ledger import name
from support.payees import new_keys
from support.payouts import PAYER, TODAY, new_campaign, new_promoter
from support.provenance import World, new_world

from schemas.payout import Answer
from schemas.settings import Settings
from schemas.verdicts import Reason, Verdict
from sinks.correct import correct
from sinks.correct_types import Change
from sinks.correct_views import correct_views
from sinks.payouts.answers import mark
from sinks.payouts.approve import approve
from sinks.payouts.batch import PayoutError
from sinks.payouts.draft import draft
from sinks.payouts.export import export
from sinks.settle import settle
from sinks.trace import Trace, trace, trace_line
from sinks.trace_event import trace_event

pytestmark = pytest.mark.services
KEYS = new_keys()


@pytest.fixture(scope="module")
def world(stack: Settings) -> Iterator[World]:
    yield from new_world(stack)


def drafted(world: World, promoter: str, until: datetime | None = None) -> int:
    """The line of a promoter in a new batch, exported."""
    made = draft(world.conn, "EUR", until, 0, actor="anna", key=name("key")).batch
    assert made is not None
    approve(world.conn, made.batch_id, actor="ben")
    export(world.conn, KEYS, PAYER, made.batch_id, "pain.001.001.09", TODAY, actor="ben")
    return next(line.line_id for line in made.lines if line.promoter_id == promoter)


def answer(world: World, line: int, outcome: str) -> None:
    mark(world.conn, line, Answer(reference=f"VL{line}", outcome=outcome), actor="ben")  # type: ignore[arg-type]


def now(world: World) -> datetime:
    row = world.conn.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    return row[0]


def parts(found: Trace) -> list[tuple[str, int]]:
    return [(part.what, part.micros) for part in found.parts]


def summed(found: Trace) -> None:
    """To the cent, from the line down to the views."""
    assert found.problems == []
    assert found.line.gross_micros + found.stays_micros == sum(p.micros for p in found.parts)
    for part in found.parts:
        if part.what == "settlement":
            mine = [a for a in found.accruals if a.settlement_id == part.journal_id]
            assert part.micros == sum(
                a.views * a.rate_micros - a.fee_micros - a.corrected_micros for a in mine
            )
    for accrual in found.accruals:
        assert accrual.found_views == accrual.views + accrual.capped_views


def test_from_line_to_events_and_back(world: World) -> None:
    campaign, promoter = new_campaign(world.conn, fee_bp=1000), new_promoter(world.conn, KEYS)
    small = new_campaign(world.conn, daily_budget_micros=3_000)
    partition, events = world.view(campaign, promoter, 40)
    world.view(campaign, promoter, 3, verdict=Verdict.INVALID, reasons=Reason.MODEL_SCORE.bit)
    world.view(campaign, new_promoter(world.conn, KEYS), 50)
    world.view(small, promoter, 8)
    correct(world.conn, world.accrual(partition), 5, reason="bots", actor="f", key=name("key"))
    settle(world.conn)
    line = drafted(world, promoter)
    found = trace(world.conn, world.client, line, max_events=100)
    summed(found)
    assert parts(found) == [("settlement", 34_500)]
    assert (found.line.gross_micros, found.stays_micros) == (30_000, 4_500)
    assert [
        (a.campaign_id, a.views, a.capped_views, a.corrected_views) for a in found.accruals
    ] == [
        (campaign, 40, 0, 5),
        (small, 3, 5, 0),
    ]
    assert [event.event_id for event in found.accruals[0].events] == events
    assert {(e.model_version, e.policy_version) for e in found.accruals[0].events} == {("m1", "p1")}
    assert [len(a.events) for a in trace(world.conn, world.client, line, 2).accruals] == [2, 2]
    answer(world, line, "settled")
    (back,) = trace_event(world.conn, world.client, events[7])
    assert (back.event.verdict, back.event.model_version, back.problem) == ("valid", "m1", "")
    assert back.accrual is not None
    assert back.accrual.accrual_id == found.accruals[0].accrual_id
    assert [(paid.line.line_id, paid.line.status) for paid in back.paid] == [(line, "settled")]


def test_a_line_whose_money_came_back(world: World) -> None:
    campaign, promoter = new_campaign(world.conn), new_promoter(world.conn, KEYS)
    partition, events = world.view(campaign, promoter, 45)
    settle(world.conn)
    first = drafted(world, promoter)
    answer(world, first, "returned")
    correct(world.conn, world.accrual(partition), 2, reason="bots", actor="f", key=name("key"))
    correct(world.conn, world.accrual(partition), 1, reason="bots", actor="f", key=name("key"))
    world.view(campaign, promoter, 10)
    settle(world.conn)
    second = drafted(world, promoter)
    found = trace(world.conn, world.client, second)
    summed(found)
    assert parts(found) == [
        ("carried over", 5_000),
        ("given back", 40_000),
        ("correction", -2_000),
        ("correction", -1_000),
        ("settlement", 10_000),
    ]
    assert [part.line_id for part in found.parts] == [first, first, None, None, None]
    (before,) = found.given_back
    summed(before)
    assert (before.line.line_id, before.line.status) == (first, "returned")
    (back,) = trace_event(world.conn, world.client, events[0])
    assert [(p.line.line_id, p.line.status) for p in back.paid] == [
        (first, "returned"),
        (second, "exported"),
    ]


def test_debts_are_netted(world: World) -> None:
    campaign, promoter = new_campaign(world.conn), new_promoter(world.conn, KEYS)
    partition, _ = world.view(campaign, promoter, 40)
    settle(world.conn)
    answer(world, drafted(world, promoter), "settled")
    correct(world.conn, world.accrual(partition), 10, reason="bots", actor="f", key=name("key"))
    world.view(campaign, promoter, 30)
    settle(world.conn)
    found = trace(world.conn, world.client, drafted(world, promoter))
    summed(found)
    assert parts(found) == [("settlement", 30_000), ("netting", -10_000)]
    assert found.line.netted_micros == 10_000


def test_what_was_settled_too_late_is_of_the_next_line(world: World) -> None:
    campaign, promoter = new_campaign(world.conn), new_promoter(world.conn, KEYS)
    _, early = world.view(campaign, promoter, 10)
    settle(world.conn)
    until = now(world)
    _, late = world.view(campaign, promoter, 20)
    settle(world.conn)
    first, second = drafted(world, promoter, until), drafted(world, promoter)
    found = trace(world.conn, world.client, first)
    summed(found)
    assert parts(found) == [("settlement", 10_000), ("left for later", 20_000)]
    found = trace(world.conn, world.client, second)
    summed(found)
    assert parts(found) == [("settlement", 20_000)]
    for events, line in ((early, first), (late, second)):
        (back,) = trace_event(world.conn, world.client, events[0])
        assert [paid.line.line_id for paid in back.paid] == [line]


def test_events_that_are_not_paid(world: World) -> None:
    campaign, promoter = new_campaign(world.conn), new_promoter(world.conn, KEYS)
    _, events = world.view(campaign, promoter, 1, verdict=Verdict.HELD, duplicates=[0])
    (held,) = trace_event(world.conn, world.client, events[0])
    assert (held.event.verdict, held.accrual, held.paid) == ("held", None, [])
    (refused,) = trace_event(world.conn, world.client, "event-of-000000000000")
    assert (refused.event.verdict, refused.event.reasons) == ("refused", ["duplicate"])
    assert refused.event.log_time == datetime(2025, 10, 9, 8, 53, 20, tzinfo=UTC)
    assert trace_event(world.conn, world.client, "nothing") == []
    with pytest.raises(PayoutError, match="no payout line 99999"):
        trace(world.conn, world.client, 99_999)


def test_a_view_that_a_review_booked_anew_is_followed_from_there(world: World) -> None:
    campaign, promoter = new_campaign(world.conn), new_promoter(world.conn, KEYS)
    partition, events = world.view(campaign, promoter, 20)
    settle(world.conn)
    line = drafted(world, promoter)
    answer(world, line, "settled")
    (paid,) = trace_event(world.conn, world.client, events[0])
    assert [one.line.line_id for one in paid.paid] == [line]
    at = paid.event
    where = (at.partition, at.raw_offset, at.scored_offset, at.event_id)
    log_time = round(at.log_time.timestamp() * 1000)
    taken = Change(
        *where, log_time, campaign, promoter, "EUR", 1000, Verdict.VALID, 0, Verdict.INVALID, 0
    )
    given = taken._replace(was=Verdict.INVALID, became=Verdict.VALID)
    assert correct_views(world.conn, [taken], HINDSIGHT) == 1
    assert correct_views(world.conn, [given], REVIEW) == 1
    (back,) = trace_event(world.conn, world.client, events[0])
    assert back.accrual is not None
    assert back.accrual.accrual_id > world.accrual(partition)
    assert (back.accrual.views, back.accrual.settlement_id, back.paid) == (1, None, [])


STORE = {
    "a view is lost": "ALTER TABLE views DELETE WHERE {}",
    "a view twice": "INSERT INTO views SELECT * FROM views WHERE {}",
    "another verdict": "ALTER TABLE views UPDATE verdict = 'held' WHERE {}",
    "another rate": "ALTER TABLE views UPDATE rate_micros = rate_micros + 1 WHERE {}",
    "another hour": "INSERT INTO views SELECT * REPLACE (log_time - INTERVAL 2 HOUR AS log_time)"
    " FROM views WHERE {0}; ALTER TABLE views DELETE WHERE {0} AND toHour(log_time) = 8",
    "another block": "ALTER TABLE views UPDATE scored_offset = 99 WHERE {}",
}


@pytest.mark.parametrize("what", STORE)
def test_tampering_in_clickhouse_is_told(world: World, what: str) -> None:
    campaign, promoter = new_campaign(world.conn), new_promoter(world.conn, KEYS)
    partition, events = world.view(campaign, promoter, 20)
    settle(world.conn)
    line = drafted(world, promoter)
    summed(trace(world.conn, world.client, line))
    for command in STORE[what].format(f"event_id = '{events[3]}'").split("; "):
        world.client.command(command)
    (problem,) = trace(world.conn, world.client, line).problems
    accrual, count = world.accrual(partition), 21 if what == "a view twice" else 19
    assert f"accrual {accrual} is of 20 paid and 0 capped views" in problem
    assert f"ClickHouse has {count} " in problem
    if what in ("another rate", "another hour", "another block"):
        (back,) = trace_event(world.conn, world.client, events[3])
        assert ("no accrual counts this view" in back.problem) == (what != "another block")


BOOKS = {
    "UPDATE settled_accruals SET net_micros = net_micros + 1": "its accruals sum to",
    "DELETE FROM settled_accruals": "its accruals sum to 0",
    "UPDATE accruals SET promoter_id = 'x'": "is of x in EUR",
    "UPDATE accruals SET scored_next = scored_from + 1, scored_from = scored_from": "ClickHouse",
    "UPDATE accruals SET capped_views = 1, capped_micros = rate_micros": "20 paid and 1 capped",
    "UPDATE payout_lines SET gross_micros = 30000, amount_micros = 30000": "moves -20,000 micros",
    "UPDATE entries SET amount_micros = amount_micros + 1 WHERE amount_micros = 20000": "booked",
}


@pytest.mark.parametrize("statement", BOOKS)
def test_tampering_in_the_ledger_is_told(world: World, statement: str) -> None:
    promoter = new_promoter(world.conn, KEYS)
    world.view(new_campaign(world.conn), promoter, 20)
    settle(world.conn)
    line = drafted(world, promoter)
    with psycopg.connect(world.settings.url("postgres")) as owner:
        assert trace_line(owner, world.client, line, 1).problems == []
        owner.execute("SET LOCAL session_replication_role = replica")  # no triggers
        owner.execute(statement)  # type: ignore[arg-type]
        problems = trace_line(owner, world.client, line, 1).problems
        owner.rollback()
    assert any(BOOKS[statement] in problem for problem in problems), problems
