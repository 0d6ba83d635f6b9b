"""`end_to_end`: all workers at once, from the first produce until both databases have it all."""

import time
from typing import Any

from bench.measure import Measured, cpu_seconds, peak_rss
from bench.workers import Worker, metrics_of, services_cpu, spent
from bench.world import World
from pipeline.drain import drain

_PATIENCE_S = 600


def wait_until_ready(world: World, workers: list[Worker]) -> None:
    """Returns when the partitions are claimed and what is in the log is in the databases."""
    scorer = next(worker for worker in workers if worker.name.startswith("score"))
    while metrics_of(scorer).total("viewledger_claims_total") < world.settings.partitions:
        time.sleep(0.1)
    drain(world.settings, _PATIENCE_S)


def measure(world: World, workers: list[Worker], events: int) -> dict[str, Any]:
    """Sends `events` as fast as Kafka takes them.

    The workers and the services share the machine with what sends; `drain` looks every 0.2 s.
    """
    messages = list(world.next(events))
    services = services_cpu(world.settings)
    cpu = {worker.name: cpu_seconds(worker.process) for worker in workers}
    start = time.perf_counter()
    world.produce(messages)
    produced = time.perf_counter() - start
    drain(world.settings, _PATIENCE_S)
    wall = time.perf_counter() - start
    used = spent(cpu, {worker.name: cpu_seconds(worker.process) for worker in workers})
    memory = sum(peak_rss(worker.process) for worker in workers)
    return Measured(len(messages), wall, sum(used.values()), memory).to_json(
        produce_wall_s=produced,
        workers_cpu_s=used,
        services_cpu_s=spent(services, services_cpu(world.settings)),
    )
