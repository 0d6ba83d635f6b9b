"""`restore`: what a scorer has to know of its partitions, from the log alone."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.measure import Measured, Stopwatch, alone
from pipeline.score.claim import Claim, claim
from pipeline.score.log import ScoredLog
from pipeline.score.partition import window_hours
from pipeline.score.state import save_snapshot, to_arrays
from schemas.kafka_url import KafkaUrl
from schemas.logs import configure_logs
from schemas.settings import Settings


def measure(settings: Settings) -> dict[str, Any]:
    """Claims all partitions at once, as a worker does, without a snapshot and then with one."""
    found: dict[str, Any] = alone(_restore, settings)
    return found


def _restore(settings: Settings) -> dict[str, Any]:
    configure_logs("warning", "bench")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{partition}.npz" for partition in range(settings.partitions)]
        measured, claims = asyncio.run(_claim_all(settings, paths))
        sealed = rows = 0
        for held, path in zip(claims, paths, strict=True):
            held.state.events.seal()
            sealed += held.state.events.sealed_bytes
            rows += len(held.state.events)
            save_snapshot(path, to_arrays(held.state, held.progress))
        size = sum(path.stat().st_size for path in paths)
        again, _ = asyncio.run(_claim_all(settings, paths))
    return measured.to_json(
        window_bytes_per_event=sealed / rows,
        snapshot_bytes=size,
        snapshot_wall_s=again.wall_s,
        snapshot_cpu_s=again.cpu_s,
    )


async def _claim_all(settings: Settings, snapshots: list[Path]) -> tuple[Measured, list[Claim]]:
    kafka, hours = KafkaUrl.parse(settings.url("kafka")), window_hours(settings)
    async with AsyncExitStack() as stack:
        logs = [
            await stack.enter_async_context(ScoredLog(kafka, partition))
            for partition in range(len(snapshots))
        ]
        watch = Stopwatch()
        claims = await asyncio.gather(
            *(claim(log, p, snapshots[p], hours) for p, log in enumerate(logs))
        )
        return watch.stop(sum(len(held.state.events) for held in claims)), claims
