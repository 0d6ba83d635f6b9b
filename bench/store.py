"""`store`: views.scored → ClickHouse, by the real worker."""

from typing import Any

from bench.workers import Metrics, running, watch
from schemas.settings import Settings
from sinks import clickhouse

_ROWS = "viewledger_rows_stored_total{table=views}"


def measure(settings: Settings, accepted: int) -> dict[str, Any]:
    """Stores the `accepted` views of the log; counts those rows alone, not the refused ones."""

    def begun(metrics: Metrics) -> bool:
        return metrics.get(_ROWS, 0) > 0

    def done(metrics: Metrics) -> bool:
        return metrics.get(_ROWS, 0) >= accepted

    with running(settings, "store", pinned=True) as (worker,):
        run = watch(settings, worker, accepted, begun, done)
    client = clickhouse.connect(settings.url("clickhouse"))
    stored = client.command("SELECT count() FROM views")
    client.close()
    assert stored == accepted, f"ClickHouse has {stored} views, the log {accepted}"
    return run.measured.to_json(services_cpu_s=run.services_cpu_s)
