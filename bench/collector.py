"""`collector`: what a collector takes per CPU-second, how soon it answers, what it swells to."""

import http.client
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil

from bench.collector_beside import empty_handler, produce_alone
from bench.collector_load import Address, at_rate, overload, saturate
from bench.collector_requests import ORIGIN, Wanted, requests
from bench.measure import alone, beside, peak_rss
from bench.workers import StuckError, Worker, running
from pipeline.collector.endpoint import collector_url
from pipeline.collector.seal_keys import collector_keys
from pipeline.embedded.stack import processes
from schemas.settings import Settings
from sinks import postgres
from sinks.api_keys import create_key

_LATENCY_S = 8
_LATENCY_CONNECTIONS = 256
_OVERLOAD_CONNECTIONS = 400
_OVERLOAD_BATCH = 500
_OVERLOAD_S = 8
_STOPPED_S = 5
_PATIENCE_S = 60


class Kind(NamedTuple):
    """Requests of one kind."""

    name: str
    batch: int
    signed: bool
    share: float
    """Of the events of the bench."""
    connections: int
    """Enough to keep a collector busy while others wait for Kafka."""


KINDS = (
    Kind("1", 1, False, 0.03, 256),
    Kind("10", 10, False, 0.15, 64),
    Kind("100", 100, False, 0.4, 32),
    Kind("100, signed, gzip", 100, True, 0.2, 32),
)


class _Door(NamedTuple):
    worker: Worker
    address: Address
    page: str
    server: str

    def wanted(self, kind: Kind, events: float) -> Wanted:
        count = max(10, int(events) // kind.batch)
        token = self.server if kind.signed else self.page
        return Wanted(token, kind.batch, count, uuid.uuid4().hex[:12])


def measure(settings: Settings, events: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Of a collector on one core; its client and the services have the others.

    Args:
        events: each kind of requests gets a share of so many.
    """
    seal_keys = collector_keys(settings)
    with postgres.connect(settings) as conn:
        page = create_key(conn, seal_keys, "publishable", name="p", actor="bench", origins=[ORIGIN])
        server = create_key(conn, seal_keys, "secret", name="s", actor="bench")
    with running(settings, "collector-0", pinned=True) as (worker,):
        url = urlsplit(collector_url(settings))
        assert url.hostname
        assert url.port
        door = _Door(worker, (url.hostname, url.port), page.text, server.text)
        _wait_until_ready(door.address)
        runs = [_run(door, kind, events * kind.share, say) for kind in KINDS]
        say("collector: beside an empty handler")
        _add_empty(settings, door, runs, events)
        say("collector: beside the producer alone")
        alone_ = alone(produce_alone, settings, max(1_000, int(events * KINDS[2].share)), 100)
        say("collector: far too much")
        return {
            "runs": runs,
            "producer": alone_.to_json(),
            "overload": _overload(settings, door),
        }


def _run(door: _Door, kind: Kind, events: float, say: Callable[[str], None]) -> dict[str, Any]:
    say(f"collector: batches of {kind.name}")
    pid = door.worker.process.pid
    found = beside(saturate, door.address, pid, door.wanted(kind, events), kind.connections)
    half = found.measured.per_s / 2
    say(f"collector: batches of {kind.name}, at {half:,.0f} events/s")
    # Those before the first answers are not measured.
    count = min(events, half * _LATENCY_S) + _LATENCY_CONNECTIONS * kind.batch
    wanted = door.wanted(kind, count)
    latency = beside(at_rate, door.address, wanted, half / kind.batch, _LATENCY_CONNECTIONS)
    return {
        "name": kind.name,
        "batch": kind.batch,
        **found.measured.to_json(),
        "threads_cpu_s": found.threads_cpu_s,
        "half": {"rate_per_s": half, **latency},
    }


def _add_empty(settings: Settings, door: _Door, runs: list[dict[str, Any]], events: int) -> None:
    """To each run what granian reaches with the same requests, and an answer of the same size."""
    headers, body = _answer(door)
    port = _free_port()
    with empty_handler(settings, port, headers, body) as pid:
        for kind, run in zip(KINDS, runs, strict=True):
            wanted = door.wanted(kind, events * kind.share)
            found = beside(saturate, ("127.0.0.1", port), pid, wanted, kind.connections)
            run["empty"] = found.measured.to_json()


def _answer(door: _Door) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers, without those that granian adds, and body of a 202."""
    (request,) = requests(door.wanted(KINDS[0], 1)._replace(requests=1))
    with socket.create_connection(door.address) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = answer.read()
    own = [(n, v) for n, v in answer.getheaders() if n.lower() not in ("server", "date")]
    return [(name.lower().encode(), value.encode()) for name, value in own], body


def _overload(settings: Settings, door: _Door) -> dict[str, Any]:
    """The memory of the collector: before, with far too much, and while Kafka stands still."""
    process = door.worker.process
    wanted = Wanted(door.page, _OVERLOAD_BATCH, 64, uuid.uuid4().hex[:12])
    found: dict[str, Any] = {
        "connections": _OVERLOAD_CONNECTIONS,
        "request_bytes": len(requests(wanted._replace(requests=1))[0]),
        "capacity_bytes": settings.collector_memory_mb * 2**20,
        "rss_before": process.memory_info().rss,
        "peak_before": peak_rss(process),
    }
    load = partial(overload, door.address, wanted, _OVERLOAD_CONNECTIONS, _OVERLOAD_S)
    found["answers"] = beside(load)
    found["peak"] = peak_rss(process)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        under_way = pool.submit(load)
        time.sleep(_OVERLOAD_S / 4)
        with _frozen(settings, "kafka"):
            time.sleep(_STOPPED_S)
        found["answers_kafka_stopped"] = under_way.result()
    found["peak_kafka_stopped"] = peak_rss(process)
    _wait_until_ready(door.address)
    return found


@contextmanager
def _frozen(settings: Settings, service: str) -> Iterator[None]:
    pid = next(one.pid for one in processes(settings) if one.name == service)
    process = psutil.Process(pid)
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def _wait_until_ready(address: Address) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(*address, timeout=5)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise StuckError("the collector is not ready")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
