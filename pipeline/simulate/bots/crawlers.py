"""Declared crawlers: they say what they are, load the player, and hardly watch."""

import numpy as np

from pipeline.simulate import devices, regions
from pipeline.simulate.behaviour import some_regions
from pipeline.simulate.catalogue import Posts
from pipeline.simulate.traffic import (
    NO_TZ,
    VIEW,
    WATCH_SPAN_MS,
    Label,
    Views,
    fresh_ids,
    group_sizes,
    running_time,
    within_span,
)


def crawlers(rng: np.random.Generator, n: int, posts: Posts, people: Views) -> Views:
    """`n` views; a group is one crawler on one address, at a steady pace."""
    sizes = group_sizes(rng, n, 60)
    groups = len(sizes)
    group = np.repeat(np.arange(groups), sizes)
    views = np.zeros(n, VIEW)
    views["label"] = Label.CRAWLER
    views["device"] = devices.pick(rng, groups, "crawler")[group]
    hosted = rng.random(groups) < 0.6
    ip = np.where(
        hosted,
        regions.datacenter_addresses(rng, groups),
        regions.home_addresses(rng, some_regions(rng, groups)),
    )
    views["ip"] = ip[group]
    # Some keep their storage from page to page, most start afresh.
    keeps = (rng.random(groups) < 0.3)[group]
    views["viewer"] = np.where(keeps, fresh_ids(rng, groups)[group], fresh_ids(rng, n))
    views["session"] = np.where(keeps, fresh_ids(rng, groups)[group], fresh_ids(rng, n))
    views["language"] = -1
    views["tz"] = np.where(keeps, 0, NO_TZ)
    views["post"] = rng.integers(0, len(posts.weight), n)
    renders = rng.random(n) < 0.35
    views["watch"] = np.where(renders, rng.exponential(2_500, n), rng.integers(0, 50, n))
    views["visible"] = np.where(renders, 100, 0)
    views["autoplay"] = True
    views["muted"] = renders
    pace = rng.lognormal(np.log(20_000), 1.0, groups)[group]
    elapsed = running_time(pace * rng.uniform(0.9, 1.1, n), sizes)
    start = rng.uniform(0, WATCH_SPAN_MS * 0.8, groups)[group]
    views["at"] = within_span(rng, start + elapsed)
    return views
