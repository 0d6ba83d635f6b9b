"""The columns that judging needs, of a block of accepted views."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.address import places_of
from models.hashing import Keys, Memo, combine, text_key, text_keys, words_of
from schemas.columns import columns_of
from schemas.view import View

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

IDS = Memo(text_key)
"""Keys of campaigns, promoters and posts."""
_TEXTS = Memo(text_key)
_NO_TZ = -9999


class Batch(NamedTuple):
    """n views in log order. Keys are uint64[n] with 0 for unknown, times are ms, texts are
    `models.hashing.words_of` them.
    """

    viewer: Keys
    campaign: Keys
    promoter: Keys
    post: Keys
    address: Keys
    """IPv4, the upper half of IPv6, or a hash of either, as a number; see `models.address`."""
    prefix: Keys
    networks: pa.Array
    """What the collector says that the address belongs to."""
    device: Keys
    """Fingerprint: user agent, screen, language, time zone; 0 without a user agent."""
    user_agents: pa.Array
    platforms: pa.Array
    screens: pa.Array
    log_time: Ints
    viewed_at: Ints
    watch_ms: Ints
    duration_ms: Ints
    visible_pct: Floats
    interactions: Floats
    """NaN where missing, as in the three below."""
    muted: Floats
    autoplay: Floats
    tz_offset_min: Floats
    send_delay_ms: Floats
    """sent_at − occurred_at, both of the client's clock."""
    clock_skew_ms: Floats
    """received_at − sent_at: network time plus how far the client's clock is behind."""


def batch_of_columns(columns: Mapping[str, pa.Array]) -> Batch:
    """The batch of n views.

    Args:
        columns: of `schemas.columns.columns_of`, and int64[n] each, ms: `log_time` stamped by
            the broker, `viewed_at` corrected, `received_at` the log time where it was not set.
    """
    address, prefix = places_of(columns["ip"], columns["ip_hash"], columns["ip_prefix_hash"])
    user_agents, screens = words_of(columns["user_agent"]), words_of(columns["screen"])
    tz = _floats(columns["tz_offset_min"])
    occurred_at, sent_at = _ints(columns["occurred_at"]), _ints(columns["sent_at"])
    return Batch(
        viewer=text_keys(columns["viewer_id"]),
        campaign=IDS.column(columns["campaign_id"]),
        promoter=IDS.column(columns["promoter_id"]),
        post=IDS.column(columns["post_id"]),
        address=address,
        prefix=prefix,
        networks=words_of(columns["network"]),
        device=devices_of(user_agents, screens, columns["language"], columns["tz_offset_min"]),
        user_agents=user_agents,
        platforms=words_of(columns["platform"]),
        screens=screens,
        log_time=_ints(columns["log_time"]),
        viewed_at=_ints(columns["viewed_at"]),
        watch_ms=_ints(columns["watch_ms"]),
        duration_ms=_ints(columns["duration_ms"]),
        visible_pct=_floats(columns["visible_pct"]),
        interactions=_floats(columns["interactions"]),
        muted=_floats(columns["muted"]),
        autoplay=_floats(columns["autoplay"]),
        tz_offset_min=tz,
        send_delay_ms=(sent_at - occurred_at).astype(np.float64),
        clock_skew_ms=(_ints(columns["received_at"]) - sent_at).astype(np.float64),
    )


def devices_of(
    user_agent: pa.Array, screen: pa.Array, language: pa.Array, tz_offset_min: pa.Array
) -> Keys:
    """The devices of n views, uint64[n]; 0 without a user agent.

    Operators have them in their lists: to work them out otherwise empties these.
    """
    agent, tz = _TEXTS.column(user_agent), np.nan_to_num(_floats(tz_offset_min), nan=_NO_TZ)
    looks = combine(agent, _TEXTS.column(screen), _TEXTS.column(language), tz.astype(np.int64))
    return np.where(agent == 0, np.uint64(0), looks)


def batch_of_views(
    views: Sequence[View], log_time: Ints, viewed_at: Ints, received_at: Ints
) -> Batch:
    """The batch of n decoded views; see `batch_of_columns`."""
    times = {"log_time": log_time, "viewed_at": viewed_at, "received_at": received_at}
    columns = columns_of(views) | {name: pa.array(column) for name, column in times.items()}
    return batch_of_columns(columns)


def _floats(column: pa.Array) -> Floats:
    floats: Floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return floats


def _ints(column: pa.Array) -> Ints:
    return column.to_numpy().astype(np.int64, copy=False)  # type: ignore[no-any-return]
