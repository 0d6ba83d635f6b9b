"""Whatever the judge is without: no view is lost or paid unjudged, and it recovers by itself.

`make faults` runs many seeds. One seed again: pytest tests/faults/test_judge_faults.py --seed 17
"""

import random
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import msgspec
import psutil
import pytest
import redis
from confluent_kafka import Producer
from support.damage import DAMAGES, UNFIT
from support.door import fresh
from support.own_collector import frozen, until
from support.own_score import OwnScore, own_score
from support.registry import save_small
from support.stacks import running

from pipeline.drain import drain
from pipeline.embedded import supervisor
from pipeline.embedded.stack import processes, start_workers
from pipeline.offsets import topic_ranges
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings
from schemas.topics import RAW
from sinks import clickhouse, models, postgres
from sinks.catalogue import import_campaigns, import_promoters
from sinks.ledger_verify import verify_ledger
from sinks.reconcile import reconcile

TIMEOUT_MS = 200
TOR = "203.0.113.9"
NEVER = 0.999
"""A threshold that no view reaches."""

pytestmark = [pytest.mark.services, pytest.mark.faults, pytest.mark.timeout(300)]


class Said(NamedTuple):
    """Of some views: what was said of each."""

    verdict: str
    reasons: tuple[str, ...]
    model: str


class Traffic:
    """Views that nothing speaks against, and what became of them."""

    def __init__(self, services: Settings) -> None:
        self.services = services
        self.sent: list[str] = []
        kafka = KafkaUrl.parse(services.url("kafka")).for_confluent()
        self._producer = Producer(kafka | {"partitioner": "murmur2_random", "log_level": 0})

    def judged(self, views: int = 20, **changes: object) -> set[Said]:
        """What is said of so many new views, when they are in both databases."""
        mark = uuid4().hex[:16]
        for number in range(views):
            event = fresh(number, event_id=f"{mark}-{number}", viewer_id=f"{mark}-{number}")
            self.sent.append(event["event_id"])
            self._producer.produce(
                RAW, msgspec.json.encode(event | changes), event["viewer_id"].encode()
            )
        assert self._producer.flush(30) == 0
        drain(self.services, 120)
        with clickhouse.connect(self.services.url("clickhouse")) as client:
            rows = client.query(
                "SELECT DISTINCT verdict, reason_names, model_version FROM views"
                " WHERE startsWith(event_id, {mark:String})",
                {"mark": mark},
            ).result_rows
        return {Said(verdict, tuple(reasons), model) for verdict, reasons, model in rows}

    def until(self, said: Said) -> None:
        """Sends views until this is said of them."""
        until(lambda: self.judged() == {said})

    def wrong(self) -> list[str]:
        """What of all that was sent is lost, doubled, paid unjudged, or not the same everywhere."""
        found = []
        with (
            clickhouse.connect(self.services.url("clickhouse")) as client,
            postgres.connect(self.services) as conn,
        ):
            rows = client.query("SELECT event_id, count() FROM views GROUP BY event_id").result_rows
            counted = dict(rows)
            found += [f"{one}: {n} times" for one in self.sent if (n := counted.get(one, 0)) != 1]
            ((paid,),) = client.query(
                "SELECT count() FROM views WHERE verdict = 'valid'"
                " AND (score IS NULL OR isNaN(score) OR reasons != 0"
                " OR 'unavailable' IN (model_version, lists_version))"
            ).result_rows
            found += [f"{paid} views are paid that nobody judged"] if paid else []
            report = reconcile(client, conn, topic_ranges(self.services, RAW))
            found += [str(one) for one in report.differences]
            found += [str(one) for one in verify_ledger(conn)]
        return found


def until_metric(score: OwnScore, traffic: Traffic, name: str, value: float) -> None:
    """Sends views until an operator would see this."""
    until(lambda: bool(traffic.judged()) and score.metric(name) == value)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Services with `store` and `book`, for these tests alone because they harm them."""
    folder = tmp_path_factory.mktemp("judge")
    campaigns, promoters = folder / "campaigns.csv", folder / "promoters.csv"
    campaigns.write_text(
        "campaign_id,currency,rate_micros,budget_micros,starts_at,ends_at,status\n"
        "c-1,EUR,1000,1000000000000,2020-01-01T00:00:00Z,2100-01-01T00:00:00Z,active\n"
    )
    promoters.write_text("promoter_id,status\np-1,active\n")
    asked = Settings(
        data=folder / "data", partitions=2, linger_ms=20, redis_timeout_ms=TIMEOUT_MS, model="v0"
    )
    with running(asked) as found:
        with postgres.connect(found) as conn:
            import_campaigns(conn, campaigns)
            import_promoters(conn, promoters)
        start_workers(found, ["store", "book"])
        yield found


@pytest.fixture
def traffic(services: Settings) -> Iterator[Traffic]:
    found = Traffic(services)
    yield found
    assert found.wrong() == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Models of the operator: `v0` judges where none was promoted."""
    save_small(tmp_path / "models", "v0", threshold=NEVER)
    return tmp_path / "models"


def valid(model: str = "v0-1") -> Said:
    return Said("valid", (), model)


def held(why: str, model: str = "v0-1") -> Said:
    return Said("held", (why,), model)


@contextmanager
def killed(services: Settings) -> Iterator[None]:
    """Redis dies by kill -9, and stays away."""
    pid = {one.name: one.pid for one in processes(services)}["redis"]
    assert pid
    psutil.Process(pid).send_signal(signal.SIGKILL)
    with supervisor.control(services.data.absolute()) as control:
        until(lambda: control.getProcessInfo("redis")["pid"] not in (0, pid))
        control.stopProcess("redis", True)
        try:
            yield
        finally:
            control.startProcess("redis", True)


@contextmanager
def full(services: Settings) -> Iterator[None]:
    """Redis refuses to write."""
    with redis.Redis.from_url(services.url("redis")) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


@contextmanager
def slow(services: Settings) -> Iterator[None]:
    """Redis stops for longer than it is waited for, again and again."""
    done = threading.Event()

    def hold_up() -> None:
        while not done.is_set():
            with frozen(services, "redis"):
                done.wait(TIMEOUT_MS / 1000 * 2)
            done.wait(TIMEOUT_MS / 1000 / 10)

    thread = threading.Thread(target=hold_up)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def hanging(services: Settings) -> AbstractContextManager[object]:
    """Redis stops."""
    return frozen(services, "redis")


def test_redis(
    services: Settings, traffic: Traffic, folder: Path, tmp_path: Path, fault_seed: int
) -> None:
    chance = random.Random(fault_seed)
    faults = chance.sample([killed, hanging, slow, full], 4)
    print(f"seed {fault_seed}: " + ", ".join(fault.__name__ for fault in faults))
    without = held("velocity_unavailable")
    with own_score(services, tmp_path, models=folder) as score:
        traffic.until(valid())
        for fault in faults:
            with fault(services):
                said = traffic.judged(chance.randint(1, 300))
                if fault is slow:  # between two stops it may answer
                    assert said <= {without, valid()}
                else:
                    assert said == {without}
                    assert score.metric("viewledger_velocity_down") == 1
            traffic.until(valid())
            assert score.metric("viewledger_velocity_down") == 0


def test_lists(
    services: Settings, traffic: Traffic, folder: Path, tmp_path: Path, fault_seed: int
) -> None:
    chance = random.Random(fault_seed)
    files = {
        tmp_path / "tor.txt": f"{TOR}/32\n",
        tmp_path / "vpn.txt": "198.51.100.0/24\n",
        tmp_path / "crawlers.txt": "^robot\n",
    }
    tor, vpn, crawlers = files
    lists = {"tor_list": tor, "vpn_list": vpn, "crawler_list": crawlers}
    by_tor = Said("invalid", ("tor_address",), "v0-1")
    with own_score(services, tmp_path, models=folder, redis_timeout_ms=20_000, **lists) as score:
        for path in chance.sample(sorted(files), len(files)):
            assert traffic.judged() == {held("lists_unavailable")}
            path.write_text(files[path])
        traffic.until(valid())
        assert traffic.judged(ip=TOR) == {by_tor}
        # What was there stays in use.
        for harm in chance.sample([Path.unlink, lambda path: path.write_text("no network\n")], 2):
            harm(tor)
            until_metric(score, traffic, "viewledger_list_broken", 1)
            assert traffic.judged() == {valid()}
            assert traffic.judged(ip=TOR) == {by_tor}
            tor.write_text(files[tor])
            until_metric(score, traffic, "viewledger_list_broken", 0)


@pytest.fixture
def nothing_chosen(services: Settings) -> Iterator[None]:
    """Afterwards no model is promoted, and none watches."""
    yield
    with postgres.connect(services) as conn:
        for pin in models.load_chosen(conn).champions:
            models.rollback(conn, pin, actor="test")
        for pin in models.load_chosen(conn).shadows:
            models.remove_shadow(conn, pin.name, actor="test")


@pytest.mark.usefixtures("nothing_chosen")
def test_model_files(
    services: Settings, traffic: Traffic, folder: Path, tmp_path: Path, fault_seed: int
) -> None:
    chance = random.Random(fault_seed)
    champions = [f"champion-{name}" for name in chance.sample(sorted(DAMAGES), len(DAMAGES))]
    shadows = [f"shadow-{name}" for name in DAMAGES]
    print(f"seed {fault_seed}: " + ", ".join(champions))
    chosen = ["v1", *champions, *shadows]
    pins = {name: save_small(folder, name, n, NEVER) for n, name in enumerate(chosen)}
    versions = {name: f"{name}-{n}" for n, name in enumerate(chosen)}
    whole = tmp_path / "whole"
    shutil.copytree(folder, whole)

    def repair(name: str) -> None:
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(whole / name, folder / name)

    with postgres.connect(services) as conn, ExitStack() as scorers:
        # Put in place while it runs.
        score = scorers.enter_context(
            own_score(services, tmp_path, models=folder, redis_timeout_ms=20_000)
        )
        traffic.until(valid())
        models.promote(conn, pins["v1"], versions["v1"], actor="test")
        traffic.until(valid(versions["v1"]))
        for name in (*champions, *shadows):
            DAMAGES[name.partition("-")[2]](folder / name)
        for name in champions:
            models.promote(conn, pins[name], versions[name], actor="test")
        for name in shadows:
            models.add_shadow(conn, pins[name], versions[name], actor="test")
        until_metric(score, traffic, "viewledger_models_missing", len(champions + shadows))
        assert traffic.judged() == {valid(versions["v1"])}
        # And of the one that judges, which is in memory.
        DAMAGES[chance.choice(sorted(DAMAGES))](folder / "v1")
        assert traffic.judged() == {valid(versions["v1"])}
        later = chance.choice(champions)
        repair(later)
        traffic.until(valid(versions[later]))
        # Before it starts: with none of them, and then with one again.
        scorers.close()
        UNFIT[chance.choice(sorted(UNFIT))](folder / "v0")
        for name in chosen:
            repair(name)
            DAMAGES[chance.choice(sorted(DAMAGES))](folder / name)
        score = scorers.enter_context(
            own_score(services, tmp_path, models=folder, redis_timeout_ms=20_000)
        )
        assert traffic.judged() == {held("model_unavailable", "unavailable")}
        one = chance.choice(champions)
        repair(one)
        traffic.until(valid(versions[one]))
        for name in ("v0", *chosen):
            repair(name)
        traffic.until(valid(versions[champions[-1]]))
        until_metric(score, traffic, "viewledger_models_missing", 0)
        assert _shadows(services) == {versions[name] for name in shadows}


def _shadows(services: Settings) -> set[str]:
    """Those that the newest view was scored by."""
    with clickhouse.connect(services.url("clickhouse")) as client:
        ((found,),) = client.query(
            "SELECT shadows FROM blocks ORDER BY scored_time DESC LIMIT 1"
        ).result_rows
    return set(found)
