"""Grows the topics to more partitions: the middle of the procedure in docs/operations.md.

A viewer's events move to other partitions, so each of them is given a snapshot that knows the
event ids and the paid views of all. Run it when everything is drained, producers and workers
are stopped, and Kafka runs.
"""

import asyncio
import sys
from functools import reduce
from pathlib import Path

import numpy as np
from confluent_kafka.admin import AdminClient, NewPartitions

from models.features import new_engine
from pipeline.offsets import topic_ranges
from pipeline.score.claim import Claim, claim
from pipeline.score.log import ScoredLog
from pipeline.score.partition import window_hours
from pipeline.score.state import State, save_snapshot, to_arrays
from pipeline.score.window import Window
from schemas.fencing import Progress
from schemas.kafka_url import KafkaUrl
from schemas.settings import Settings, settings
from schemas.topics import RAW, TOPICS

GROWN = (*(topic.name for topic in TOPICS if topic.name != RAW), RAW)
"""In this order: events only when there is where to write what becomes of them."""


def merged(one: Window, other: Window) -> Window:
    """What either of two windows has seen."""
    columns = [window.to_arrays() for window in (one, other)]
    joined = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]}
    order = np.argsort(joined["high"], kind="stable")
    now = {"now": joined["now"].max(keepdims=True)}
    arrays = {name: joined[name][order] for name in ("high", "low", "hours")}
    return Window.from_arrays(one.hours, arrays | now)


async def claim_all(found: Settings, old: int) -> list[Claim]:
    """Fences whoever still writes, and restores what every partition remembers."""
    claims = []
    for partition in range(old):
        async with ScoredLog(KafkaUrl.parse(found.url("kafka")), partition) as scored:
            path = snapshot_path(found, partition)
            claims.append(await claim(scored, partition, path, window_hours(found)))
    return claims


def snapshot_path(found: Settings, partition: int) -> Path:
    """Where a scorer looks for it."""
    return found.data / "snapshots" / f"{partition}.npz"


def main(new: int) -> None:
    """Merges, saves, and then grows the topics; may be run again after a crash."""
    found = settings()
    ends = topic_ranges(found, RAW)
    if new <= (old := len(ends)):
        sys.exit(f"views.raw has {old} partitions already")
    claims = asyncio.run(claim_all(found, old))
    for partition, held in enumerate(claims):
        if held.progress.position.next_raw != ends[partition][1]:
            sys.exit(f"partition {partition} is not drained: nothing was changed")
    events = reduce(merged, [held.state.events for held in claims])
    repeats = reduce(merged, [held.state.repeats for held in claims])
    for partition in range(new):
        features = claims[partition].state.features if partition < old else new_engine()
        progress = claims[partition].progress if partition < old else Progress()
        arrays = to_arrays(State(events, repeats, features), progress)
        save_snapshot(snapshot_path(found, partition), arrays)
    kafka = AdminClient(KafkaUrl.parse(found.url("kafka")).for_confluent())
    for topic in GROWN:
        if len(topic_ranges(found, topic)) < new:
            kafka.create_partitions([NewPartitions(topic, new)])[topic].result()
    print(f"{new} partitions; {len(events):,} event ids in the snapshot of each")  # noqa: T201


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        sys.exit("usage: grow_partitions.py PARTITIONS")
    main(int(sys.argv[1]))
