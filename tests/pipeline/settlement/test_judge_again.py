from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support.blocks import VERSIONS
from support.ledger import campaign
from support.reviews import RATE, both, decided, stored_views
from support.stores import empty_store

from models.features import NAMES
from pipeline.settlement.held import Features
from pipeline.settlement.judge_again import JudgedAgain, judge_again
from pipeline.settlement.read import read_views
from pipeline.settlement.repeats import repeats
from schemas.block import ACCEPTED, REFUSED, decode_block, encode_block
from schemas.fencing import Position, Progress, Stamp
from schemas.settings import Settings
from schemas.verdicts import Reason, Verdict
from sinks import clickhouse, postgres
from sinks.book import book
from sinks.catalogue import save_campaigns
from sinks.ledger_verify import verify_ledger
from sinks.reconcile import reconcile
from sinks.review_find import find_events
from sinks.settle import SettleError, settle
from sinks.store import insert_block

pytestmark = pytest.mark.services

HOUR_MS = 3_600_000
START = 1_760_000_400_000 // HOUR_MS * HOUR_MS
"""An hour of the log."""
HOURS = 5
PEOPLE = 150
"""Views of an hour, each of another person."""
FARM = 15
"""Views of an hour by one address for one promoter."""
HELD = 6
PAID = "event-person-2-000007-2"
SAME = (4, 5)
"""Held views of the first hour that are given to one viewer."""


def views_of_log() -> list[dict[str, object]]:
    """In the order of the log: people, a farm, and views that were held."""
    random = np.random.default_rng(7)
    rows = []
    for hour in range(HOURS):
        for n in range(PEOPLE + FARM + HELD):
            farm, held = PEOPLE <= n < PEOPLE + FARM, n >= PEOPLE + FARM
            who = f"{'farm' if farm else 'person'}-{hour if not farm else 0}-{n:06}"
            at = START + hour * HOUR_MS + int(random.integers(HOUR_MS))
            watch = int(random.integers(6_000, 30_000))
            crawler = held and n % HELD == 0
            rows.append(
                {
                    "log_time": at,
                    "viewed_at": at - 700,
                    "event_id": f"event-{who}-{hour}",
                    "campaign_id": "c",
                    "promoter_id": "cheat" if farm else f"p{random.integers(30)}",
                    "post_id": f"post-{random.integers(300)}",
                    "platform": "tiktok",
                    "viewer_id": who,
                    "session_id": who,
                    "occurred_at": at - 1000,
                    "sent_at": at - 300,
                    "received_at": at,
                    "ip": "93.184.1.1" if farm else f"81.2.{n}.{1 + hour}",
                    "user_agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"
                    if crawler
                    else "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Version/17.5",
                    "watch_ms": watch,
                    "duration_ms": 40_000,
                    "visible_pct": 100.0,
                    "interactions": 1,
                    "muted": False,
                    "autoplay": True,
                    "screen": "390x844",
                    "language": "en-GB",
                    "tz_offset_min": 0,
                    "currency": "EUR",
                    "rate_micros": 1000,
                    "verdict": int(Verdict.HELD if held else Verdict.VALID),
                    "reasons": Reason.VELOCITY_UNAVAILABLE.bit if held else 0,
                }
            )
    # The same person and post again, the first one paid: this one is a repeat.
    (paid,) = [row for row in rows if row["event_id"] == PAID]
    again = {"event_id": "event-again-000000", "log_time": START + 3 * HOUR_MS + 5}
    held = {"verdict": int(Verdict.HELD), "reasons": Reason.MODEL_UNAVAILABLE.bit}
    rows.append(paid | again | held)
    return sorted(rows, key=lambda row: row["log_time"])  # type: ignore[arg-type, return-value]


@pytest.fixture
def store(stack: Settings) -> Settings:
    """The log stored and booked, in blocks of two partitions."""
    found = empty_store(stack, "clickhouse", "postgres")
    rows = views_of_log()
    empty = pa.RecordBatch.from_pylist([], schema=REFUSED)
    with (
        clickhouse.connect(found.url("clickhouse")) as client,
        postgres.connect(found) as conn,
    ):
        save_campaigns(conn, [campaign(10**9, campaign_id="c", hold_hours=0, fee_bp=1000)])
        for partition in (0, 1):
            mine = [row | {"raw_offset": place} for place, row in enumerate(rows[partition::2])]
            at = Progress()
            for number, start in enumerate(range(0, len(mine), 100)):
                part = mine[start : start + 100]
                made = decode_block(
                    encode_block(pa.RecordBatch.from_pylist(part, schema=ACCEPTED), empty, VERSIONS)
                )
                end = start + len(part)
                insert_block(
                    client, partition, number, START, Stamp("block", "w", 1, start, end), made
                )
                then = Progress(Position(1, "w", end), number + 1)
                book(conn, partition, at, then, [made.accepted])
                at = then
    return found


def run(store: Settings, hours: int | None = None) -> JudgedAgain:
    with (
        clickhouse.connect(store.url("clickhouse")) as client,
        postgres.connect(store) as conn,
    ):
        until = (
            None
            if hours is None
            else datetime.fromtimestamp(START / 1e3, UTC) + timedelta(hours=hours)
        )
        return judge_again(store, conn, client, until)


def corrections(store: Settings) -> list[tuple[object, ...]]:
    """All corrections, without their numbers and times."""
    with postgres.connect(store) as conn:
        assert verify_ledger(conn) == []
        return conn.execute(
            "SELECT event_id, was, became, became_reasons, paid_micros, note"
            " FROM view_corrections ORDER BY event_id"
        ).fetchall()


def test_what_came_later_is_seen_and_what_was_missing_is_judged(store: Settings) -> None:
    done = run(store, HOURS + 2)
    assert (done.hours, done.views) == (HOURS, HOURS * (PEOPLE + FARM + HELD) + 1)
    found = corrections(store)
    farm = [row for row in found if str(row[0]).startswith("event-farm")]
    assert len(farm) == HOURS * FARM
    assert {row[1:] for row in farm} == {("valid", "invalid", 0, -1000, "address_of_promoter")}
    held = [row for row in found if row not in farm and "again" not in str(row[0])]
    assert len(held) == HOURS * HELD
    crawlers = [row for row in held if int(str(row[3])) & Reason.DECLARED_BOT.bit]
    assert [row[2] for row in crawlers] == ["invalid"] * HOURS
    paid = [row for row in held if row[2] == "valid"]
    assert paid
    assert {row[3:5] for row in paid} == {(0, 1000)}
    (again,) = [row for row in found if "again" in str(row[0])]
    assert (again[1], again[4]) == ("held", 0)
    assert again[2] != "valid"
    assert run(store, HOURS + 2) == JudgedAgain(0, 0, 0)
    with (
        clickhouse.connect(store.url("clickhouse")) as client,
        postgres.connect(store) as conn,
    ):
        (moved,) = settle(conn)
        valid = HOURS * PEOPLE + len(paid)
        assert moved.micros == valid * 900
        ends = store_ends(client)
        assert reconcile(client, conn, ends).differences == []


def test_a_view_that_repeats_a_paid_one_is_found(store: Settings) -> None:
    start = datetime.fromtimestamp(START / 1e3, UTC) + timedelta(hours=3)
    end = start + timedelta(hours=1)
    with clickhouse.connect(store.url("clickhouse")) as client:
        views = read_views(client, start, end)
        held = np.flatnonzero(views.verdict == Verdict.HELD).tolist()
        events = views.rows["event_id"].to_pylist()
        assert len(held) == HELD + 1
        found = repeats(client, views, [*held, held[-1]], start, end, store.repeat_reach)
    again = {row for row in found if events[row] == "event-again-000000"}
    assert len(again) == 1
    # One was asked for twice: a view repeats what came before it in the same hour, too.
    assert found == again | {held[-1]}


def test_a_late_view_that_repeats_a_paid_one_is_found(store: Settings) -> None:
    """Where views may be three days late, another one of that day may have come in before them."""
    with both(store) as (_, client):
        client.command(
            "INSERT INTO views SELECT * REPLACE (one.log_time - INTERVAL 60 HOUR AS log_time,"
            " 'event-early' AS event_id, one.raw_offset + 1000000 AS raw_offset)"
            " FROM (SELECT * FROM views WHERE event_id = {event:String}) AS one",
            parameters={"event": PAID},
        )
        ((early,),) = client.query(
            "SELECT count() FROM views WHERE event_id = 'event-early'"
        ).result_rows
        assert early == 1
        client.command(
            "ALTER TABLE views UPDATE verdict = 'invalid' WHERE event_id = {event:String}",
            parameters={"event": PAID},
        )
    run(store.model_copy(update={"accept_window_hours": 72}), HOURS + 2)
    (again,) = [row for row in corrections(store) if row[0] == "event-again-000000"]
    assert (again[2], again[4]) == ("unqualified", 0)
    assert int(str(again[3])) & Reason.REPEAT_VIEW.bit


def test_an_old_replay_is_no_second_view(stack: Settings) -> None:
    """Of what was refused once, and comes when the stream has forgotten the view that it paid."""
    found = empty_store(stack, "clickhouse", "postgres")
    day = START // (24 * HOUR_MS) * 24 * HOUR_MS
    verdicts = [Verdict.VALID, Verdict.VALID, Verdict.HELD, Verdict.VALID]
    events = len(verdicts)
    with both(found) as (conn, client):
        paid, *replayed = stored_views(
            conn,
            client,
            verdicts,
            viewer_id=["viewer-of-all"] * events,
            post_id=["post-of-all"] * events,
            viewed_at=[day + HOUR_MS + n for n in range(events)],
            log_time=[day + hours * HOUR_MS for hours in (2, 120, 121, 240)],
        )
    run(found, 11 * 24)
    became = {row[0]: row[2:5] for row in corrections(found)}
    repeat = Reason.REPEAT_VIEW.bit
    assert paid not in became
    assert [became[event][0] for event in replayed] == ["unqualified"] * 3
    assert [int(str(became[event][1])) & repeat for event in replayed] == [repeat] * 3
    assert [became[event][2] for event in replayed] == [-RATE, 0, -RATE]


def test_features_are_the_same_wherever_a_settlement_begins(stack: Settings) -> None:
    """Also of who comes every twenty hours, for two weeks."""
    found = empty_store(stack, "clickhouse", "postgres")
    times = [START + n * 20 * HOUR_MS for n in range(16)]
    with both(found) as (conn, client):
        same = ["viewer-of-all"] * len(times)
        stored_views(
            conn,
            client,
            [Verdict.VALID] * len(times),
            viewer_id=same,
            viewed_at=times,
            log_time=times,
        )
        hours = [datetime.fromtimestamp(time / 1e3, UTC) for time in times]
        read = {hour: read_views(client, hour, hour + timedelta(hours=1)) for hour in hours}
        whole = Features(client)
        features = [whole.of_hour(hour, read[hour]) for hour in hours]
        for hour, expected in zip(hours, features, strict=True):
            np.testing.assert_array_equal(Features(client).of_hour(hour, read[hour]), expected)
    age = NAMES.index("viewer_age_s")
    assert features[-1][0, age] > 0


@pytest.mark.parametrize("verdict", ["invalid", "held"])
def test_hours_that_are_all_of_one_kind(store: Settings, verdict: str) -> None:
    """In those of bots nothing is to be corrected; in those of an outage nothing was valid."""
    with both(store) as (_, client):
        client.command(
            "ALTER TABLE views UPDATE verdict = {verdict:String} WHERE true",
            parameters={"verdict": verdict},
        )
    done = run(store, HOURS + 2)
    assert done.hours == HOURS
    assert done.corrected == (0 if verdict == "invalid" else done.views)
    assert run(store, HOURS + 2) == JudgedAgain(0, 0, 0)


def store_ends(client: clickhouse.Client) -> dict[int, tuple[int, int]]:
    rows = client.query("SELECT partition, max(raw_next) FROM blocks GROUP BY partition")
    return {partition: (0, end) for partition, end in rows.result_rows}


def test_it_makes_no_difference_how_often_it_runs(store: Settings, stack: Settings) -> None:
    run(store, HOURS + 2)
    whole = corrections(store)
    other = empty_store(stack, "postgres").model_copy(update={"clickhouse": store.clickhouse})
    with (
        clickhouse.connect(store.url("clickhouse"), settings={"mutations_sync": 2}) as client,
        postgres.connect(other) as conn,
    ):
        client.command("TRUNCATE TABLE corrections")
        save_campaigns(conn, [campaign(10**9, campaign_id="c", hold_hours=0, fee_bp=1000)])
        views = client.query_arrow(
            "SELECT partition, toString(campaign_id) AS campaign_id,"
            " toString(promoter_id) AS promoter_id, toString(currency) AS currency, rate_micros,"
            " toUnixTimestamp64Milli(log_time) AS log_time, toUInt8(verdict) AS verdict FROM"
            " views ORDER BY raw_offset"
        )
        for partition, (_, end) in store_ends(client).items():
            rows = views.filter(pc.equal(views["partition"], partition))
            book(conn, partition, Progress(), Progress(Position(1, "w", end), 100), [rows])
    for hours in range(1, HOURS + 3):
        run(other, hours)
    assert corrections(other) == whole


def test_what_a_person_decided_stays(store: Settings) -> None:
    with both(store) as (conn, client):
        held = [
            f"event-person-{hour}-{PEOPLE + FARM + n:06}-{hour}" for hour, n in ((0, 3), (1, 4))
        ]
        farm = f"event-farm-0-{PEOPLE:06}-1"
        decided(conn, client, held[:1], "invalid")
        kept = decided(conn, client, [held[1], farm], "valid")
        assert [kept[one].outcome for one in (held[1], farm)] == ["corrected", "upheld"]
    run(store, HOURS + 2)
    with both(store) as (conn, client):
        by_now = {one.event_id: one.verdict for one in find_events(client, [*held, farm])}
        assert by_now == dict(
            zip([*held, farm], [Verdict.INVALID, Verdict.VALID, Verdict.VALID], strict=True)
        )
        rows = conn.execute(
            "SELECT event_id, why FROM view_corrections WHERE event_id = ANY (%s) ORDER BY 1",
            ([*held, farm],),
        )
        assert rows.fetchall() == [(one, "review") for one in sorted(held)]
        assert reconcile(client, conn, store_ends(client)).differences == []
    assert len(corrections(store)) == HOURS * (FARM + HELD) + 1 - 1


def test_a_view_that_a_person_found_invalid_is_in_nobodys_place(store: Settings) -> None:
    first, second = (f"event-person-0-{PEOPLE + FARM + n:06}-0" for n in SAME)
    with both(store) as (conn, client):
        one, other = find_events(client, [first, second])
        assert (one.event_id, other.event_id) == (first, second)
        client.command(
            "ALTER TABLE views UPDATE viewer_id = {viewer:String}, post_id = {post:String}"
            " WHERE event_id IN {events:Array(String)}",
            parameters={"viewer": one.slot[0], "post": one.slot[1], "events": [first, second]},
        )
        decided(conn, client, [first], "invalid")
        run(store, HOURS + 2)
        one, other = find_events(client, [first, second])
        assert one.slot == other.slot
        assert (one.verdict, other.verdict) == (Verdict.INVALID, Verdict.VALID)


def test_a_view_that_the_rules_are_against_is_in_nobodys_place(store: Settings) -> None:
    second = f"event-person-0-{PEOPLE + FARM + SAME[1]:06}-0"
    with both(store) as (_, client):
        farm = [f"event-farm-0-{PEOPLE + n:06}-0" for n in range(FARM)]
        first = find_events(client, farm)[0]
        (other,) = find_events(client, [second])
        assert first.log_time < other.log_time
        client.command(
            "ALTER TABLE views UPDATE viewer_id = {viewer:String}, post_id = {post:String},"
            " verdict = 'held' WHERE event_id IN {events:Array(String)}",
            parameters={
                "viewer": other.slot[0],
                "post": other.slot[1],
                "events": [first.event_id, second],
            },
        )
        run(store, HOURS + 2)
        one, other = find_events(client, [first.event_id, second])
        assert one.slot == other.slot
        assert (one.verdict, other.verdict) == (Verdict.INVALID, Verdict.VALID)
    (row,) = [row for row in corrections(store) if row[0] == one.event_id]
    assert row[5] == "address_of_promoter"


def test_what_the_stream_paid_after_a_view_that_a_person_made_valid(store: Settings) -> None:
    """The stream does not know of it, so it pays the second one as well: one is taken back."""
    with both(store) as (conn, client):
        # The held one was there first; the other one as if it were not stored by then.
        client.command(
            "ALTER TABLE views UPDATE verdict = 'held' WHERE event_id = {event:String}",
            parameters={"event": PAID},
        )
        (done,) = decided(conn, client, ["event-again-000000"], "valid").values()
        assert done.became == "valid"
        client.command(
            "ALTER TABLE views UPDATE verdict = 'valid' WHERE event_id = {event:String}",
            parameters={"event": PAID},
        )
        judged = run(store, HOURS + 2)
        assert judged.hours == HOURS
        (first, second) = find_events(client, [PAID, "event-again-000000"])
        assert (first.verdict, second.verdict) == (Verdict.UNQUALIFIED, Verdict.VALID)
        assert first.reasons == Reason.REPEAT_VIEW.bit
        assert reconcile(client, conn, store_ends(client)).differences == []
    (row,) = [one for one in corrections(store) if one[0] == PAID]
    assert row[1:5] == ("valid", "unqualified", Reason.REPEAT_VIEW.bit, -1000)


def test_nothing_is_judged_that_is_not_stored(
    store: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.settlement.judge_again.offsets_at", lambda *_: {0: 10**9})
    with pytest.raises(SettleError, match="events behind in partition 0"):
        run(store, HOURS + 2)
    assert corrections(store) == []


def test_nothing_is_released_where_no_view_is_stored_at_all(
    stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger may have booked what ClickHouse does not have yet."""
    monkeypatch.setattr("pipeline.settlement.judge_again.offsets_at", lambda *_: {1: 1})
    with pytest.raises(SettleError, match="1 events behind in partition 1"):
        run(empty_store(stack, "clickhouse", "postgres"), HOURS + 2)


def test_without_a_model_nothing_is_judged(store: Settings) -> None:
    with pytest.raises(SettleError, match="model_version: unavailable"):
        run(store.model_copy(update={"model": "no-such-model"}), HOURS + 2)
    assert corrections(store) == []
