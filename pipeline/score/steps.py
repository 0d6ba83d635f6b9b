"""From raw records to a block: the steps of scoring, in order, for one partition."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from itertools import chain, compress
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from models.batch import batch_of_columns
from models.engine.shared import Shared
from models.engine.view import columns_of_batch
from models.judge import Judge, Judged
from pipeline.score.admit import Clock
from pipeline.score.build import Opinion, accepted_batch, judged_columns, refused_batch
from pipeline.score.catalogue import CatalogueCache
from pipeline.score.policy import POLICY_VERSION, days_of, pair_digests, qualify
from pipeline.score.refuse import Refused
from pipeline.score.state import State
from pipeline.score.take import SLICE, Taken, take
from schemas.block import SHADOWS_KEY, encode_block
from schemas.erased import Bools, clear
from schemas.metrics import ACCEPTED, BLOCK_ROWS, EVENTS, REASONS, REFUSED, STEP_SECONDS
from schemas.verdicts import Reason, Verdict


class Tools(NamedTuple):
    """What scoring needs beside the events."""

    catalogue: CatalogueCache
    judge: Judge
    shared: Shared
    """What all partitions remember together."""
    clock: Clock
    turn: asyncio.Lock
    """Held by the block that is being taken apart."""


class Scored(NamedTuple):
    """A block that is ready to be written."""

    value: bytes
    rejected: list[Refused]
    """What goes to `views.rejected`: refused events, no duplicates, nobody who was erased."""


async def score(records: Sequence[Any], partition: int, state: State, tools: Tools) -> Scored:
    """Judges the records of one raw range and takes the accepted ones into the state."""
    # One block after the other: sharing the processor would make all of them late.
    async with tools.turn:
        since = time.monotonic()
        slices = [
            await take(records[i : i + SLICE], since, state, tools.catalogue, tools.clock)
            for i in range(0, max(len(records), 1), SLICE)
        ]
    columns = {
        name: pa.concat_arrays([one.columns[name] for one in slices]) for name in slices[0].columns
    }
    rejected = list(chain.from_iterable(one.rejected for one in slices))
    duplicates = list(chain.from_iterable(one.duplicates for one in slices))
    await tools.judge.follow(slices[-1].models)
    await tools.judge.lists.follow(slices[-1].listed)
    opinion = await _judge(columns, state, tools)
    columns |= judged_columns(opinion)
    if any(one.erased is not None for one in slices):
        columns = clear(columns, np.concatenate([_erased(one) for one in slices]))
    with STEP_SECONDS.labels("build").time():
        refused = rejected + duplicates
        value = encode_block(accepted_batch(columns), refused_batch(refused), opinion.versions)
    _count(partition, len(records), opinion.judged, refused)
    return Scored(value, list(chain.from_iterable(one.kept for one in slices)))


def _erased(taken: Taken) -> Bools:
    """Which of the views are of erased viewers, bool[n]."""
    return (
        np.zeros(len(taken.columns["event_id"]), np.bool_) if taken.erased is None else taken.erased
    )


async def _judge(columns: dict[str, pa.Array], state: State, tools: Tools) -> Opinion:
    with STEP_SECONDS.labels("features").time():
        batch = batch_of_columns(columns)
        pending = state.features.begin(columns_of_batch(batch))
    with STEP_SECONDS.labels("velocity").time():
        known = await tools.shared.exchange(pending.asked)
    with STEP_SECONDS.labels("features").time():
        features, up = state.features.finish(pending, known), known is not None
    with STEP_SECONDS.labels("judge").time():
        judged = tools.judge.judge(batch, features, qualify(batch), velocity_up=up)
        judged = _only_once_a_day(judged, columns, state)
    with STEP_SECONDS.labels("shadows").time():
        watched = tools.judge.watch(features, velocity_up=up)
    shadows = {SHADOWS_KEY: msgspec.json.encode(watched.shadows).decode()}
    versions = tools.judge.versions | {"policy_version": POLICY_VERSION} | shadows
    return Opinion(judged, features, watched, versions)


def _only_once_a_day(judged: Judged, columns: dict[str, pa.Array], state: State) -> Judged:
    """Pays the first valid view of a viewer, post and day; the others are repeats."""
    valid = judged.verdict == Verdict.VALID
    rows = np.flatnonzero(valid)
    if not len(rows):
        return judged
    log_time, viewed_at = columns["log_time"].to_numpy(), columns["viewed_at"].to_numpy()
    viewer_ids, post_ids = (
        columns[name].filter(pa.array(valid)).to_pylist() for name in ("viewer_id", "post_id")
    )
    pairs = pair_digests(viewer_ids, post_ids, days_of(viewed_at[rows]))
    first = dict(zip(reversed(pairs), range(len(pairs) - 1, -1, -1), strict=True))
    repeat = state.repeats.seen(pairs, int(log_time.max()))
    if len(first) < len(pairs):
        repeat |= np.array([first[pair] != i for i, pair in enumerate(pairs)], np.bool_)
    judged.verdict[rows[repeat]] = Verdict.UNQUALIFIED
    judged.reasons[rows[repeat]] |= np.uint32(Reason.REPEAT_VIEW.bit)
    state.repeats.add(list(compress(pairs, ~repeat)), log_time[rows[~repeat]])
    return judged


def _count(partition: int, events: int, judged: Judged, refused: list[Refused]) -> None:
    EVENTS.labels(str(partition)).inc(events)
    BLOCK_ROWS.observe(events)
    for verdict, count in zip(*np.unique(judged.verdict, return_counts=True), strict=True):
        ACCEPTED.labels(Verdict(verdict).name.lower()).inc(int(count))
    found = int(np.bitwise_or.reduce(judged.reasons))
    for reason in Reason:
        if found & reason.bit:
            views = np.count_nonzero(judged.reasons & np.uint32(reason.bit))
            REASONS.labels(reason.name.lower(), reason.kind).inc(int(views))
    for refusal, count in Counter(one.refusal for one in refused).items():
        REFUSED.labels(refusal.label).inc(count)
