import itertools
import threading
from collections import Counter
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.corrections import HINDSIGHT
from support.payouts import money
from support.reviews import RATE, REACH, both, decided, ends, stored_views
from support.stores import empty_store

from schemas.settings import Settings
from schemas.verdicts import Reason, Verdict
from sinks.clickhouse import Client
from sinks.correct_follow import follow
from sinks.correct_types import Change
from sinks.correct_views import correct_views
from sinks.judging import judging
from sinks.ledger_verify import verify_ledger
from sinks.postgres import Connection
from sinks.reconcile import reconcile
from sinks.review_decide import ReviewError, decide
from sinks.review_find import find_events
from sinks.review_money import Moved, moved_by
from sinks.review_record import Review
from sinks.settle import settle

pytestmark = pytest.mark.services

VALID, UNQUALIFIED, INVALID, HELD = Verdict
_partitions = itertools.count()


@pytest.fixture(scope="module")
def store(stack: Settings) -> Settings:
    return empty_store(stack, "clickhouse", "postgres")


@pytest.fixture(scope="module")
def databases(store: Settings) -> Iterator[tuple[Connection, Client]]:
    with both(store) as found:
        yield found


@pytest.fixture
def conn(databases: tuple[Connection, Client]) -> Connection:
    return databases[0]


@pytest.fixture
def client(databases: tuple[Connection, Client]) -> Client:
    return databases[1]


@pytest.fixture
def partition() -> int:
    return next(_partitions)


def agrees(conn: Connection, client: Client) -> None:
    assert verify_ledger(conn) == []
    report = reconcile(client, conn, ends(client))
    assert (report.pending, report.differences) == ([], [])


def hindsight(conn: Connection, client: Client, event_ids: list[str], became: Verdict) -> int:
    """Settlement corrects views, whatever it would find."""
    with judging(conn):
        changes = [
            Change(*one[:9], one.verdict, one.reasons, became, 0)
            for one in find_events(client, event_ids)
            if one.verdict != became
        ]
        done = correct_views(conn, changes, HINDSIGHT)
        follow(conn, client, lambda rows: None)
    return done


def test_each_verdict_decided_either_way(conn: Connection, client: Client, partition: int) -> None:
    each = [VALID, UNQUALIFIED, INVALID, HELD]
    events = stored_views(conn, client, each * 2, partition)
    first = decided(conn, client, events[:4], "valid")
    assert [(first[one].outcome, first[one].became) for one in events[:4]] == [
        ("upheld", "valid"),
        ("upheld", "unqualified"),
        ("corrected", "valid"),
        ("corrected", "valid"),
    ]
    second = decided(conn, client, events[4:], "invalid")
    assert [(second[one].outcome, second[one].was) for one in events[4:]] == [
        ("corrected", "valid"),
        ("corrected", "unqualified"),
        ("upheld", "invalid"),
        ("corrected", "held"),
    ]
    assert {one.became for one in second.values()} == {"invalid"}
    assert money(conn, f"promoter-{partition}") == {"promoter_pending": 3 * RATE}
    rows = conn.execute(
        "SELECT why, actor, note, was, became, became_reasons, paid_micros FROM view_corrections"
        " WHERE partition = %s ORDER BY raw_offset",
        (partition,),
    ).fetchall()
    assert {row[:3] for row in rows} == {("review", "rita", "asked them")}
    assert [row[3:] for row in rows] == [
        ("invalid", "valid", 0, RATE),
        ("held", "valid", 0, RATE),
        ("valid", "invalid", 0, -RATE),
        ("unqualified", "invalid", Reason.BELOW_MIN_WATCH.bit, 0),
        ("held", "invalid", 0, 0),  # that Redis was gone says nothing of it any more
    ]
    agrees(conn, client)


def test_the_policy_pays_as_before(conn: Connection, client: Client, partition: int) -> None:
    short = Reason.BELOW_MIN_WATCH.bit | Reason.MODEL_SCORE.bit
    events = stored_views(conn, client, [INVALID], partition, reasons=[short])
    (done,) = decided(conn, client, events, "valid").values()
    assert (done.outcome, done.became, done.paid_micros) == ("corrected", "unqualified", 0)
    assert done.says == "the view policy does not pay it"
    assert find_events(client, events)[0].reasons == Reason.BELOW_MIN_WATCH.bit
    agrees(conn, client)


def test_the_same_again_and_the_contrary(conn: Connection, client: Client, partition: int) -> None:
    events = stored_views(conn, client, [HELD, VALID], partition)
    decided(conn, client, events, "valid")
    before = conn.execute("SELECT max(review_id) FROM view_reviews").fetchall()
    again = decided(conn, client, events, "valid", "bob")
    assert {one.outcome for one in again.values()} == {"repeated"}
    assert "decided valid by rita on " in again[events[0]].says
    contrary = decided(conn, client, events, "invalid", "bob")
    assert {one.outcome for one in contrary.values()} == {"refused"}
    assert "was decided valid by rita on " in contrary[events[1]].says
    assert conn.execute("SELECT max(review_id) FROM view_reviews").fetchall() == before
    assert money(conn, f"promoter-{partition}") == {"promoter_pending": 2 * RATE}
    agrees(conn, client)


def test_a_persons_word_stands(conn: Connection, client: Client, partition: int) -> None:
    events = stored_views(conn, client, [HELD, VALID, VALID, INVALID], partition)
    decided(conn, client, events[:3], "valid")
    assert hindsight(conn, client, events, INVALID) == 0
    assert hindsight(conn, client, events[3:], VALID) == 1
    assert money(conn, f"promoter-{partition}") == {"promoter_pending": 4 * RATE}
    # And a person may overturn settlement, once.
    (done,) = decided(conn, client, events[3:], "invalid").values()
    assert (done.outcome, done.was, done.paid_micros) == ("corrected", "valid", -RATE)
    agrees(conn, client)


def test_one_view_of_a_viewer_post_and_day_is_paid(
    conn: Connection, client: Client, partition: int
) -> None:
    same = {"viewer_id": ["viewer-a"] * 3 + ["viewer-b"] * 2, "post_id": [f"post-{partition}"] * 5}
    day = 1_760_000_000_000 // 86_400_000 * 86_400_000 + 3_600_000
    times = {"viewed_at": [day + n for n in range(5)], "log_time": [day + 9 + n for n in range(5)]}
    verdicts = [HELD, VALID, HELD, HELD, INVALID]
    events = stored_views(conn, client, verdicts, partition, **same, **times)
    done = decided(conn, client, events, "valid")
    assert [done[one].became for one in events] == [
        "unqualified",
        "valid",
        "unqualified",
        "valid",
        "unqualified",
    ]
    assert "another view of this post" in done[events[4]].says
    assert money(conn, f"promoter-{partition}") == {"promoter_pending": 2 * RATE}
    agrees(conn, client)


def test_a_view_of_the_next_day_is_paid_too(
    conn: Connection, client: Client, partition: int
) -> None:
    day = 1_760_000_000_000 // 86_400_000 * 86_400_000
    times = {"viewed_at": [day - 1, day], "log_time": [day + 5, day + 6]}
    same = {"viewer_id": ["viewer-a"] * 2, "post_id": [f"post-{partition}"] * 2}
    events = stored_views(conn, client, [HELD, HELD], partition, **same, **times)
    done = decided(conn, client, events, "valid")
    assert {one.became for one in done.values()} == {"valid"}


def test_a_late_view_of_a_day_is_paid_once(
    conn: Connection, client: Client, partition: int
) -> None:
    day = 1_760_000_000_000 // 86_400_000 * 86_400_000 + 3_600_000
    late = day + 60 * 3_600_000
    same = {"viewer_id": ["viewer-a"] * 2, "post_id": [f"post-{partition}"] * 2}
    times = {"viewed_at": [day, day + 1], "log_time": [day + 9, late]}
    events = stored_views(conn, client, [VALID, HELD], partition, **same, **times)
    reach = Settings(accept_window_hours=72).repeat_reach
    (done,) = decided(conn, client, events[1:], "valid", reach=reach).values()
    assert done.became == "unqualified"
    agrees(conn, client)


@pytest.mark.parametrize("held", [0, 1])
def test_an_old_replay_and_the_view_that_it_repeats(
    conn: Connection, client: Client, partition: int, held: int
) -> None:
    day = 1_760_000_000_000 // 86_400_000 * 86_400_000 + 3_600_000
    same = {"viewer_id": ["viewer-a"] * 2, "post_id": [f"post-{partition}"] * 2}
    times = {"viewed_at": [day, day + 1], "log_time": [day + 9, day + 120 * 3_600_000]}
    verdicts = [HELD, VALID] if held == 0 else [VALID, HELD]
    events = stored_views(conn, client, verdicts, partition, **same, **times)
    (done,) = decided(conn, client, [events[held]], "valid").values()
    assert done.became == "unqualified"
    agrees(conn, client)


def test_a_view_that_was_overturned_twice_keeps_its_place(
    conn: Connection, client: Client, partition: int
) -> None:
    same = {"viewer_id": ["viewer-a"] * 2, "post_id": [f"post-{partition}"] * 2}
    events = stored_views(conn, client, [VALID, HELD], partition, **same)
    hindsight(conn, client, events[:1], INVALID)
    # The first one may come back, so the second one is not paid in its place.
    (held,) = decided(conn, client, events[1:], "valid").values()
    (back,) = decided(conn, client, events[:1], "valid").values()
    assert (held.became, back.became) == ("unqualified", "valid")
    agrees(conn, client)


def test_money_comes_from_where_it_is(conn: Connection, client: Client, partition: int) -> None:
    events = stored_views(conn, client, [VALID, VALID, HELD], partition)
    settle(conn)
    done = decided(conn, client, events, "invalid")
    assert moved_by(conn, list(done.values())) == [
        Moved("EUR", 0, 0, 2 * RATE, pending=0, payable=2 * RATE, debt=0)
    ]
    assert moved_by(conn, []) == []
    agrees(conn, client)


def test_beyond_the_budget(conn: Connection, client: Client, partition: int) -> None:
    events = stored_views(conn, client, [HELD, HELD], partition, budget=RATE)
    done = decided(conn, client, events, "valid")
    assert [done[one].says for one in events] == ["", "beyond the budget"]
    assert moved_by(conn, list(done.values())) == [Moved("EUR", RATE, RATE, 0, 0, 0, 0)]
    agrees(conn, client)


def test_of_two_people_one_decides(
    store: Settings, conn: Connection, client: Client, partition: int
) -> None:
    events = stored_views(conn, client, [HELD] * 30, partition)
    outcomes: Counter[str] = Counter()
    begin = threading.Barrier(2)

    def review(verdict: str, by: str) -> None:
        with both(store) as (mine, its):
            begin.wait()
            found = decided(mine, its, events, verdict, by)
            outcomes.update(one.outcome for one in found.values())

    people = [
        threading.Thread(target=review, args=args) for args in (("valid", "a"), ("invalid", "b"))
    ]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert outcomes == {"corrected": 30, "refused": 30}
    agrees(conn, client)


@pytest.mark.parametrize(
    ("by", "note"), [("", "why"), ("rita", ""), ("rita ", "why"), ("rita", "a\nb"), ("r" * 65, "n")]
)
def test_who_and_why_are_asked_for(conn: Connection, client: Client, by: str, note: str) -> None:
    with pytest.raises(ReviewError, match="it must be 1 to"):
        decide(conn, client, [], Review("valid", by, note), REACH)


def test_the_database_holds_it_for_every_program(
    store: Settings, conn: Connection, client: Client, partition: int
) -> None:
    events = stored_views(conn, client, [HELD, VALID, VALID], partition)
    decided(conn, client, events[:2], "valid")
    assert hindsight(conn, client, events[2:], INVALID) == 1
    columns = (
        "partition, raw_offset, event_id, log_time, campaign_id, promoter_id, currency,"
        " rate_micros, was, decided, became, view_correction_id, actor, note"
    )
    with psycopg.connect(store.url("postgres"), autocommit=True) as owner:
        for statement in ("UPDATE view_reviews SET note = 'x'", "DELETE FROM view_reviews"):
            with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="append-only"):
                owner.execute(statement)
        with pytest.raises(psycopg.errors.UniqueViolation, match="reviewed_once"):
            owner.execute(
                f"INSERT INTO view_reviews ({columns}) SELECT {columns} FROM view_reviews"
                " WHERE event_id = %s".encode(),
                (events[1],),
            )
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="is not that of"):
            owner.execute(
                f"INSERT INTO view_reviews ({columns}) SELECT partition, 77, event_id, log_time,"
                " campaign_id, promoter_id, currency, rate_micros, 'held', 'valid', 'valid',"
                " (SELECT max(view_correction_id) FROM view_corrections WHERE view_correction_id"
                " NOT IN (SELECT view_correction_id FROM view_reviews WHERE view_correction_id"
                " IS NOT NULL)), 'x', 'x' FROM view_reviews WHERE event_id = %s".encode(),
                (events[1],),
            )
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="reviewed by a"):
            owner.execute(
                "INSERT INTO view_corrections (partition, raw_offset, scored_offset, event_id,"
                " log_time, campaign_id, promoter_id, currency, rate_micros, was, was_reasons,"
                " became, became_reasons, why, paid_micros, capped_micros, accrual_id,"
                " model_version, policy_version, lists_version, rules_version, actor, note)"
                " SELECT partition, raw_offset, 0, event_id, log_time, campaign_id, promoter_id,"
                " currency, rate_micros, 'unqualified', 0, 'invalid', 0, 'hindsight', 0, 0, NULL,"
                " '', '', '', '', 'x', '' FROM view_reviews WHERE event_id = %s",
                (events[1],),
            )
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("DELETE FROM view_reviews")
    agrees(conn, client)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["valid", "invalid", "hindsight valid", "hindsight invalid", "settle"]),
        st.lists(st.integers(0, 9), min_size=1, max_size=6, unique=True),
    ),
    max_size=6,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    verdicts=st.lists(st.sampled_from(list(Verdict)), min_size=10, max_size=10),
    viewers=st.lists(st.integers(0, 4), min_size=10, max_size=10),
    budget=st.integers(0, 8),
    steps=STEPS,
)
def test_whatever_is_decided_everything_agrees(
    conn: Connection,
    client: Client,
    verdicts: list[Verdict],
    viewers: list[int],
    budget: int,
    steps: list[tuple[str, list[int]]],
) -> None:
    # As the stream leaves it: one valid view of a viewer, post and day.
    paid: set[int] = set()
    for n, (verdict, viewer) in enumerate(zip(verdicts, viewers, strict=True)):
        if verdict == VALID:
            verdicts[n] = UNQUALIFIED if viewer in paid else VALID
            paid.add(viewer)
    partition = next(_partitions)
    names = {"viewer_id": [f"viewer-{n}" for n in viewers], "post_id": [f"post-{partition}"] * 10}
    events = stored_views(conn, client, verdicts, partition, budget * RATE, **names)
    word: dict[str, str] = {}
    for what, which in steps:
        chosen = [events[n] for n in which]
        if what == "settle":
            settle(conn)
        elif what.startswith("hindsight"):
            if what.endswith("invalid"):
                hindsight(conn, client, chosen, INVALID)
        else:
            found = decided(conn, client, chosen, what)
            for one in chosen:
                same = word.setdefault(one, what) == what
                assert (found[one].outcome == "refused") == (not same)
            again = decided(conn, client, chosen, what)
            assert {one.outcome for one in again.values()} <= {"repeated", "refused"}
    by_now = find_events(client, events)
    for one in by_now:
        if one.event_id in word:
            assert (word[one.event_id] == "invalid") == (one.verdict == INVALID)
    assert max(Counter(one.slot for one in by_now if one.verdict == VALID).values(), default=0) <= 1
    agrees(conn, client)
