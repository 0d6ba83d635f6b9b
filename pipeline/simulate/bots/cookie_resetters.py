"""Cookie resetters: one device behind one address, a new viewer for almost every view."""

import numpy as np

from pipeline.simulate import devices, regions
from pipeline.simulate.behaviour import (
    Habits,
    fill_in,
    popular_promoters,
    residential_proxies,
    some_posts_of,
    some_regions,
)
from pipeline.simulate.catalogue import Posts
from pipeline.simulate.people import clock_skew, pick_languages
from pipeline.simulate.regions import REGIONS
from pipeline.simulate.traffic import (
    VIEW,
    WATCH_SPAN_MS,
    Label,
    Views,
    fresh_ids,
    group_sizes,
    new_every,
    running_time,
    within_span,
)


def cookie_resetters(rng: np.random.Generator, n: int, posts: Posts, people: Views) -> Views:
    """`n` views; a group is one device."""
    sizes = group_sizes(rng, n, 45)
    groups = len(sizes)
    group = np.repeat(np.arange(groups), sizes)
    views = np.zeros(n, VIEW)
    views["label"] = Label.COOKIE_RESET
    viewer = new_every(rng, sizes, 0.85)
    views["viewer"] = fresh_ids(rng, n)[viewer]
    views["session"] = fresh_ids(rng, n)[viewer]
    region = some_regions(rng, groups)
    homes = regions.home_addresses(rng, region)
    views["ip"] = residential_proxies(rng, people, homes, 0.35)[group]
    views["device"] = devices.pick(rng, groups, "android", "iphone", "desktop")[group]
    views["language"] = pick_languages(rng, region)[group]
    views["tz"] = np.array([place.tz for place in REGIONS])[region][group]
    views["skew"] = clock_skew(rng, groups)[group]
    views["post"] = some_posts_of(rng, posts, popular_promoters(rng, posts, groups)[group])
    fill_in(rng, views, posts, Habits(skip=0.12, finish=0.25, taps=0.2, hidden=0.05))
    pause = rng.lognormal(np.log(22_000), 1.1, n)
    start = rng.uniform(0, WATCH_SPAN_MS * 0.9, groups)[group]
    views["at"] = within_span(rng, start + running_time(views["watch"] + pause, sizes))
    return views
