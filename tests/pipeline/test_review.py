"""Reviews on real services: in batches, stopped anywhere, carried to the topic and ClickHouse."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from support.payouts import money
from support.reviews import RATE, both, ends, stored_views
from support.stores import empty_store

from pipeline import review
from pipeline.offsets import topic_ranges
from pipeline.review import decide_events, decide_held
from schemas.settings import Settings
from schemas.topics import CORRECTIONS
from schemas.verdicts import Verdict
from sinks.clickhouse import Client
from sinks.ledger_verify import verify_ledger
from sinks.postgres import Connection
from sinks.reconcile import reconcile
from sinks.review_decide import ReviewError
from sinks.review_find import Held, find_events
from sinks.review_record import Review

pytestmark = pytest.mark.services

VALID, UNQUALIFIED, INVALID, HELD = Verdict
BOT = Review("invalid", "rita", "a farm")
AT = datetime.fromtimestamp(1_760_000_000, UTC)
HELD_OF = Held("promoter-0", None, AT - timedelta(days=1), AT + timedelta(days=1))


class Stopped(BaseException):
    """What a kill is to the process."""


@pytest.fixture
def store(stack: Settings) -> Settings:
    return empty_store(stack, "clickhouse", "postgres")


@pytest.fixture
def databases(store: Settings) -> Iterator[tuple[Connection, Client]]:
    with both(store) as found:
        yield found


def stops_at(call: int, real: Callable[..., object], *, after: bool) -> Callable[..., object]:
    """The function, which stops before or after its call of this number."""
    calls = iter(range(1_000))

    def function(*args: object) -> object:
        here = next(calls)
        if here == call and not after:
            raise Stopped
        result = real(*args)
        if here == call:
            raise Stopped
        return result

    return function


def test_held_views_are_decided_in_batches(
    store: Settings, databases: tuple[Connection, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    conn, client = databases
    monkeypatch.setattr(review, "_BATCH", 3)
    events = stored_views(conn, client, [HELD, VALID] * 5)
    before = sent(store)
    later = HELD_OF._replace(since=AT + timedelta(hours=1))
    assert list(decide_held(store, conn, client, later, BOT)) == []
    elsewhere = HELD_OF._replace(campaign_id="campaign-1")
    assert list(decide_held(store, conn, client, elsewhere, BOT)) == []
    done = list(decide_held(store, conn, client, HELD_OF, BOT))
    assert [one.event_id for one in done] == events[::2]
    assert list(decide_held(store, conn, client, HELD_OF, BOT)) == []
    assert sent(store) == before + 5
    assert money(conn, "promoter-0") == {"promoter_pending": 5 * RATE}
    agrees(conn, client)


def test_stopped_anywhere_it_ends_the_same(
    store: Settings, databases: tuple[Connection, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    conn, client = databases
    monkeypatch.setattr(review, "_BATCH", 2)
    monkeypatch.setattr(review, "publisher", lambda _: lambda rows: None)  # too few partitions
    for partition, (name, call, after) in enumerate(
        (name, call, after)
        for name in ("follow", "decide")
        for call in (0, 1, 2)
        for after in (False, True)
    ):
        events = stored_views(conn, client, [HELD, HELD, VALID, INVALID, HELD], partition)
        with monkeypatch.context() as patch:
            real = getattr(review, name)
            patch.setattr(review, name, stops_at(call, real, after=after))
            with pytest.raises(Stopped):
                list(decide_events(store, conn, client, events, BOT))
        done = list(decide_events(store, conn, client, events, BOT))
        assert [one.event_id for one in done] == events
        assert {one.became for one in done} == {"invalid"}
        assert {one.verdict for one in find_events(client, events)} == {INVALID}
        assert money(conn, f"promoter-{partition}") == {}
        rows = conn.execute(
            "SELECT count(*), count(view_correction_id) FROM view_reviews WHERE partition = %s",
            (partition,),
        ).fetchall()
        assert rows == [(5, 4)]
    agrees(conn, client)


def test_what_was_not_carried_on_is_known_to_the_next_one(
    store: Settings, databases: tuple[Connection, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    conn, client = databases
    same = {"viewer_id": ["viewer"] * 2, "post_id": ["post"] * 2}
    first, second = stored_views(conn, client, [HELD, HELD], **same)
    person = BOT._replace(decided="valid")
    with monkeypatch.context() as patch:
        patch.setattr(review, "follow", stops_at(1, review.follow, after=False))
        with pytest.raises(Stopped):
            list(decide_events(store, conn, client, [first], person))
    (done,) = decide_events(store, conn, client, [second], person)
    assert done.became == "unqualified"
    assert money(conn, "promoter-0") == {"promoter_pending": RATE}
    agrees(conn, client)


def test_nothing_is_done_without_a_name(
    store: Settings, databases: tuple[Connection, Client]
) -> None:
    with pytest.raises(ReviewError, match=re.escape("--by is ''")):
        list(decide_events(store, *databases, ["event"], BOT._replace(actor="")))


def sent(store: Settings) -> int:
    return sum(end - begin for begin, end in topic_ranges(store, CORRECTIONS).values())


def agrees(conn: Connection, client: Client) -> None:
    assert verify_ledger(conn) == []
    report = reconcile(client, conn, ends(client))
    assert (report.pending, report.differences) == ([], [])
