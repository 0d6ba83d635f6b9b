"""`score`: one real worker on one core, from JSON in views.raw to blocks in views.scored."""

from typing import Any

from bench.workers import Metrics, Worker, running, watch
from schemas.settings import Settings


def measure(settings: Settings, events: int) -> dict[str, Any]:
    """Scores everything in views.raw, which is `events`, with nobody else at work.

    From the last look at which no event was scored to the first at which all blocks were read
    back from the log: without imports and loading the model, with claiming the partitions.
    """
    with running(settings, "score-0", pinned=True) as (worker,):
        return watched(settings, worker, events)


def watched(settings: Settings, worker: Worker, events: int) -> dict[str, Any]:
    """What a worker that has just begun needs for `events`."""

    def begun(metrics: Metrics) -> bool:
        return metrics.total("viewledger_events_total") > 0

    def done(metrics: Metrics) -> bool:
        written = metrics.total("viewledger_block_rows_count")
        confirmed = metrics.get("viewledger_blocks_total{outcome=block}", 0)
        return metrics.total("viewledger_events_total") == events and confirmed == written

    run = watch(settings, worker, events, begun, done)
    metrics, measured = run.metrics, run.measured
    refused = metrics.by_label("viewledger_refused_total")
    return measured.to_json(
        services_cpu_s=run.services_cpu_s,
        main_thread_cpu_s=run.main_thread_cpu_s,
        blocks=int(metrics.total("viewledger_block_rows_count")),
        accepted={k: int(v) for k, v in metrics.by_label("viewledger_accepted_total").items()},
        refused={k: int(v) for k, v in refused.items()},
        steps_s=metrics.by_label("viewledger_step_seconds_sum"),
    )
