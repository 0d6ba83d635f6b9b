"""The harness can fail: a store without rule 3 counts a zombie's block, and reconcile says so."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from support import lawless_store

from pipeline.drain import drain
from pipeline.embedded.stack import start_workers, stop_workers
from pipeline.offsets import topic_ranges
from pipeline.replay.replay import replay_file
from pipeline.simulate.simulate import simulate
from schemas.fencing import from_headers
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW, SCORED
from sinks import clickhouse, postgres
from sinks.catalogue import import_campaigns, import_promoters
from sinks.reconcile import Report, reconcile

pytestmark = [pytest.mark.services, pytest.mark.faults, pytest.mark.timeout(300)]


def test_a_zombie_writes_a_block_again(services: Settings, tmp_path: Path) -> None:
    traffic, catalogue = tmp_path / "t.gz", tmp_path / "c.jsonl"
    simulate(5_000, 1, traffic, catalogue=catalogue)
    with postgres.connect(services) as connection:
        import_campaigns(connection, catalogue)
        import_promoters(connection, catalogue)
    start_workers(services, ["score-0", "book"])
    start_workers(services, ["store"])
    replay_file(services, traffic)
    drain(services, 60)
    assert _reconcile(services).ok
    _append_first_block_again(services)
    _until(lambda: _ignored(services) == 1)
    assert _reconcile(services).ok
    stop_workers(services, ["store"])
    with _lawless_store(services):
        _until(lambda: not _reconcile(services).ok)


@contextmanager
def _lawless_store(services: Settings) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, lawless_store.__file__], env={"VIEWLEDGER_DATA": str(services.data)}
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _append_first_block_again(services: Settings) -> None:
    config = KafkaUrl.parse(services.url("kafka")).for_confluent()
    consumer = Consumer(config | {"group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(SCORED, 0, 0)])
    while True:
        (message,) = consumer.consume(1, 30)
        headers = message.headers() or []
        if from_headers(headers).kind == "block":
            break
    consumer.close()
    producer = Producer(config)
    producer.produce(SCORED, message.value(), message.key(), 0, headers=headers)
    assert producer.flush(30) == 0


def _reconcile(services: Settings) -> Report:
    client = clickhouse.connect(services.url("clickhouse"))
    with postgres.connect(services) as connection:
        return reconcile(client, connection, topic_ranges(services, RAW))


def _ignored(services: Settings) -> int:
    port = json.loads((services.data / "run" / "store.json").read_text())["metrics_port"]
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    outcomes = ("fenced", "out_of_line")
    names = [f'viewledger_blocks_total{{outcome="{outcome}"}}' for outcome in outcomes]
    return sum(int(float(line.split()[1])) for line in lines if line.startswith(tuple(names)))


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.5)
