"""`status` says what runs and how far behind it is."""

import json
import os
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from pipeline.collector.endpoint import collector_url
from pipeline.embedded.status import status, worker_lag
from pipeline.embedded.supervisor import Process
from schemas.settings import SERVICES, Settings


def _worker(data: Path, port: int) -> Process:
    (data / "run").mkdir()
    about = {"name": "store", "pid": os.getpid(), "metrics_port": port}
    (data / "run" / "store.json").write_text(json.dumps(about))
    return Process("store", "worker", os.getpid(), "RUNNING")


def test_the_lag_of_a_worker_is_the_sum_over_its_partitions(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    lag = Gauge("viewledger_lag_events", "lag", ["partition"], registry=registry)
    lag.labels("0").set(1_000)
    lag.labels("1").set(234)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    worker = _worker(tmp_path, server.server_port)
    try:
        assert worker_lag(tmp_path, worker) == 1_234
        assert worker_lag(tmp_path, worker._replace(pid=1)) is None  # restarted since
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert worker_lag(tmp_path, worker) is None  # does not answer
    assert worker_lag(tmp_path, worker._replace(name="book")) is None  # never started


def test_where_nothing_runs_there_are_no_endpoints(tmp_path: Path) -> None:
    found = status(Settings(data=tmp_path, redis="redis://elsewhere/0"))
    assert found["workers"] == found["services"] == []
    assert found["endpoints"] == {
        **dict.fromkeys([*SERVICES, "collector"]),
        "redis": "redis://elsewhere/0",
    }


@pytest.mark.services
def test_the_endpoints_are_those_that_the_settings_give(stack: Settings) -> None:
    found = status(stack)
    urls = {name: stack.url(name) for name in SERVICES}
    assert found["endpoints"] == {**urls, "collector": collector_url(stack)}
    assert {service["name"] for service in found["services"]} == set(SERVICES)
    assert all(isinstance(service["pid"], int) for service in found["services"])
    # The collector may run for other tests of the session.
    assert {one["pid"] for one in found["workers"] if one["name"] != "collector-0"} == {None}
