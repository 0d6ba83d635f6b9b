"""Emulator farms: many instances of one image run the same script to the same clock."""

import numpy as np

from pipeline.simulate import devices, regions
from pipeline.simulate.behaviour import (
    popular_promoters,
    residential_proxies,
    some_posts_of,
    some_regions,
)
from pipeline.simulate.catalogue import Posts
from pipeline.simulate.people import pick_languages
from pipeline.simulate.regions import REGIONS
from pipeline.simulate.traffic import (
    VIEW,
    WATCH_SPAN_MS,
    Label,
    Views,
    fresh_ids,
    group_sizes,
    within_span,
)

_VIEWS_EACH = 6
_ADDRESSES = 12


def emulator_farms(rng: np.random.Generator, n: int, posts: Posts, people: Views) -> Views:
    """`n` views; a group is one farm, its instances take turns in rounds."""
    sizes = group_sizes(rng, n, 260)
    groups = len(sizes)
    group = np.repeat(np.arange(groups), sizes)
    row = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    instances = np.maximum(1, sizes // _VIEWS_EACH)[group]
    instance, turn = row % instances, row // instances

    views = np.zeros(n, VIEW)
    views["label"] = Label.EMULATOR_FARM
    # A farm has fewer instances than rows, so its rows have room for one id each.
    own = np.repeat(np.cumsum(sizes) - sizes, sizes) + instance
    views["viewer"] = fresh_ids(rng, n)[own]
    views["session"] = fresh_ids(rng, n)[own]
    views["post"] = some_posts_of(rng, posts, popular_promoters(rng, posts, groups)[group])
    region = some_regions(rng, groups)
    views["device"] = devices.pick(rng, groups, "android")[group]
    views["language"] = pick_languages(rng, region)[group]
    views["tz"] = np.array([place.tz for place in REGIONS])[region][group]
    pool = regions.home_addresses(rng, np.repeat(region, _ADDRESSES))
    pool = residential_proxies(rng, people, pool, 0.3)
    views["ip"] = pool[group * _ADDRESSES + instance % _ADDRESSES]
    # The script: the same watch time and the same pause in every turn, but for jitter.
    jitter = rng.choice([3.0, 40.0, 900.0], groups, p=[0.5, 0.35, 0.15])[group]
    script = rng.uniform(0.35, 1.0, (groups, 16))[group, turn % 16]
    watch = posts.duration_ms[views["post"]] * script
    views["watch"] = np.maximum(80, watch + rng.normal(0, 1, n) * jitter)
    views["visible"] = 100
    views["interactions"] = rng.integers(0, 3, (groups, 16))[group, turn % 16]
    views["autoplay"] = True
    views["muted"] = (rng.random(groups) < 0.5)[group]
    views["skew"] = rng.normal(0, 500, groups)[group]
    period = rng.lognormal(np.log(45_000), 0.6, groups)[group]
    stagger = rng.uniform(0, 1, n) * jitter + instance * rng.uniform(5, 1_500, groups)[group]
    start = rng.uniform(0, WATCH_SPAN_MS * 0.85, groups)[group]
    views["at"] = within_span(rng, start + turn * period + stagger)
    return views
