import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import Error
from support.blocks import START, block
from support.stores import (
    empty_store,
    last_part,
    lose_part,
    lose_token,
    patient_client,
    stopped_clickhouse,
)

from pipeline.embedded.stack import processes
from schemas.block import VERSION_KEYS, Block
from schemas.fencing import Position, Progress, Stamp
from schemas.settings import Settings
from sinks.clickhouse import Client, connect
from sinks.reconcile_store import check_store
from sinks.rows import Counts, block_row, rejected_rows, view_rows
from sinks.store import StoreError, insert_block, load_progress
from sinks.turns import within

pytestmark = pytest.mark.services

DAY_MS = 24 * 3_600_000
TABLES = ("views", "views_rejected", "views_hourly", "blocks")


@pytest.fixture
def store(stack: Settings) -> Settings:
    """A database of its own for every test: a lost part leaves its token behind for ever."""
    return empty_store(stack, "clickhouse")


@pytest.fixture
def client(store: Settings) -> Iterator[Client]:
    with connect(store.url("clickhouse")) as found:
        # The views are so old that their features are forgotten at once, in another part.
        found.command("SYSTEM STOP TTL MERGES")
        yield found


class Sums(NamedTuple):
    views: int
    raw_offsets: int
    hourly_views: int
    hourly_micros: int
    rejected: int
    blocks: int


def sums(client: Client) -> Sums:
    """What is in the tables, rows and distinct rows."""
    (row,) = client.query(
        "SELECT (SELECT count() FROM views), (SELECT uniqExact(partition, raw_offset) FROM views),"
        " (SELECT sum(views) FROM views_hourly), (SELECT sum(amount_micros) FROM views_hourly),"
        " (SELECT count() FROM views_rejected), (SELECT count() FROM blocks)"
    ).result_rows
    return Sums(*row)


def insert(client: Client, number: int, rows: int = 100, partition: int = 0) -> Counts:
    """Block `number` of a partition: three in it are refused; at scored offset `number + 1`."""
    made = some_block(number, rows, partition)
    stamp = Stamp("block", "writer", 1, number * rows, (number + 1) * rows)
    return insert_block(client, partition, number + 1, START, stamp, made)


def some_block(number: int, rows: int = 100, partition: int = 0) -> Block:
    return block(number * rows, rows, partition=partition, refused=[1], duplicates=[5, 7])


def test_a_block_is_rows_in_every_table(client: Client) -> None:
    assert insert(client, 0) == Counts(97, 2, 1)
    assert insert(client, 1) == Counts(97, 2, 1)
    assert sums(client)[:3] == (194, 194, 194)
    assert check_store(client, DAY_MS) == []
    expected = some_block(0).accepted.to_pylist()[0]
    found = client.query(
        "SELECT * EXCEPT (partition, scored_offset, verdict), toUnixTimestamp64Milli(log_time)"
        " AS log_ms, toUnixTimestamp64Milli(viewed_at) AS viewed_ms,"
        " toInt8(verdict) AS verdict, reason_names FROM views ORDER BY raw_offset LIMIT 1",
        tz_mode="aware",
    )
    row = dict(zip(found.column_names, found.result_rows[0], strict=True))
    assert (row["log_ms"], row["viewed_ms"]) == (expected["log_time"], expected["viewed_at"])
    times = {"log_time", "viewed_at", "occurred_at", "sent_at", "received_at"}
    same = set(expected) - times - {"features", "shadow_scores"}
    assert {name: row[name] for name in same} == {name: expected[name] for name in same}
    assert row["model_version"] == "m1"
    names = client.query("SELECT DISTINCT verdict, reason_names FROM views ORDER BY verdict")
    assert names.result_rows == [
        ("valid", []),
        ("unqualified", ["below_min_watch"]),
        ("invalid", ["declared_bot", "model_score"]),
    ]


def test_by_what_a_view_was_judged_is_kept(client: Client) -> None:
    recent = block(0, 100, start=int(time.time() * 1000) - 100_000)
    insert_block(client, 0, 1, START, Stamp("block", "writer", 1, 0, 100), recent)
    found = client.query("SELECT features, shadow_scores FROM views ORDER BY raw_offset")
    for name, values in zip(
        ("features", "shadow_scores"), zip(*found.result_rows, strict=True), strict=True
    ):
        expected = [np.frombuffer(row, "<f4") for row in recent.accepted[name].to_pylist()]
        np.testing.assert_array_equal(np.array(values, np.float32), expected)
    says = client.query("SELECT features_digest, shadows, shadow_thresholds FROM blocks")
    assert says.result_rows == [("f1", ["s1"], [0.5])]


def test_a_block_from_before_features_were_kept(client: Client) -> None:
    old = block(0, 50)
    rows = old.accepted.drop_columns(["features", "shadow_scores"])
    for name in ("features", "shadow_scores"):
        rows = rows.append_column(name, pa.nulls(50, pa.binary()))
    before = Block(rows, old.refused, dict.fromkeys(VERSION_KEYS, "v"))
    insert_block(client, 0, 1, START, Stamp("block", "writer", 1, 0, 50), before)
    assert client.query("SELECT DISTINCT features, shadow_scores FROM views").result_rows == [
        ([], [])
    ]
    assert client.query("SELECT features_digest, shadows FROM blocks").result_rows == [("", [])]


def test_progress_is_the_last_block(client: Client) -> None:
    assert load_progress(client) == {}
    insert(client, 0)
    insert(client, 1)
    insert(client, 0, partition=3)
    assert load_progress(client) == {
        0: Progress(Position(1, "writer", 200), 3),
        3: Progress(Position(1, "writer", 100), 2),
    }


def test_a_block_may_be_empty_or_all_refused(client: Client) -> None:
    stamp = Stamp("block", "writer", 1, 0, 0)
    assert insert_block(client, 0, 1, START, stamp, block(0, 0)) == Counts(0, 0, 0)
    stamp = Stamp("block", "writer", 1, 0, 2)
    only = block(0, 2, refused=[0], duplicates=[1])
    assert insert_block(client, 0, 2, START, stamp, only) == Counts(0, 1, 1)
    assert sums(client) == (0, 0, 0, 0, 2, 2)
    assert load_progress(client)[0].position.next_raw == 2


def test_views_of_many_days_are_one_insert(client: Client, store: Settings) -> None:
    """Parts of several days and hours; replays make them."""
    days = block(0, 300, gap_ms=DAY_MS // 2)
    stamp = Stamp("block", "writer", 1, 0, 300)
    for _ in range(2):
        with connect(store.url("clickhouse")) as new:
            insert_block(new, 0, 1, START, stamp, days)
    assert sums(client)[:3] == (300, 300, 300)
    assert check_store(client, DAY_MS) == []


@pytest.mark.parametrize("repeat", ["same connection", "new connection", "while it is ahead"])
def test_a_repeated_block_changes_nothing(client: Client, store: Settings, repeat: str) -> None:
    insert(client, 0)
    insert(client, 1)
    if repeat == "while it is ahead":
        insert(client, 2)
    before = sums(client)
    other = client if repeat == "same connection" else connect(store.url("clickhouse"))
    insert(other, 1)
    insert(other, 1)
    assert sums(client) == before
    assert check_store(client, DAY_MS) == []
    insert(other, 3 if repeat == "while it is ahead" else 2)
    assert check_store(client, DAY_MS) == []


def test_tokens_without_the_setting_double_the_hours(client: Client) -> None:
    """Why the inserts carry `deduplicate_blocks_in_dependent_materialized_views`."""
    rows = view_rows(0, 1, block(0, 100))
    for careful in (1, 0):
        client.command("TRUNCATE TABLE views")
        client.command("TRUNCATE TABLE views_hourly")
        for _ in range(2):
            client.insert_arrow(
                "views",
                rows,
                settings={
                    "insert_deduplication_token": f"token-{careful}",
                    "deduplicate_blocks_in_dependent_materialized_views": careful,
                },
            )
        assert sums(client)[:3] == (100, 100, 100 if careful else 200)


def lose_both(part: Path) -> None:
    """What a kill leaves that came before this table."""
    lose_token(part)
    lose_part(part)


DAMAGES = [(table, damage) for table in TABLES for damage in (lose_part, lose_token)]
DAMAGES.append(("views_hourly", lose_both))


@pytest.mark.parametrize(("damage", "rows"), [(lose_part, 0), (lose_token, 2 * 97)])
def test_a_token_alone_is_not_enough(
    client: Client, store: Settings, damage: Callable[[Path], None], rows: int
) -> None:
    """What the engine makes of a retry after such a kill: why blocks are proven."""
    insert_by_token(client, 0, upto="views")
    part = last_part(client, "views")
    with stopped_clickhouse(store):
        damage(part)
    with connect(store.url("clickhouse")) as retrying:
        insert_by_token(retrying, 0, upto="views")
        assert sums(retrying).views == rows


@pytest.mark.parametrize(("table", "damage"), DAMAGES, ids=lambda it: getattr(it, "__name__", it))
def test_a_kill_between_part_and_token(
    client: Client, store: Settings, table: str, damage: Callable[[Path], None]
) -> None:
    """ClickHouse was killed while block 1 was inserted into one table; the others come after."""
    insert(client, 0)
    insert_by_token(client, 1, upto=table)
    part = last_part(client, table)
    with stopped_clickhouse(store):
        damage(part)
    with connect(store.url("clickhouse")) as retrying:
        for number in (1, 2):
            insert(retrying, number)
            assert sums(retrying)[:3] == (97 * (number + 1),) * 3
            assert check_store(retrying, DAY_MS) == []


def test_a_kill_under_a_store_that_was_ahead(client: Client, store: Settings) -> None:
    """One store was cut off in block 2; its successor still believes to be at block 1."""
    insert(client, 0)
    insert(client, 1)
    insert_by_token(client, 2, upto="views")
    part = last_part(client, "views")
    with stopped_clickhouse(store):
        lose_part(part)
    with connect(store.url("clickhouse")) as successor:
        for number in (1, 2, 3):
            insert(successor, number)
        assert sums(successor)[:3] == (4 * 97,) * 3
        assert check_store(successor, DAY_MS) == []


def insert_by_token(client: Client, number: int, upto: str) -> None:
    """The inserts of a block without any proof, up to those into one table."""
    made, token = some_block(number), f"views.scored-0-{number + 1}"
    stamp = Stamp("block", "writer", 1, number * 100, (number + 1) * 100)
    tables = {
        "views": view_rows(0, number + 1, made),
        "views_hourly": None,  # is fed by views
        "views_rejected": rejected_rows(0, number + 1, made),
        "blocks": block_row(0, number + 1, START, stamp, made),
    }
    client.query("SELECT 1", settings={"session_id": token})
    for table in TABLES[: TABLES.index(upto) + 1]:
        if (rows := tables[table]) is not None:
            client.insert_arrow(table, rows, settings=within(token, 0, token))


def test_another_log_is_noticed(client: Client) -> None:
    insert(client, 0)
    with pytest.raises(StoreError, match="is this ClickHouse the store of another Kafka"):
        insert_block(client, 0, 1, START, Stamp("block", "other", 7, 0, 10), block(0, 10))


def test_two_stores_at_once(client: Client, store: Settings) -> None:
    """A zombie and its successor push the same blocks; both come through."""
    errors: list[Exception] = []

    def run(seed: int) -> None:
        pick = random.Random(seed)
        try:
            for number in range(8):
                insert_until_done(store, number, pick)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=[seed]) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sums(client)[:3] == (8 * 97,) * 3
    assert check_store(client, DAY_MS) == []


def insert_until_done(store: Settings, number: int, pick: random.Random) -> None:
    """As the app does it: after an error a new connection, from where ClickHouse stands."""
    connections: list[Client] = []
    while True:
        try:
            if not connections or pick.random() < 0.2:
                connections.append(patient_client(store))
            stands = load_progress(connections[-1]).get(0, Progress()).next_scored
            if stands <= number + 1:
                insert(connections[-1], number)
            return
        except (Error, OSError):
            connections.clear()
            time.sleep(pick.random() / 20)


@pytest.mark.parametrize("seed", range(2))
def test_kills_in_the_middle(client: Client, store: Settings, seed: int) -> None:
    """kill -9 of the server at random moments while blocks are inserted."""
    pick, blocks, stop = random.Random(seed), 25, threading.Event()

    def kill() -> None:
        for _ in range(2):
            if stop.wait(pick.uniform(0.05, 0.6)):
                return
            pid = next(p.pid for p in processes(store) if p.name == "clickhouse")
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
            patient_client(store).close()

    killer = threading.Thread(target=kill)
    killer.start()
    for number in range(blocks):
        insert_until_done(store, number, pick)
    stop.set()
    killer.join()
    with patient_client(store) as after:
        assert sums(after)[:3] == (97 * blocks,) * 3
        assert check_store(after, DAY_MS) == []
        assert load_progress(after)[0].position.next_raw == 100 * blocks
