"""The features, all of them in one table, and how a block of views gets them.

One engine for the stream and for training. Past-only: a feature of a view depends on views
before it in the log, those of its own block included, and on nothing else. Time is the
corrected time of the view (`viewed_at`), not that of processing.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_hexdigest

from models.batch import Batch
from models.counters import Asked, Counts, Family, Tally, tally
from models.engine.table import Feature as Feature
from models.engine.table import features_of
from models.hashing import combine
from models.viewers import Before, Viewers

Matrix = npt.NDArray[np.float64]
Column = npt.NDArray[np.float64]

_HOUR_MS = 3_600_000

FAMILIES = (
    Family("address_1h", _HOUR_MS),
    Family("promoter_1h", _HOUR_MS),
    Family("prefix_promoter_1h", _HOUR_MS),
    Family("device_promoter_1h", _HOUR_MS),
    Family("sequence_24h", 24 * _HOUR_MS),
)
_TIMING_MS = 16
"""Watch times this near are the same to a script with a little jitter."""
_PRIOR_VIEWS = 10
"""Added to what a share is of: 1 of 1 says less than 100 of 100."""


FEATURES = features_of("""
watch_s | view | - | value | time watched
watch_ratio | view | - | ratio | time watched per length of the video
visible_pct | view | - | value | visible share of the player
interactions | view | - | value | taps, seeks, unmutes
muted | view | - | value | sound was off
autoplay | view | - | value | started by itself
send_delay_s | view | - | difference | from occurred_at to sent_at, both of the client's clock
clock_skew_s | view | - | difference | from sent_at to received_at
local_hour | view | - | value | hour of the day where the viewer says to be
viewer_is_new | viewer | 24 h | first | no view of this viewer within 24 h
viewer_views_10m | viewer | 10 min | count | earlier views
viewer_views_24h | viewer | 24 h | count | earlier views
viewer_gap_s | viewer | last | seconds since | the last view
viewer_idle_s | viewer | last | seconds since | the last view, without the time watched
viewer_gap_change_s | viewer | last two | difference | how irregular gaps are: this to the last
viewer_watch_change_s | viewer | last | difference | this watch time to the last
address_views_1h | address | 1 h | count | earlier views
address_new_share_1h | address | 1 h | share | of new viewers (cookie resetting)
promoter_new_share_1h | promoter | 1 h | share | of new viewers
prefix_share_1h | prefix × promoter | 1 h | share | of the promoter's views
prefix_new_views_1h | prefix × promoter | 1 h | count | earlier views of new viewers
device_share_1h | device × promoter | 1 h | share | of the promoter's views
device_views_1h | device × promoter | 1 h | count | earlier views
sequence_views_24h | watch times of two views | 24 h | count | same two in a row (replayed)
""")
NAMES = tuple(feature.name for feature in FEATURES)


def features_digest() -> str:
    """Changes when a feature is added, moved or said to mean something else."""
    table = repr((FEATURES, FAMILIES, _TIMING_MS, _PRIOR_VIEWS))
    return xxh3_64_hexdigest(table.encode())


class Prepared(NamedTuple):
    """A block between its local features and those that need the shared counters."""

    batch: Batch
    before: Before
    keys: Asked
    increments: Counts
    tallies: tuple[Tally, ...]


def prepare(batch: Batch, viewers: Viewers) -> Prepared:
    """The local half of the features of n views; takes the views into `viewers`."""
    before = viewers.observe(batch)
    paired = ~np.isnan(before.last_watch_ms)
    last_watch = np.where(paired, before.last_watch_ms, 0).astype(np.int64)
    entities = [
        batch.address,
        batch.promoter,
        combine(batch.prefix, batch.promoter),
        combine(batch.device, batch.promoter),
        combine(batch.watch_ms // _TIMING_MS, last_watch // _TIMING_MS),
    ]
    located = batch.address != 0
    applies = [located, None, batch.prefix != 0, batch.device != 0, paired]
    keys, increments, tallies = tally(FAMILIES, entities, applies, batch.viewed_at, before.is_new)
    return Prepared(batch, before, keys, increments, tallies)


def assemble(prepared: Prepared, counts: Counts | None) -> Matrix:
    """The features of n views, float64[n, len(FEATURES)], Fortran order; NaN where unknown.

    Args:
        prepared: the local half.
        counts: what the counters `prepared.keys` were before the block, uint32[k, 2]; None
            if they could not be asked, which makes every feature of them NaN.
    """
    batch, before = prepared.batch, prepared.before
    gap, watch = before.gap_ms, batch.watch_ms
    columns = {
        "watch_s": watch / 1e3,
        "watch_ratio": watch / np.where(batch.duration_ms > 0, batch.duration_ms, np.nan),
        "visible_pct": batch.visible_pct,
        "interactions": batch.interactions,
        "muted": batch.muted,
        "autoplay": batch.autoplay,
        "send_delay_s": batch.send_delay_ms / 1e3,
        "clock_skew_s": batch.clock_skew_ms / 1e3,
        "local_hour": (batch.viewed_at / _HOUR_MS + batch.tz_offset_min / 60) % 24,
        "viewer_is_new": before.is_new,
        "viewer_views_10m": before.events[0],
        "viewer_views_24h": before.events[1],
        "viewer_gap_s": gap / 1e3,
        "viewer_idle_s": (gap - watch) / 1e3,
        "viewer_gap_change_s": np.abs(gap - before.last_gap_ms) / 1e3,
        "viewer_watch_change_s": np.abs(watch - before.last_watch_ms) / 1e3,
        **_velocity(prepared.tallies, counts),
    }
    matrix = np.empty((len(watch), len(NAMES)), order="F")
    for i, name in enumerate(NAMES):
        matrix[:, i] = columns[name]
    return matrix


def _velocity(tallies: tuple[Tally, ...], counts: Counts | None) -> dict[str, Column]:
    address, promoter, prefix, device, sequence = (_counted(tally, counts) for tally in tallies)
    return {
        "address_views_1h": address[0],
        "address_new_share_1h": _share(address[1], address[0]),
        "promoter_new_share_1h": _share(promoter[1], promoter[0]),
        "prefix_share_1h": _share(prefix[0], promoter[0]),
        "prefix_new_views_1h": prefix[1],
        "device_share_1h": _share(device[0], promoter[0]),
        "device_views_1h": device[0],
        "sequence_views_24h": sequence[0],
    }


def _counted(of_row: Tally, counts: Counts | None) -> Matrix:
    """Views and views of new viewers before each row, float64[2, n]."""
    if counts is None:
        return np.full((2, len(of_row.counter)), np.nan)
    before: Matrix = np.add(counts[of_row.counter].T, of_row.before, dtype=np.float64)
    before[:, of_row.counter < 0] = np.nan
    return before


def _share(part: Column, whole: Column) -> Column:
    return part / (whole + _PRIOR_VIEWS)
