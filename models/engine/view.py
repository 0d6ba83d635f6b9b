"""The columns of the engine, from a batch of views."""

from typing import Any

import numpy as np
import numpy.typing as npt

from models.batch import Batch
from models.hashing import Keys, Memo, text_key

_AGENTS = Memo(text_key)
_HOUR_MS = 3_600_000


def columns_of_batch(batch: Batch, campaign: Keys) -> dict[str, npt.NDArray[Any]]:
    """All columns of `models.engine.group.Columns` of n views.

    Args:
        batch: the views.
        campaign: of each, uint64[n].
    """
    watch, hour = batch.watch_ms, batch.viewed_at / _HOUR_MS + batch.tz_offset_min / 60
    return {
        "time": batch.viewed_at,
        "seen": np.maximum.accumulate(batch.log_time),
        "viewer": batch.viewer,
        "campaign": campaign,
        "promoter": batch.promoter,
        "post": batch.post,
        "ip": batch.address,
        "prefix": batch.prefix,
        "device": batch.device,
        "user_agent": _AGENTS.column(batch.user_agents),
        "watch_ms": watch,
        "watch_s": watch / 1e3,
        "watch_ratio": watch / np.where(batch.duration_ms > 0, batch.duration_ms, np.nan),
        "visible_pct": batch.visible_pct,
        "interactions": batch.interactions,
        "muted": batch.muted,
        "autoplay": batch.autoplay,
        "send_delay_s": batch.send_delay_ms / 1e3,
        "clock_skew_s": batch.clock_skew_ms / 1e3,
        "local_hour": hour % 24,
    }
