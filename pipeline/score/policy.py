"""The view policy: what a payable view is, per platform, as data with a version."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_digest

from models.batch import Batch
from models.hashing import Memo
from schemas.verdicts import Reason

Ints = npt.NDArray[np.int64]

POLICY_VERSION = "1"
"""Stamped on every view: change it with any change below."""

_DAY_MS = 24 * 3_600_000


class Rule(NamedTuple):
    """What one platform's views need to be paid."""

    min_watch_ms: int
    """A video that is shorter has to be watched whole."""
    min_visible_pct: float


RULES = {
    # The Media Rating Council's bar for video: half of the pixels for two seconds.
    "tiktok": Rule(2_000, 50),
    "web": Rule(2_000, 50),
    # Stricter where people scroll past more, or seek longer videos on purpose.
    "instagram": Rule(3_000, 50),
    "youtube": Rule(5_000, 50),
}

_CODES = Memo(list(RULES).index)
_MIN_WATCH_MS = np.array([rule.min_watch_ms for rule in RULES.values()], np.int64)
_MIN_VISIBLE_PCT = np.array([rule.min_visible_pct for rule in RULES.values()])


def qualify(batch: Batch) -> npt.NDArray[np.uint32]:
    """What the policy has against each of n views, bits of `Reason`, uint32[n]; 0 is fine."""
    code = _CODES.column(batch.platforms)
    needed = _MIN_WATCH_MS[code]
    # A length of 0 is not known, so it can't make the view short.
    needed = np.where(batch.duration_ms > 0, np.minimum(needed, batch.duration_ms), needed)
    short = (batch.watch_ms < needed).astype(np.uint32)
    hidden = (batch.visible_pct < _MIN_VISIBLE_PCT[code]).astype(np.uint32)
    return short * np.uint32(Reason.BELOW_MIN_WATCH.bit) | hidden * np.uint32(
        Reason.BELOW_MIN_VISIBLE.bit
    )


def days_of(viewed_at: Ints) -> Ints:
    """The UTC day of times in ms, int64[n]: one view per viewer, post and such a day is paid."""
    return viewed_at // _DAY_MS


def pair_digests(viewer_ids: Sequence[str], post_ids: Sequence[str], days: Ints) -> list[bytes]:
    """For each of n views 16 bytes that stand for its viewer, post and day."""
    # The length keeps ("ab", "c") and ("a", "bc") apart, whatever characters ids have.
    texts = [
        f"{day} {len(post)} {post}{viewer}".encode()
        for viewer, post, day in zip(viewer_ids, post_ids, days.tolist(), strict=True)
    ]
    return list(map(xxh3_128_digest, texts))
