"""A promoter's own farm: a shelf of cheap phones at home that watches one promoter's posts."""

import numpy as np

from pipeline.simulate import devices, regions
from pipeline.simulate.behaviour import (
    Habits,
    fill_in,
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
    within_span,
)

_PHONES = 24
_MODELS = 3


def promoter_farms(rng: np.random.Generator, n: int, posts: Posts, people: Views) -> Views:
    """`n` views; a group is one farm on a home's address, with real phones of a few models."""
    sizes = group_sizes(rng, n, 180)
    farms = len(sizes)
    farm = np.repeat(np.arange(farms), sizes)
    phones = rng.integers(4, _PHONES + 1, farms)
    phone = farm * _PHONES + rng.integers(0, phones[farm])
    region = some_regions(rng, farms)

    views = np.zeros(n, VIEW)
    views["label"] = Label.PROMOTER_FARM
    views["viewer"] = fresh_ids(rng, farms * _PHONES)[phone]
    # Some use mobile data, and share their carrier's address with many.
    homes = regions.home_addresses(rng, region)
    views["ip"] = residential_proxies(rng, people, homes, 0.25)[farm]
    models = devices.pick(rng, farms * _MODELS, "android")
    views["device"] = models[farm * _MODELS + phone % _MODELS]
    views["language"] = pick_languages(rng, region)[farm]
    views["tz"] = np.array([place.tz for place in REGIONS])[region][farm]
    views["skew"] = clock_skew(rng, farms * _PHONES)[phone]
    # Any promoter may cheat, not only the popular ones.
    promoter = rng.integers(0, len(posts.first) - 1, farms)
    views["post"] = some_posts_of(rng, posts, promoter[farm])
    fill_in(rng, views, posts, Habits(skip=0.08, finish=0.4, taps=0.3, hidden=0.04))
    # Worked through the day, in shifts of an hour with a new session each.
    shift = rng.integers(0, 4, n)
    start = rng.uniform(0, WATCH_SPAN_MS - 5 * 3_600_000, farms)[farm]
    views["at"] = within_span(rng, start + (shift + rng.random(n)) * 3_600_000)
    views["session"] = fresh_ids(rng, farms * _PHONES * 4)[phone * 4 + shift]
    return views
