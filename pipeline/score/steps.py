"""From raw records to a block: the steps of scoring, in order, for one partition."""

from collections import Counter
from collections.abc import Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from models.batch import batch_of_columns
from models.features import assemble, prepare
from models.judge import Judge, Judged
from models.velocity import Velocity
from pipeline.score.admit import Clock, Times, admit, times_of
from pipeline.score.build import accepted_batch, refused_batch
from pipeline.score.catalogue import CatalogueCache
from pipeline.score.decode import decode
from pipeline.score.policy import POLICY_VERSION, days_of, pair_digests, qualify
from pipeline.score.refuse import Refused, refuse_view
from pipeline.score.state import State
from pipeline.score.window import digests
from schemas.block import encode_block
from schemas.columns import Column, columns_of
from schemas.metrics import ACCEPTED, BLOCK_ROWS, EVENTS, REFUSED, STEP_SECONDS
from schemas.verdicts import Reason, Refusal, Verdict
from schemas.view import View


class Tools(NamedTuple):
    """What scoring needs beside the events."""

    catalogue: CatalogueCache
    judge: Judge
    velocity: Velocity
    clock: Clock


class Scored(NamedTuple):
    """A block that is ready to be written."""

    value: bytes
    rejected: list[Refused]
    """What goes to `views.rejected`: the refused events that are no duplicates."""


async def score(records: Sequence[Any], partition: int, state: State, tools: Tools) -> Scored:
    """Judges the records of one raw range and takes the accepted ones into the state."""
    with STEP_SECONDS.labels("decode").time():
        views, kept, refused = decode(records)
        times = times_of(views, kept)
    campaigns = {view.campaign_id for view in views}
    promoters = {view.promoter_id for view in views}
    catalogue = await tools.catalogue.current(campaigns, promoters)
    with STEP_SECONDS.labels("admit").time():
        admitted, late = admit(views, kept, times, catalogue, tools.clock)
        views, kept, times = _only(admitted, views, kept, times)
        fresh, duplicates = _fresh(views, kept, times, state)
        views, kept, times = _only(fresh, views, kept, times)
    with STEP_SECONDS.labels("columns").time():
        columns = columns_of(views)
    judged = await _judge(columns, times, state, tools)
    with STEP_SECONDS.labels("build").time():
        refused += late
        offsets = [record.offset for record in kept]
        accepted = accepted_batch(columns, offsets, times, judged, catalogue)
        versions = {**tools.judge.versions, "policy_version": POLICY_VERSION}
        value = encode_block(accepted, refused_batch(refused + duplicates), versions)
    _count(partition, len(records), judged, refused + duplicates)
    return Scored(value, refused)


def _only(
    mask: Any, views: list[View], kept: list[Any], times: Times
) -> tuple[list[View], list[Any], Times]:
    if mask.all():
        return views, kept, times
    return (
        list(compress(views, mask)),
        list(compress(kept, mask)),
        Times(*(column[mask] for column in times)),
    )


def _fresh(
    views: list[View], kept: list[Any], times: Times, state: State
) -> tuple[Any, list[Refused]]:
    """Exact duplicates, in the window and within the block; the fresh ones enter the window."""
    found = digests([view.event_id for view in views])
    if not found:
        return np.ones(0, np.bool_), []
    fresh = ~state.events.seen(found, int(times.log_time.max()))
    first = dict(zip(reversed(found), range(len(found) - 1, -1, -1), strict=True))
    if len(first) < len(found):
        fresh &= np.fromiter((first[one] == i for i, one in enumerate(found)), np.bool_, len(found))
    state.events.add(list(compress(found, fresh)), times.log_time[fresh])
    repeated = np.flatnonzero(~fresh).tolist()
    detail = "event_id was accepted before"
    return fresh, [refuse_view(views[i], kept[i], Refusal.DUPLICATE, detail) for i in repeated]


async def _judge(columns: dict[str, Column], times: Times, state: State, tools: Tools) -> Judged:
    with STEP_SECONDS.labels("features").time():
        batch = batch_of_columns(columns, times.log_time, times.viewed_at, times.received_at)
        prepared = prepare(batch, state.viewers)
    with STEP_SECONDS.labels("velocity").time():
        counts = await tools.velocity.add(prepared.keys, prepared.increments)
    with STEP_SECONDS.labels("judge").time():
        features = assemble(prepared, counts)
        judged = tools.judge.judge(batch, features, qualify(batch), velocity_up=counts is not None)
        return _only_once_a_day(judged, columns, times, state)


def _only_once_a_day(
    judged: Judged, columns: dict[str, Column], times: Times, state: State
) -> Judged:
    """Pays the first valid view of a viewer, post and day; the others are repeats."""
    valid = judged.verdict == Verdict.VALID
    rows = np.flatnonzero(valid)
    if not len(rows):
        return judged
    pairs = pair_digests(
        list(compress(columns["viewer_id"], valid)),
        list(compress(columns["post_id"], valid)),
        days_of(times.viewed_at[rows]),
    )
    first = dict(zip(reversed(pairs), range(len(pairs) - 1, -1, -1), strict=True))
    repeat = state.repeats.seen(pairs, int(times.log_time.max()))
    if len(first) < len(pairs):
        repeat |= np.fromiter((first[p] != i for i, p in enumerate(pairs)), np.bool_, len(pairs))
    judged.verdict[rows[repeat]] = Verdict.UNQUALIFIED
    judged.reasons[rows[repeat]] |= np.uint32(Reason.REPEAT_VIEW.bit)
    state.repeats.add(list(compress(pairs, ~repeat)), times.log_time[rows[~repeat]])
    return judged


def _count(partition: int, events: int, judged: Judged, refused: list[Refused]) -> None:
    EVENTS.labels(str(partition)).inc(events)
    BLOCK_ROWS.observe(events)
    for verdict, count in zip(*np.unique(judged.verdict, return_counts=True), strict=True):
        ACCEPTED.labels(Verdict(verdict).name.lower()).inc(int(count))
    for refusal, count in Counter(one.refusal for one in refused).items():
        REFUSED.labels(refusal.label).inc(count)
