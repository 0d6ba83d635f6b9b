"""The features of one view at a time, in plain Python: what `models.engine` does in columns.

`models.engine.table` says what they mean, `tests/bench/test_vanilla_features.py` compares them.
"""

import math
from functools import lru_cache

from bench.vanilla_memory import Life, Memory
from models.hashing import text_key
from schemas.view import View

_NAN = math.nan
_HOUR_MS = 3_600_000
_GAPS, _WATCHES, _SAME_WATCH_MS, _SOON_S = 8, 4, 16, 0.25
_WEIGHTS = tuple(0.5**d for d in reversed(range(_GAPS)))
_LEAST_FOR_SPREAD = 3
_MASK, _ODD = (1 << 64) - 1, 0x9E3779B97F4A7C15
_NO_TZ = -9999
_ENTRIES = 1 << 17


def features_of(
    memory: Memory,
    view: View,
    viewed_at: int,
    received_at: int,
    log_time: int,
    places: tuple[int, int],
) -> list[float]:
    """The columns of `models.features.FEATURES`, in their order.

    Args:
        memory: of the views before, to which this one is added.
        view: an accepted one.
        viewed_at, received_at, log_time: its times, ms.
        places: address and prefix, as `models.address` has them; 0 where unknown.
    """
    memory.at(log_time)
    viewer = memory.see("viewer", view.viewer_id, viewed_at)
    is_new, watch, before = math.isnan(viewer.gap), view.watch_ms, viewer.watches
    tz = _NAN if view.tz_offset_min is None else view.tz_offset_min
    pair = (watch // _SAME_WATCH_MS, before[-1] // _SAME_WATCH_MS) if before else None
    return [
        watch / 1e3,
        watch / view.duration_ms if view.duration_ms > 0 else _NAN,
        view.visible_pct,
        _NAN if view.interactions is None else view.interactions,
        _NAN if view.muted is None else view.muted,
        _NAN if view.autoplay is None else view.autoplay,
        (view.sent_at - view.occurred_at) / 1e3,
        (received_at - view.sent_at) / 1e3,
        (viewed_at / _HOUR_MS + tz / 60) % 24,
        *(views for views, _ in viewer.count(is_new)),
        *_pace(viewer),
        viewer.sets[0].add(viewer.time, _bit(_key(view.post_id))),
        *_watches(viewer, watch),
        *_shared(memory, view, viewed_at, is_new, places),
        memory.count("sequence", pair, viewed_at, is_new)[0],
    ]


def _pace(viewer: Life) -> tuple[float, ...]:
    """The last gap, mean, least and spread of the last few, and the viewer's age."""
    gap = viewer.gap
    if math.isnan(gap):
        return (_NAN,) * 5
    gaps = viewer.gaps = (*viewer.gaps[1 - _GAPS :], gap)
    logs = [math.log2(one + _SOON_S) for one in gaps]
    weights = _WEIGHTS[-len(logs) :]
    mean = sum(map(float.__mul__, weights, logs)) / sum(weights)
    return gap, mean, min(gaps), _spread(logs), viewer.age


def _watches(viewer: Life, watch: int) -> tuple[float, ...]:
    """Change to the last watch time, spread with the last few, and how many of them are alike."""
    before = viewer.watches
    viewer.watches = (*before[1 - _WATCHES :], watch)
    if not before:
        return (_NAN,) * 3
    spread = _spread([math.log2(one / 1e3 + _SOON_S) for one in (*before, watch)])
    alike = sum(one // _SAME_WATCH_MS == watch // _SAME_WATCH_MS for one in before)
    return abs(watch - before[-1]) / 1e3, spread, alike


def _spread(values: list[float]) -> float:
    n = len(values)
    if n < _LEAST_FOR_SPREAD:
        return _NAN
    mean = sum(values) / n
    return math.sqrt(sum((value - mean) ** 2 for value in values) / n)


def _shared(
    memory: Memory, view: View, viewed_at: int, is_new: bool, places: tuple[int, int]
) -> tuple[float, ...]:
    """What is known of the entities that many viewers share."""
    at, count = viewed_at, memory.count
    promoter, (address, prefix) = view.promoter_id, places
    device = _device(view.user_agent, view.screen, view.language, view.tz_offset_min)
    all_views, all_new = count("all", "all", at, is_new)
    campaign, campaign_new = count("campaign", view.campaign_id, at, is_new)
    of_promoter, promoter_new, promoter_1h, _ = count("promoter", promoter, at, is_new)
    of_device, device_new = count("device", device, at, is_new)
    both, _ = count("device × promoter", device and (device, promoter), at, is_new)
    near, near_new = count("prefix × promoter", prefix and (prefix, promoter), at, is_new)
    life = memory.see("post", view.post_id, at)
    ((post, post_new),) = life.count(is_new)
    new_of_all = (all_new + 2) / (all_views + 3)
    return (
        *_address(memory, address, device, at, is_new),
        count("ip × promoter", address and (address, promoter), at, is_new)[0],
        (near + 0.5) / (promoter_1h + 2),
        (near_new + 1) / (near + 2),
        math.log2((campaign + 0.5) / (all_views + 50)),
        (campaign_new + 2) / (campaign + 3) - new_of_all,
        math.log2((of_promoter + 0.5) / (all_views + 50)),
        (promoter_new + 2) / (of_promoter + 3) - new_of_all,
        math.log2((post + 0.5) / (all_views + 50)),
        (post_new + 2) / (post + 3) - new_of_all,
        life.gap,
        (post + 0.5) / (of_promoter + 2),
        math.log2((of_device + 0.5) / (all_views + 50)),
        (device_new + 2) / (of_device + 3) - new_of_all,
        math.log2((both + 0.5) / (all_views + 50)),
        (both + 0.5) / (of_promoter + 2),
        math.log2((both + 1) * (all_views + 50) / ((of_device + 5) * (of_promoter + 5))),
    )


def _address(
    memory: Memory, address: int, device: int, viewed_at: int, is_new: bool
) -> tuple[float, ...]:
    if not address:
        return (_NAN,) * 6
    life = memory.see("ip", address, viewed_at)
    (views_10m, _), (views_24h, new_24h) = life.count(is_new)
    devices = life.sets[0].add(life.time, _bit(device))
    return views_10m, views_24h, life.gap, life.age, devices, (new_24h + 1) / (views_24h + 2)


_key = lru_cache(_ENTRIES)(text_key)


@lru_cache(_ENTRIES)
def _device(agent: str | None, screen: str | None, language: str | None, tz: int | None) -> int:
    """As `models.batch.devices_of`."""
    if agent is None:
        return 0
    texts = (0 if text is None else text_key(text) for text in (agent, screen, language))
    return _combine(*texts, _NO_TZ if tz is None else tz)


@lru_cache(_ENTRIES)
def _bit(key: int) -> int:
    """As `models.engine.summary.words_of`."""
    return 1 << (_combine(key) >> 58) if key else 0


def _combine(*values: int) -> int:
    """As `models.hashing.combine`."""
    key = 0
    for value in values:
        key = (key ^ value & _MASK) * _ODD & _MASK
        key ^= key >> 32
    return key * _ODD & _MASK
