"""Labelled traffic of the simulator through the stream's own steps, to train and test on.

The same decoding, admission, duplicates and features as in `pipeline.score.steps`, in log
order; only what partitions share is remembered here.
"""

from collections.abc import Callable, Iterator
from itertools import compress
from typing import NamedTuple

import msgspec
import numpy as np

from models.batch import Batch, batch_of_views
from models.engine.view import columns_of_batch
from models.features import new_engine
from models.hashing import combine
from models.lists import givt_reasons, load_lists
from models.training import Examples, joined
from pipeline.score.admit import Clock, admit, times_of
from pipeline.score.decode import decode
from pipeline.score.policy import days_of, qualify
from pipeline.simulate.catalogue import Catalogue as SimulatedCatalogue
from pipeline.simulate.simulate import Traffic, make_traffic
from pipeline.simulate.traffic import START_MS, Label
from pipeline.simulate.writer import chunks
from schemas.catalogue import Catalogue

_CLOCK = Clock(late_ms=24 * 3_600_000, future_ms=5 * 60_000)
_BLOCK_ROWS = 8_192
_KINDS = np.array([label.name.lower() for label in Label])


class _Record(NamedTuple):
    """What the steps of `score` read of a Kafka record, and who made it."""

    value: bytes
    key: bytes
    timestamp: int
    label: int
    headers: tuple[()] = ()


class _Keyed(msgspec.Struct):
    viewer_id: str


def simulated(
    lines: int,
    seed: int,
    on_progress: Callable[[int], None] = lambda done: None,
    vary: Callable[[Batch], Batch] = lambda batch: batch,
) -> Examples:
    """The accepted views of simulated traffic, each one once, in log order.

    Args:
        lines: events of `viewledger simulate`; a few are refused.
        seed: of the simulator.
        on_progress: called with the number of events that were done since the last call.
        vary: makes other traffic of it, see `pipeline.training_days`.
    """
    traffic = make_traffic(lines, seed)
    catalogue = _catalogue(traffic.catalogue)
    engine, lists = new_engine(), load_lists()
    rates = {one.campaign_id: one.rate_micros for one in traffic.catalogue.campaigns}
    taken: set[str] = set()
    parts = []
    for block in _blocks(traffic):
        views, records, _ = decode(block)
        times = times_of(views, records)
        admitted, _ = admit(views, records, times, catalogue, _CLOCK)
        for i in np.flatnonzero(admitted).tolist():
            # The simulated day is shorter than the accept window: seen once is seen for good.
            admitted[i] = views[i].event_id not in taken
            taken.add(views[i].event_id)
        views = list(compress(views, admitted))
        batch = batch_of_views(
            views, times.log_time[admitted], times.viewed_at[admitted], times.received_at[admitted]
        )
        batch = vary(batch)
        parts.append(
            Examples(
                kind=_KINDS[[record.label for record in compress(records, admitted)]],
                platform=np.array([view.platform for view in views], np.str_),
                viewer=combine(batch.viewer, seed),
                promoter=combine(batch.promoter, seed),
                once=combine(batch.viewer, batch.post, days_of(batch.viewed_at), seed),
                rate_micros=np.array([rates[view.campaign_id] for view in views], np.int64),
                log_time=batch.log_time,
                features=engine.observe(columns_of_batch(batch)),
                givt=givt_reasons(lists, batch),
                policy=qualify(batch),
            )
        )
        on_progress(len(block))
    return joined(parts)


def _catalogue(simulated: SimulatedCatalogue) -> Catalogue:
    return Catalogue(
        version=1,
        campaigns={campaign.campaign_id: campaign for campaign in simulated.campaigns},
        promoters={promoter.promoter_id: promoter for promoter in simulated.promoters},
    )


def _blocks(traffic: Traffic) -> Iterator[list[_Record]]:
    log_time = (START_MS + traffic.delivered.received_at).tolist()
    label = traffic.views["label"][traffic.delivered.event].tolist()
    block: list[_Record] = []
    done = 0
    for chunk in chunks(traffic.views, traffic.delivered, traffic.catalogue.posts):
        for value in chunk.events.split(b"\n")[: chunk.lines]:
            block.append(_Record(value, _key(value), log_time[done], label[done]))
            done += 1
            if len(block) == _BLOCK_ROWS:
                yield block
                block = []
    if block:
        yield block


def _key(value: bytes) -> bytes:
    try:
        return msgspec.json.decode(value, type=_Keyed).viewer_id.encode()
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return b""
