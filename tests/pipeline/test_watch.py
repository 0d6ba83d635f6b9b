"""A worker knows how old its progress is, says so, and ends when it stalls."""

import asyncio
import json
import urllib.error
import urllib.request
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP
from prometheus_client import REGISTRY

from pipeline import watch as module
from pipeline.watch import EXIT_STALLED, Watch, serve
from schemas.settings import Settings
from schemas.topics import RAW

STALL_S = 60.0


class Clock:
    """In the place of the module `time`."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_790_000_000.0 + self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Worker:
    """A watch over one partition, with the consumer and the clock in our hands."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.feed = SimpleNamespace(partition=3, done=0, done_at_ms=0, restored=0)
        self.end = 0
        self.published: dict[TP, int] = {}
        self.fault: Exception | None = None
        app = SimpleNamespace(consumer=self)
        settings = Settings(stall_seconds=STALL_S)
        self.feeds = [self.feed]
        self.watch = Watch(app, RAW, self.feeds, settings)  # type: ignore[arg-type]

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        if self.fault is not None:
            raise self.fault
        return dict.fromkeys(tps, self.end)

    async def publish(self, offsets: dict[TP, int]) -> None:
        self.published |= offsets

    def look(self, *, after: float = 1.0) -> float:
        """What the watch says after one more look."""
        self.clock.now += after

        async def once() -> None:
            looking = asyncio.create_task(self.watch.run())
            for _ in range(10):
                await asyncio.sleep(0)
            looking.cancel()

        asyncio.run(once())
        return self.watch.age


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return Worker(clock)


def metric(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def test_without_work_nothing_ages(worker: Worker) -> None:
    assert worker.look() == 0
    assert worker.look(after=10 * STALL_S) == 0


def test_work_without_progress_ages_until_there_is_some(worker: Worker) -> None:
    worker.look()
    worker.end = 50
    assert worker.look() == 1
    assert worker.look(after=30) == 31
    worker.feed.done = 20
    assert worker.look() == 0
    assert worker.look(after=30) == 30
    worker.feed.done = 50
    assert worker.look() == 0


def test_a_long_log_may_be_restored_for_longer(worker: Worker) -> None:
    worker.end = 50
    for restored in range(1, 9):
        worker.feed.restored = restored
        assert worker.look(after=STALL_S / 2) == 0
    assert worker.look() == 1


def test_an_event_loop_that_does_not_run_ages_without_work(worker: Worker) -> None:
    worker.look()
    worker.clock.now += 45
    assert worker.watch.age == 45


def test_the_lag_is_measured_and_the_position_published(worker: Worker) -> None:
    worker.end, worker.feed.done = 50, 20
    worker.feed.done_at_ms = int((worker.clock.time() - 4) * 1000)
    worker.look()
    assert metric("viewledger_lag_events", partition="3") == 30
    assert metric("viewledger_lag_seconds") == pytest.approx(5)
    assert worker.published == {TP(RAW, 3): 20}
    worker.feed.done = 50
    worker.look()
    assert metric("viewledger_lag_events", partition="3") == 0
    assert metric("viewledger_lag_seconds") == 0


def test_a_partition_that_went_to_another_worker_has_no_lag_here(worker: Worker) -> None:
    worker.end = 50
    worker.look()
    worker.feeds.clear()
    assert worker.look(after=STALL_S) == 0
    assert metric("viewledger_lag_events", partition="3") is None


def test_a_kafka_that_does_not_answer_is_no_progress(worker: Worker) -> None:
    worker.end = 50
    worker.look()
    worker.fault = KafkaConnectionError()
    assert worker.look(after=20) == 20
    worker.fault = TimeoutError()
    assert worker.look(after=20) == 40


def test_it_ends_when_it_stalls_and_not_before(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EndedError(Exception):
        pass

    ended: list[float] = []

    def end(status: int) -> None:
        assert status == EXIT_STALLED
        ended.append(worker.watch.age)
        raise EndedError

    monkeypatch.setattr(module.os, "_exit", end)
    worker.end = 50
    worker.look()
    with pytest.raises(EndedError):
        worker.watch.guard()
    (age,) = ended
    assert STALL_S < age <= STALL_S + 1


@pytest.fixture
def address(worker: Worker) -> str:
    port = serve(worker.watch, "127.0.0.1", 0)
    return f"http://127.0.0.1:{port}"


def ask(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_health_says_503_from_half_of_the_stall_time_on(worker: Worker, address: str) -> None:
    worker.end = 50
    worker.look()
    worker.look(after=STALL_S / 2 - 1)
    status, body = ask(f"{address}/health")
    assert (status, json.loads(body)) == (200, {"ok": True, "seconds_without_progress": 29.0})
    worker.look()
    status, body = ask(f"{address}/health")
    assert (status, json.loads(body)) == (503, {"ok": False, "seconds_without_progress": 30.0})
    worker.feed.done = 1
    worker.look()
    assert ask(f"{address}/health")[0] == 200


def test_metrics_are_served(address: str) -> None:
    status, body = ask(f"{address}/metrics")
    assert status == 200
    assert b"# HELP viewledger_progress_age_seconds" in body
