"""Slow and distributed: every bot has an address, a device and a time zone that fit, watches a
few videos a day, and differs from a person only a little. Honestly hard."""

import numpy as np

from pipeline.simulate import devices, regions
from pipeline.simulate.behaviour import (
    Habits,
    fill_in,
    popular_promoters,
    residential_proxies,
    some_posts_of,
    some_regions,
    start_times,
)
from pipeline.simulate.catalogue import Posts
from pipeline.simulate.people import clock_skew, pick_languages
from pipeline.simulate.regions import REGIONS
from pipeline.simulate.traffic import (
    VIEW,
    Label,
    Views,
    fresh_ids,
    group_sizes,
    running_time,
    within_span,
)

_HABITS = Habits(skip=0.22, finish=0.24, taps=0.28, hidden=0.09)
_LOYAL = 0.55


def slow_distributed(rng: np.random.Generator, n: int, posts: Posts, people: Views) -> Views:
    """`n` views; a group is one bot, hundreds of them work for the same promoter."""
    sizes = group_sizes(rng, n, 4)
    bots = len(sizes)
    bot = np.repeat(np.arange(bots), sizes)
    region = some_regions(rng, bots)
    tz = np.array([place.tz for place in REGIONS])[region]
    views = np.zeros(n, VIEW)
    views["label"] = Label.SLOW_DISTRIBUTED
    views["viewer"] = fresh_ids(rng, bots)[bot]
    views["session"] = fresh_ids(rng, bots)[bot]
    homes = regions.home_addresses(rng, region)
    views["ip"] = residential_proxies(rng, people, homes, 0.7)[bot]
    views["device"] = devices.pick(rng, bots, "android", "iphone", "desktop")[bot]
    views["language"] = pick_languages(rng, region)[bot]
    views["tz"] = tz[bot]
    views["skew"] = clock_skew(rng, bots)[bot]
    # Some views of other promoters' posts hide who pays.
    paying = popular_promoters(rng, posts, max(1, n // 1_500))
    promoter = rng.choice(paying, bots)[bot]
    others = popular_promoters(rng, posts, n)
    promoter = np.where(rng.random(n) < _LOYAL, promoter, others)
    views["post"] = some_posts_of(rng, posts, promoter)
    fill_in(rng, views, posts, _HABITS)
    pause = rng.lognormal(np.log(30_000), 1.3, n)
    start = start_times(rng, tz, flatness=0.4)[bot]
    views["at"] = within_span(rng, start + running_time(views["watch"] + pause, sizes))
    return views
