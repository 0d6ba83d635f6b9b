"""Whatever is killed: every accepted event exactly once in ClickHouse and in the ledger.

`make faults` runs many seeds. One seed again: pytest tests/faults --seed 17
"""

import csv
import gzip
from collections import Counter
from pathlib import Path

import pytest
from support.chaos import Chaos, start_replay

from pipeline.drain import drain
from pipeline.embedded.stack import start_workers
from pipeline.offsets import topic_ranges
from pipeline.simulate.simulate import simulate
from schemas.settings import Settings
from schemas.topics import RAW
from sinks import clickhouse, postgres
from sinks.catalogue import import_campaigns, import_promoters
from sinks.reconcile import reconcile

EVENTS = 20_000
EVENTS_PER_SECOND = 1_000
DRAIN_S = 240

pytestmark = [pytest.mark.services, pytest.mark.faults, pytest.mark.timeout(900)]


def test_exactly_once(services: Settings, tmp_path: Path, fault_seed: int) -> None:
    traffic, labels, catalogue = (tmp_path / name for name in ("t.gz", "l.gz", "c.jsonl"))
    simulate(EVENTS, fault_seed, traffic, labels, catalogue)
    with postgres.connect(services) as connection:
        import_campaigns(connection, catalogue)
        import_promoters(connection, catalogue)
    start_workers(services, ["score-0", "store", "book"])
    chaos = Chaos(services, fault_seed)
    # A replay that gives up (no Kafka when it starts) is run again, as its user would.
    for _ in range(5):
        with start_replay(services, traffic, EVENTS_PER_SECOND) as replay:
            try:
                chaos.run(lambda replay=replay: replay.poll() is None)
            except BaseException:
                replay.kill()
                raise
            said = replay.communicate()[0]
        if replay.returncode == 0:
            break
    print(f"seed {fault_seed}: " + ", ".join(chaos.story))
    assert replay.returncode == 0, said
    start_workers(services, ["score-0", "store", "book"])
    drain(services, DRAIN_S)

    client = clickhouse.connect(services.url("clickhouse"))
    ranges = topic_ranges(services, RAW)
    with postgres.connect(services) as connection:
        report = reconcile(client, connection, ranges)
    assert report.ok, report
    assert report.totals.read >= EVENTS
    stored = client.query("SELECT event_id, count() FROM views GROUP BY event_id").result_rows
    assert Counter(dict(stored)) == Counter(_expected(labels))


def _expected(labels: Path) -> dict[str, int]:
    """Every event that is neither malformed nor refused, once; by the simulator's own word."""
    with gzip.open(labels, "rt", newline="") as file:
        return {row["event_id"]: 1 for row in csv.DictReader(file) if not row["refusal"]}
