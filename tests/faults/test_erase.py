"""A viewer is erased under kill -9: nothing of them is left, not a view or micro is missing."""

import json
import multiprocessing
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import Producer
from support.chaos import start_replay
from support.erase_child import run

from pipeline.drain import drain
from pipeline.embedded.stack import start_workers, stop_workers
from pipeline.erase import logs
from pipeline.erase.logs import BusyError, rewrite_logs
from pipeline.erase.messages import Message, read
from pipeline.offsets import topic_ranges
from pipeline.simulate.simulate import simulate
from schemas.block import decode_block
from schemas.erased import IMPERSONAL, PERSONAL
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW, REJECTED, SCORED
from sinks import clickhouse, erasures, postgres
from sinks.catalogue import import_campaigns, import_promoters
from sinks.migrate import migrate_up
from sinks.reconcile import Report, reconcile

EVENTS = 4_000
WORKERS = ["score-0", "store", "book"]
DRAIN_S = 120

pytestmark = [pytest.mark.services, pytest.mark.faults, pytest.mark.timeout(600)]

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["support.erase_child", "pipeline.erase.report"])


class Eraser:
    """Runs `viewledger erase`, killed at random steps from a seed."""

    def __init__(self, settings: Settings, folder: Path, seed: int) -> None:
        self.settings = settings
        self.random = random.Random(seed)
        self.said = folder / "said.txt"
        self.story: list[str] = []

    def once(self, *words: str, die_at: int = 0, **env: str) -> int:
        """Ends with this status; -9 if it was killed."""
        env |= {"VIEWLEDGER_DATA": str(self.settings.data)}
        process = _processes.Process(
            target=run, args=(["erase", *words], env, self.said, die_at), daemon=True
        )
        process.start()
        process.join()
        self.story.append(f"{words[0]} died at {die_at}" if process.exitcode == -9 else words[0])
        assert process.exitcode is not None
        return process.exitcode

    def harmed(self, *words: str, kills: int, most: int) -> list[dict[str, Any]]:
        """Its report when it was left alone, after it was killed so often."""
        for _ in range(kills):
            self.once(*words, die_at=self.random.randint(1, most))
        code = self.once(*words, "--json")
        said = self.said.read_text()
        assert code in (0, 3), said
        found: list[dict[str, Any]] = json.loads(said)
        assert code == (3 if any(one["state"] == "pending" for one in found) else 0)
        return found


class Known(NamedTuple):
    """What must not change."""

    report: Report
    stays: list[tuple[Any, ...]]
    others: list[tuple[Any, ...]]
    """As text: features are NaN, which is not equal to itself."""


def known(settings: Settings, client: Client, viewer: str) -> Known:
    stays = ", ".join(("partition", *IMPERSONAL))
    order = "ORDER BY partition, raw_offset"
    with postgres.connect(settings) as conn:
        report = reconcile(client, conn, topic_ranges(settings, RAW))
    assert report.ok, report
    return Known(
        report,
        list(client.query(f"SELECT {stays} FROM views {order}").result_rows),
        list(
            client.query(
                "SELECT toString(tuple(*)) FROM views WHERE viewer_id NOT LIKE 'erased-%'"
                f" AND viewer_id != '{viewer}' {order}"
            ).result_rows
        ),
    )


def messages(settings: Settings, topic: str) -> list[list[Message]]:
    return [list(read(settings, topic, partition)) for partition in range(settings.partitions)]


def texts_of(message: Message) -> Iterator[bytes]:
    """Every byte of a message, also of what is packed in it."""
    yield repr(message).encode()
    if message.key == b"block" and message.value:
        block = decode_block(message.value)
        for table in (block.accepted, block.refused):
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
            yield bytes(sink.getvalue())


def named_in_logs(settings: Settings, topic: str, viewer: str) -> int:
    return sum(
        viewer.encode() in text
        for partition in messages(settings, topic)
        for message in partition
        for text in texts_of(message)
    )


def named_in_tables(settings: Settings, client: Client, viewer: str) -> list[str]:
    """Tables of both databases, and of ClickHouse itself, where the id stands anywhere.

    And `views`, where something personal is left.
    """
    said = " OR ".join(f"{name} IS NOT NULL" for name in PERSONAL if name != "features")
    said += " OR notEmpty(features)"
    left = client.query(f"SELECT countIf({said}) FROM views WHERE viewer_id LIKE 'erased-%'")
    found = ["views"] if left.result_rows[0][0] else []
    tables = client.query(
        "SELECT database, name FROM system.tables WHERE database IN (currentDatabase(), 'system')"
        " AND (database != 'system' OR name IN ('mutations', 'query_log', 'parts', 'part_log'))"
    ).result_rows
    for database, name in tables:
        text = str(client.query(f"SELECT * FROM {database}.{name}").result_rows)
        found += [name] if viewer in text else []
    with psycopg.connect(settings.url("postgres")) as conn:  # as the owner, who sees all
        rows = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (name,) in rows.fetchall():
            text = str(conn.execute(f'SELECT t::text FROM "{name}" t'.encode()).fetchall())
            found += [name] if viewer in text else []
    return found


def send(settings: Settings, viewer: str, client: Client, **changes: Any) -> None:
    """One more event of the viewer, made like one that was accepted."""
    made = next(
        event
        for partition in messages(settings, RAW)
        for message in partition
        if message.key == viewer.encode() and message.value
        for event in [msgspec.json.decode(message.value)]
        if event.get("event_id", "").isalnum() or "-" in event.get("event_id", "")
    )
    now = int(time.time() * 1000)
    made |= {"occurred_at": now, "sent_at": now, "received_at": now} | changes
    producer = Producer(
        KafkaUrl.parse(settings.url("kafka")).for_confluent() | {"partitioner": "murmur2_random"}
    )
    producer.produce(RAW, msgspec.json.encode(made), viewer.encode())
    assert producer.flush(30) == 0


def test_nothing_is_left_and_nothing_is_missing(
    services: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed = request.config.getoption("--seed") or 0
    traffic, labels, catalogue = (tmp_path / name for name in ("t.gz", "l.gz", "c.jsonl"))
    simulate(EVENTS, seed, traffic, labels, catalogue)
    with postgres.connect(services) as conn:
        import_campaigns(conn, catalogue)
        import_promoters(conn, catalogue)
    start_workers(services, WORKERS)
    with start_replay(services, traffic, 100_000) as replay:
        assert replay.wait(60) == 0
    client = clickhouse.connect(services.url("clickhouse"))
    drain(services, DRAIN_S)
    viewer: str = client.query(
        "SELECT viewer_id FROM views GROUP BY viewer_id"
        " ORDER BY countIf(verdict = 'valid') DESC, viewer_id LIMIT 1"
    ).result_rows[0][0]
    send(services, viewer, client, event_id="event-that-is-refused-1", watch_ms=-1)
    drain(services, DRAIN_S)
    before = known(services, client, viewer)
    mine = client.query(f"SELECT count() FROM views WHERE viewer_id = '{viewer}'").result_rows[0][0]
    assert mine > 0
    assert named_in_logs(services, SCORED, viewer) > 0
    assert named_in_logs(services, REJECTED, viewer) > 0

    # Out of ClickHouse, with all workers at work.
    eraser = Eraser(services, tmp_path, seed)
    (report,) = eraser.harmed("--viewer", viewer, kills=4, most=25)
    print(eraser.story)
    assert report["views"] == mine
    assert [text for text in report["pending"] if "--logs" not in text] == []
    assert named_in_tables(services, client, viewer) == []
    after = known(services, client, viewer)
    assert after == before

    # Late events of the same viewer are nobody's: the accepted one, and the one that is refused.
    send(services, viewer, client, event_id="event-that-is-late-1")
    send(services, viewer, client, event_id="event-that-is-refused-2", watch_ms=-1)
    refused = named_in_logs(services, REJECTED, viewer)
    drain(services, DRAIN_S)
    late = client.query(
        "SELECT viewer_id, ip, user_agent FROM views WHERE event_id = 'event-that-is-late-1'"
    ).result_rows
    assert [(row[0][:7], row[1:]) for row in late] == [("erased-", (None, None))]
    assert named_in_logs(services, REJECTED, viewer) == refused
    before = known(services, client, viewer)

    # A ClickHouse that is made anew from a log that still names them.
    stop_workers(services, ["store"])
    database = client.query("SELECT currentDatabase()").result_rows[0][0]
    client.command(f"DROP DATABASE {database} SYNC")
    migrate_up(services, ["clickhouse"])
    start_workers(services, ["store"])
    drain(services, DRAIN_S)
    assert named_in_tables(services, client, viewer) == []
    assert known(services, client, viewer) == before

    # Out of the logs: not while workers run.
    with pytest.MonkeyPatch.context() as patch, postgres.connect(services) as conn:
        patch.setattr(logs, "_LEAVE_S", 0.0)
        with pytest.raises(BusyError, match="workers run"):
            rewrite_logs(services, conn, "test")
        assert erasures.open_rewrite(conn) is None
    stop_workers(services)
    whole = messages(services, SCORED)
    reports = eraser.harmed("--logs", kills=6, most=120)
    print(eraser.story)
    assert [one["state"] for one in reports] in (["complete"], [])
    assert named_in_logs(services, SCORED, viewer) == 0
    assert named_in_logs(services, REJECTED, viewer) == 0
    shapes = [[m._replace(value=None) for m in partition] for partition in whole]
    again = messages(services, SCORED)
    assert [[m._replace(value=None) for m in partition] for partition in again] == shapes

    # Everything goes on where it was, also from the log alone.
    for snapshot in (services.data / "snapshots").glob("*.npz"):
        snapshot.unlink()
    with postgres.connect(services) as conn:
        wait_at_the_gate(services, conn)
    send(services, viewer, client, event_id="event-that-is-later-still")
    drain(services, DRAIN_S)
    last = known(services, client, viewer)
    assert len(last.stays) == len(before.stays) + 1
    assert named_in_tables(services, client, viewer) == []

    # Of whom nothing was ever counted: what was refused goes out of the logs all the same.
    never = "viewer-never-counted"
    other = client.query(
        "SELECT viewer_id FROM views WHERE viewer_id NOT LIKE 'erased-%' LIMIT 1"
    ).result_rows[0][0]
    send(services, other, client, event_id="event-that-is-refused-3", viewer_id=never)
    drain(services, DRAIN_S)
    assert named_in_logs(services, REJECTED, never) > 0
    assert eraser.once("--viewer", never) == 0
    stop_workers(services)
    assert eraser.once("--logs") == 0
    assert named_in_logs(services, REJECTED, never) == 0
    assert eraser.once("--logs") == 0


def wait_at_the_gate(services: Settings, conn: postgres.Connection) -> None:
    """Starts workers while a topic is written anew: they touch nothing until it is."""
    ends = topic_ranges(services, SCORED)
    erasures.begin_rewrite(conn, SCORED, "test")
    (services.data / "logs" / "score-0.log").write_text("")
    start_workers(services, WORKERS)
    deadline = time.monotonic() + 60
    while "is being written anew" not in (services.data / "logs" / "score-0.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(2)
    assert topic_ranges(services, SCORED) == ends
    rewrite = erasures.open_rewrite(conn)
    assert rewrite is not None
    erasures.cancel_rewrite(conn, rewrite.rewrite_id)
