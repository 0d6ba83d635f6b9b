"""Whatever is killed: every accepted event exactly once in ClickHouse and in the ledger.

`make faults` runs many seeds. One seed again: pytest tests/faults --seed 17
"""

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.chaos import Chaos, start_replay

from pipeline.drain import drain
from pipeline.embedded.stack import start_services, start_workers, stop
from pipeline.offsets import topic_ranges
from pipeline.simulate.simulate import simulate
from pipeline.topics import ensure_topics
from schemas.settings import Settings
from schemas.topics import RAW
from sinks import clickhouse, postgres
from sinks.catalogue import import_campaigns, import_promoters
from sinks.migrate import migrate_up
from sinks.reconcile import reconcile

EVENTS = 40_000
EVENTS_PER_SECOND = 1_000
DRAIN_S = 240

pytestmark = [pytest.mark.services, pytest.mark.faults, pytest.mark.timeout(900)]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Settings]:
    """Services and workers of their own, with small blocks and frequent snapshots."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIEWLEDGER_BLOCK_ROWS", "500")
        patch.setenv("VIEWLEDGER_SNAPSHOT_SECONDS", "2")
        patch.setenv("VIEWLEDGER_STALL_SECONDS", "30")
        found = Settings(data=tmp_path / "data", workers=2)
        try:
            start_services(found)
            ensure_topics(found)
            migrate_up(found)
            start_workers(found, ["score-0", "store", "book"])
            yield found
        finally:
            stop(found)


def test_exactly_once(running: Settings, tmp_path: Path, fault_seed: int) -> None:
    traffic, labels, catalogue = (tmp_path / name for name in ("t.gz", "l.gz", "c.jsonl"))
    simulate(EVENTS, fault_seed, traffic, labels, catalogue)
    with postgres.connect(running) as connection:
        import_campaigns(connection, catalogue)
        import_promoters(connection, catalogue)
    chaos = Chaos(running, fault_seed)
    # A replay that gives up (no Kafka when it starts) is run again, as its user would.
    for _ in range(5):
        replay = start_replay(running, traffic, EVENTS_PER_SECOND)
        chaos.run(lambda replay=replay: replay.poll() is None)
        said = replay.communicate()[0]
        if replay.returncode == 0:
            break
    print(f"seed {fault_seed}: " + ", ".join(chaos.story))
    assert replay.returncode == 0, said
    start_workers(running, ["score-0", "store", "book"])
    drain(running, DRAIN_S)

    client = clickhouse.connect(running.url("clickhouse"))
    ranges = topic_ranges(running, RAW)
    with postgres.connect(running) as connection:
        report = reconcile(client, connection, ranges)
    assert report.ok, report
    assert report.totals.read >= EVENTS
    stored = client.query("SELECT event_id, count() FROM views GROUP BY event_id").result_rows
    assert Counter(dict(stored)) == Counter(_expected(labels))


def _expected(labels: Path) -> dict[str, int]:
    """Every event that is neither malformed nor refused, once; by the simulator's own word."""
    with gzip.open(labels, "rt", newline="") as file:
        return {row["event_id"]: 1 for row in csv.DictReader(file) if not row["refusal"]}
