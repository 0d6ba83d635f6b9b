"""Whatever is killed around the front door: what clients send is counted, and counted once.

`make faults` runs many seeds. One seed again: pytest tests/faults/test_door_kills.py --seed 17
"""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import hasty_collector
from support.door import Keys
from support.door_chaos import Clients, DoorChaos
from support.door_client import BAD_EACH, BATCH, Plan
from support.own_collector import WORKER, frozen, own_collector, until
from support.stacks import running

from pipeline.collector.endpoint import collector_url
from pipeline.collector.seal_keys import collector_keys
from pipeline.drain import drain
from pipeline.embedded.stack import start_workers
from pipeline.offsets import topic_ranges
from schemas.settings import Settings
from schemas.topics import RAW
from sinks import clickhouse, postgres
from sinks.api_keys import create_key
from sinks.catalogue import import_campaigns, import_promoters
from sinks.reconcile import reconcile

PER_SECOND = 100
TIMEOUT_S = 2
"""Of the collector."""

pytestmark = [pytest.mark.services, pytest.mark.faults, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Everything there is, for these tests alone because they kill it."""
    folder = tmp_path_factory.mktemp("door")
    found = Settings(
        data=folder / "data",
        collector_timeout_s=TIMEOUT_S,
        address_events_per_minute=10**8,
        stall_seconds=30,
    )
    campaigns, promoters = folder / "campaigns.csv", folder / "promoters.csv"
    campaigns.write_text(
        "campaign_id,currency,rate_micros,budget_micros,starts_at,ends_at,status\n"
        "c-1,EUR,1000,1000000000000,2020-01-01T00:00:00Z,2100-01-01T00:00:00Z,active\n"
    )
    promoters.write_text("promoter_id,status\np-1,active\n")
    with running(found):
        with postgres.connect(found) as connection:
            import_campaigns(connection, campaigns)
            import_promoters(connection, promoters)
        start_workers(found)
        yield found


@pytest.fixture(scope="module")
def keys(services: Settings) -> Keys:
    with postgres.connect(services) as conn:
        seal = collector_keys(services)
        origins = ["https://site.example"]
        page = create_key(conn, seal, "publishable", name="page", actor="t", origins=origins)
        server = create_key(conn, seal, "secret", name="server", actor="t")
    return Keys(page.text, server.text)


def plan_of(kind: str, keys: Keys, folder: Path, url: str, **more: bool) -> Plan:
    name = f"{kind}-{secrets.token_hex(4)}"
    token = keys.page if kind == "async" else keys.server
    return Plan(kind, name, str(folder / name), url, token, PER_SECOND, **more)  # type: ignore[arg-type]


def test_counted_once(services: Settings, keys: Keys, tmp_path: Path, fault_seed: int) -> None:
    url = collector_url(services)
    kinds = ("sync", "async", "hand")
    clients = Clients([plan_of(kind, keys, tmp_path, url) for kind in kinds])
    chaos = DoorChaos(services, fault_seed, clients)
    try:
        chaos.everything()
        clients.finish(90)
    finally:
        clients.end()
        print(f"seed {fault_seed}: " + ", ".join(chaos.story))
    drain(services, 120)
    assert wrong(services, clients.plans) == []
    with postgres.connect(services) as connection:
        client = clickhouse.connect(services.url("clickhouse"))
        assert reconcile(client, connection, topic_ranges(services, RAW)).ok


@pytest.mark.parametrize("is_hasty", [False, True])
def test_an_answer_before_the_acknowledgement_would_be_seen(
    services: Settings, keys: Keys, tmp_path: Path, is_hasty: bool
) -> None:
    """kill -9 of a collector that waits for Kafka: the hasty one has promised by then."""
    program = [hasty_collector.__file__] if is_hasty else WORKER
    with frozen(services, "kafka"), own_collector(services, tmp_path, program) as mine:
        plan = plan_of("hand", keys, tmp_path, mine.url)
        clients = Clients([plan._replace(per_second=BATCH // 4)])  # the next batch comes in 4 s
        try:
            until(lambda: bool(plan.notes("promised")) or "kafka_down" in mine.log.read_text())
            mine.process.kill()
        finally:
            clients.end()
    drain(services, 60)
    found = wrong(services, [plan])
    assert len(found) == (BATCH if is_hasty else 0), found
    assert all("was promised, and is nowhere" in each for each in found)


def test_new_ids_for_each_attempt_would_be_seen(
    services: Settings, keys: Keys, tmp_path: Path
) -> None:
    plan = plan_of("sync", keys, tmp_path, collector_url(services), new_ids=True)
    with frozen(services, "kafka"):
        clients = Clients([plan])
        time.sleep(TIMEOUT_S + 2)
    try:
        clients.finish(60)
    finally:
        clients.end()
    drain(services, 60)
    assert any("was never tracked" in each for each in wrong(services, [plan]))


def wrong(services: Settings, plans: list[Plan]) -> list[str]:
    """What ClickHouse has of some clients' events, against what they know of them."""
    found: list[str] = []
    for plan in plans:
        counted, refused = _rows(services, plan)
        given_up = {line.split()[0] for line in plan.notes("problems")}
        tracked = " ".join(plan.notes("tracked")).split()
        bad = set(tracked[BAD_EACH - 1 :: BAD_EACH])
        promised = set(plan.notes("promised"))
        for event_id in tracked:
            rows = counted.get(event_id, 0)
            if event_id in given_up:
                found.append(f"{event_id} was given up")
            elif event_id in promised and not rows and event_id not in refused:
                found.append(f"{event_id} was promised, and is nowhere")
            elif event_id in bad and (rows or event_id not in refused):
                found.append(f"{event_id} was counted {rows} times, and should be refused")
            elif event_id not in bad and rows != 1:
                found.append(f"{event_id} was tracked, and counted {rows} times")
        unknown = (counted.keys() | refused) - set(tracked)
        found += [f"{event_id} was never tracked" for event_id in sorted(unknown)]
    return found


def _rows(services: Settings, plan: Plan) -> tuple[dict[str, int], set[str]]:
    """Accepted rows by event id, and the ids that were refused for their campaign."""
    client = clickhouse.connect(services.url("clickhouse"))
    name = {"name": plan.name}
    counted = client.query(
        "SELECT event_id, count() FROM views WHERE position(viewer_id, {name:String}) > 0"
        " GROUP BY ALL",
        name,
    )
    refused = client.query(
        "SELECT DISTINCT event_id FROM views_rejected"
        " WHERE reason = 'unknown_campaign' AND startsWith(event_id, {name:String})",
        name,
    )
    return dict(counted.result_rows), {event_id for (event_id,) in refused.result_rows}
