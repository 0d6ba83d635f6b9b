"""Steps 1 to 4 on a slice: decode, admit, leave out duplicates, take apart into columns.

A slice is so small that what is decoded is still in the processor's cache when it is taken
apart; its Python objects are gone before the next slice. From there on everything is Arrow arrays.
"""

import asyncio
from collections.abc import Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipeline.score.admit import Clock, Times, admit, times_of
from pipeline.score.catalogue import CatalogueCache
from pipeline.score.decode import decode
from pipeline.score.price import rates_of
from pipeline.score.refuse import Refused, refuse_view
from pipeline.score.state import State
from pipeline.score.window import digests
from schemas.chosen import Chosen
from schemas.columns import columns_of
from schemas.erased import Bools, Erased, rename_views
from schemas.metrics import STEP_SECONDS
from schemas.operator_lists import OperatorLists
from schemas.verdicts import Refusal
from schemas.view import View

SLICE = 1024


class Taken(NamedTuple):
    """The views of a slice that are to be judged, and the events that are not."""

    columns: dict[str, pa.Array]
    """Of `ACCEPTED`, all but the three that judging adds."""
    rejected: list[Refused]
    kept: list[Refused]
    """Of these what goes to `views.rejected`: nothing of erased viewers."""
    duplicates: list[Refused]
    erased: Bools | None
    """Which of the views are of erased viewers, where any are."""
    models: Chosen
    """By which models they are to be judged."""
    listed: OperatorLists
    """Whom the operator allows and denies."""


async def take(
    records: Sequence[Any], since: float, state: State, catalogues: CatalogueCache, clock: Clock
) -> Taken:
    """Takes the fresh ones of some records into the duplicate window.

    Args:
        since: `time.monotonic()` when the block was begun: an id is unknown only by a catalogue
            that is newer.
    """
    await asyncio.sleep(0)  # fetching takes several turns of the event loop: they have to be short
    with STEP_SECONDS.labels("decode").time():
        views, kept, rejected = decode(records)
        times = times_of(views, kept)
    campaigns = {view.campaign_id for view in views}
    promoters = {view.promoter_id for view in views}
    catalogue = await catalogues.current(campaigns, promoters, since)
    with STEP_SECONDS.labels("admit").time():
        admitted, late = admit(views, kept, times, catalogue, clock)
        views, kept, times = _only(admitted, views, kept, times)
        fresh, duplicates = _fresh(views, kept, times, state)
        views, kept, times = _only(fresh, views, kept, times)
        views, erased = rename_views(views, catalogue.erased)
    with STEP_SECONDS.labels("columns").time():
        columns = columns_of(views)
        campaign = columns["campaign_id"].dictionary_encode()
        known = [catalogue.campaigns[one].currency for one in campaign.dictionary.to_pylist()]
        columns |= {
            "raw_offset": pa.array([record.offset for record in kept], pa.int64()),
            "log_time": pa.array(times.log_time),
            "viewed_at": pa.array(times.viewed_at),
            "received_at": pa.array(times.received_at),
            "currency": pa.array(known, pa.string()).take(campaign.indices),
            "rate_micros": rates_of(campaign, times.viewed_at, catalogue),
        }
        rejected += late
        kept_back = _kept(rejected, catalogue.erased)
        chosen, listed = catalogue.models, catalogue.listed
        return Taken(columns, rejected, kept_back, duplicates, erased, chosen, listed)


def _kept(rejected: list[Refused], erased: Erased) -> list[Refused]:
    if not erased.pseudonyms:
        return rejected
    return [one for one in rejected if not erased.mentioned(one.record.key, one.record.value)]


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
    """Exact duplicates, in the window and within the slice; the fresh ones enter the window."""
    found = digests([view.event_id for view in views])
    if not found:
        return np.ones(0, np.bool_), []
    fresh = ~state.events.seen(found, int(times.log_time.max()))
    first = dict(zip(reversed(found), range(len(found) - 1, -1, -1), strict=True))
    if len(first) < len(found):
        fresh &= np.array([first[one] == i for i, one in enumerate(found)], np.bool_)
    state.events.add(list(compress(found, fresh)), times.log_time[fresh])
    repeated = np.flatnonzero(~fresh).tolist()
    detail = "event_id was accepted before"
    return fresh, [refuse_view(views[i], kept[i], Refusal.DUPLICATE, detail) for i in repeated]
