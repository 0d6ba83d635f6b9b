"""Real worker processes, started by the supervisor and watched from outside."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psutil
from prometheus_client.parser import text_string_to_metric_families

from bench.measure import Measured, cpu_seconds, peak_rss, pin
from pipeline.embedded.stack import processes, start_workers, stop_workers
from schemas.settings import Settings

_POLL_S = 0.05
_PATIENCE_S = 120


class StuckError(Exception):
    """A worker does not get on; its log is in the data folder."""


class Worker(NamedTuple):
    """A running worker."""

    name: str
    process: psutil.Process
    metrics_port: int


class Metrics(dict[str, float]):
    """The samples of a worker's `/metrics`, by name and labels: `name{label=value}`."""

    def total(self, name: str) -> float:
        """The sum over all labels."""
        return sum(value for key, value in self.items() if key.partition("{")[0] == name)

    def by_label(self, name: str) -> dict[str, float]:
        """Of a metric with one label: the label's value → the sample."""
        return {
            key.partition("=")[2].rstrip("}"): value
            for key, value in self.items()
            if key.partition("{")[0] == name
        }


class Run(NamedTuple):
    """A worker's way through its work."""

    measured: Measured
    metrics: Metrics
    """When it was done."""
    main_thread_cpu_s: float
    """Of the event loop; the rest is fetching, inserting and what else has threads."""
    services_cpu_s: dict[str, float]
    """What the services used meanwhile: what else is there to bound it."""


@contextmanager
def running(settings: Settings, *names: str, pinned: bool = False) -> Iterator[list[Worker]]:
    """Starts workers and stops them at the end.

    Args:
        pinned: to the machine's last core.
    """
    try:
        start_workers(settings, list(names))
        found = [_wait_for(settings, name, pinned) for name in names]
        yield found
    finally:
        stop_workers(settings, list(names))


def _wait_for(settings: Settings, name: str, pinned: bool) -> Worker:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        pids = {process.name: process.pid for process in processes(settings)}
        try:
            run = json.loads((settings.data / "run" / f"{name}.json").read_text())
        except FileNotFoundError:
            run = {}
        pid = pids.get(name)
        if pid is not None and run.get("pid") == pid:
            if pinned:
                pin(pid)
            return Worker(name, psutil.Process(pid), run["metrics_port"])
        time.sleep(_POLL_S)
    raise StuckError(f"{name} does not start")


def metrics_of(worker: Worker) -> Metrics:
    """Its metrics as they are now."""
    url = f"http://127.0.0.1:{worker.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read().decode()
    found = Metrics()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def services_cpu(settings: Settings) -> dict[str, float]:
    """CPU seconds of each service so far."""
    return {
        one.name: cpu_seconds(psutil.Process(one.pid))
        for one in processes(settings)
        if one.kind == "service" and one.pid is not None
    }


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """What each service used in between."""
    return {name: round(after[name] - before.get(name, 0.0), 2) for name in after}


def watch(
    settings: Settings,
    worker: Worker,
    events: int,
    begun: Callable[[Metrics], bool],
    done: Callable[[Metrics], bool],
) -> Run:
    """Measures from the last look at which the worker had not begun to the first when done.

    Raises:
        StuckError: it made no progress for two minutes.
    """
    start = end = _look(worker)
    services = services_cpu(settings)
    last = time.monotonic()
    while not done(end.metrics):
        time.sleep(_POLL_S)
        now = _look(worker)
        if now.metrics.total("viewledger_blocks_total") > end.metrics.total(
            "viewledger_blocks_total"
        ):
            last = time.monotonic()
        if time.monotonic() - last > _PATIENCE_S:
            raise StuckError(f"{worker.name} made no progress for {_PATIENCE_S} s")
        if not begun(now.metrics):
            start, services = now, services_cpu(settings)
        end = now
    measured = Measured(
        events, end.wall - start.wall, end.cpu - start.cpu, peak_rss(worker.process)
    )
    main = end.main_cpu - start.main_cpu
    return Run(measured, end.metrics, main, spent(services, services_cpu(settings)))


class _Look(NamedTuple):
    wall: float
    cpu: float
    main_cpu: float
    metrics: Metrics


def _look(worker: Worker) -> _Look:
    metrics = metrics_of(worker)
    times = worker.process.cpu_times()
    main = next(one for one in worker.process.threads() if one.id == worker.process.pid)
    main_cpu = main.user_time + main.system_time
    return _Look(time.perf_counter(), times.user + times.system, main_cpu, metrics)
