"""The columns of the engine, from a batch of views."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.batch import IDS, Batch
from models.hashing import text_keys

_HOUR_MS = 3_600_000


def columns_of_batch(batch: Batch) -> dict[str, npt.NDArray[Any]]:
    """The columns of `models.engine.group.Columns` of n views.

    Without user agents: no feature of the stream is about them.
    """
    watch, hour = batch.watch_ms, batch.viewed_at / _HOUR_MS + batch.tz_offset_min / 60
    return {
        "time": batch.viewed_at,
        "seen": batch.log_time,
        "viewer": batch.viewer,
        "campaign": batch.campaign,
        "promoter": batch.promoter,
        "post": batch.post,
        "ip": batch.address,
        "prefix": batch.prefix,
        "device": batch.device,
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


def columns_of_accepted(accepted: pa.Table) -> dict[str, npt.NDArray[Any]]:
    """What the memory of viewers needs of accepted rows (`schemas.block.ACCEPTED`)."""
    return {
        "time": accepted["viewed_at"].to_numpy(),
        "seen": accepted["log_time"].to_numpy(),
        "viewer": text_keys(accepted["viewer_id"]),
        "post": IDS.column(accepted["post_id"].combine_chunks()),
        "watch_ms": accepted["watch_ms"].to_numpy().astype(np.int64),
    }
