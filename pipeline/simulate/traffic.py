"""The columns that every simulated view has, whoever watches."""

from enum import IntEnum

import numpy as np
import numpy.typing as npt

START_MS = 1_767_571_200_000
"""2026-01-05T00:00:00Z: constant, so that a file depends on its seed and size only."""
WATCH_SPAN_MS = 17 * 3_600_000
"""Views happen in this span …"""
DELIVERY_SPAN_MS = 18 * 3_600_000
"""… and arrive in this one: well inside the accept window of 24 h, once replayed."""

Views = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Label(IntEnum):
    """Who made an event; the names in the file of labels are in lower case."""

    HUMAN = 0
    CRAWLER = 1
    DATACENTER = 2
    REPLAYED_SESSION = 3
    EMULATOR_FARM = 4
    COOKIE_RESET = 5
    SLOW_DISTRIBUTED = 6
    PROMOTER_FARM = 7
    MALFORMED = 8


VIEW = np.dtype(
    [
        ("label", "u1"),
        ("at", "i8"),  # ms after START_MS, true time of the end of the view
        ("event", "u8", (2,)),
        ("viewer", "u8"),
        ("session", "u8"),
        ("post", "i4"),  # row of `catalogue.Posts`
        ("ip", "u4"),
        ("device", "i2"),  # row of `devices.DEVICES`
        ("language", "i1"),  # row of `regions.LANGUAGES`, -1: not sent
        ("tz", "i2"),  # minutes from UTC, NO_TZ: not sent
        ("skew", "i8"),  # ms that the client's clock is ahead
        ("watch", "i4"),  # ms
        ("visible", "u1"),  # per cent
        ("interactions", "i2"),
        ("muted", "?"),
        ("autoplay", "?"),
        ("referrer", "?"),
    ]
)
NO_TZ = 9999


def group_sizes(rng: np.random.Generator, total: int, mean: float) -> Ints:
    """Sizes (≥ 1, log-normal around `mean`) of groups that add up to `total`."""
    sizes = np.empty(0, np.int64)
    while sizes.sum() < total:
        more = rng.lognormal(np.log(mean) - 0.32, 0.8, max(8, int(total / mean)))
        sizes = np.concatenate([sizes, np.maximum(1, more).astype(np.int64)])
    ends = np.minimum(np.cumsum(sizes), total)
    sizes = np.diff(ends, prepend=0)
    return sizes[sizes > 0]


def running_time(gaps: Floats, sizes: Ints) -> Floats:
    """Time since the start of the group: the running sum of `gaps`, anew in every group."""
    total = np.cumsum(gaps)
    before = np.concatenate([[0.0], total])[np.cumsum(sizes) - sizes]
    since: Floats = total - np.repeat(before, sizes)
    return since


def fresh_ids(rng: np.random.Generator, n: int) -> npt.NDArray[np.uint64]:
    """Random 64-bit ids; people's and bots' look the same."""
    return rng.integers(0, 2**64, n, dtype=np.uint64)


def new_every(rng: np.random.Generator, sizes: Ints, share: float) -> Ints:
    """A number per row that changes at `share` of the rows, and between groups."""
    changes = rng.random(int(sizes.sum())) < share
    changes[np.cumsum(sizes) - sizes] = True
    return np.cumsum(changes) - 1


def within_span(rng: np.random.Generator, at: Floats) -> Ints:
    """Times as integers; what would be after WATCH_SPAN_MS goes into its last ten minutes."""
    return np.minimum(at, WATCH_SPAN_MS - rng.integers(0, 600_000, len(at))).astype(np.int64)
