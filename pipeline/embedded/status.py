"""What runs, where it answers, and how far behind it is."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from pipeline.collector.endpoint import collector_url
from pipeline.embedded.stack import processes
from pipeline.embedded.supervisor import Process
from schemas.settings import SERVICES, NotRunningError, Service, Settings

_TIMEOUT_S = 2


def status(settings: Settings) -> dict[str, Any]:
    """The state of a data folder, as `viewledger status --json` prints it.

    `endpoints` has the URL of each service with its password, or None; `lag` is the number of
    messages a worker is behind, or None where it does not answer.
    """
    found = processes(settings)
    endpoints: dict[str, str | None] = {name: _url(settings, name) for name in SERVICES}
    return {
        "endpoints": {**endpoints, "collector": _collector(settings)},
        "workers": [
            {"name": p.name, "pid": p.pid, "state": p.state, "lag": worker_lag(settings.data, p)}
            for p in found
            if p.kind == "worker"
        ],
        "services": [
            {"name": p.name, "pid": p.pid, "state": p.state} for p in found if p.kind == "service"
        ],
    }


def _url(settings: Settings, service: Service) -> str | None:
    try:
        return settings.url(service)
    except NotRunningError:
        return None


def _collector(settings: Settings) -> str | None:
    try:
        return collector_url(settings)
    except NotRunningError:
        return None


def worker_lag(data: Path, worker: Process) -> int | None:
    """Messages between a worker and the ends of its partitions; None where it does not answer."""
    try:
        about = json.loads((data / "run" / f"{worker.name}.json").read_text())
        if worker.pid is None or about["pid"] != worker.pid:
            return None  # it has been restarted, and has not got so far yet
        address = f"http://127.0.0.1:{about['metrics_port']}/metrics"
        with urllib.request.urlopen(address, timeout=_TIMEOUT_S) as answer:
            text = answer.read().decode()
    except (OSError, ValueError, KeyError):
        return None
    lags = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "viewledger_lag_events"
    ]
    return int(sum(lags)) if lags else None
