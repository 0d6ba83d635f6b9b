"""Scripts in data centres: a browser's name, a cloud's address, one promoter to please."""

import numpy as np

from pipeline.simulate import devices, regions
from pipeline.simulate.behaviour import Habits, fill_in, popular_promoters, some_posts_of
from pipeline.simulate.catalogue import Posts
from pipeline.simulate.regions import LANGUAGES
from pipeline.simulate.traffic import (
    NO_TZ,
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
from schemas.view import LAST_DURATION_MS

_ADDRESSES = 8
_EN_US = LANGUAGES.index("en-US")


def datacenter_scripts(rng: np.random.Generator, n: int, posts: Posts, people: Views) -> Views:
    """`n` views; a group is one script on up to eight addresses."""
    sizes = group_sizes(rng, n, 220)
    groups = len(sizes)
    group = np.repeat(np.arange(groups), sizes)
    views = np.zeros(n, VIEW)
    views["label"] = Label.DATACENTER
    views["post"] = some_posts_of(rng, posts, popular_promoters(rng, posts, groups)[group])
    fill_in(rng, views, posts, Habits(skip=0.1, finish=0.3, taps=0.04, hidden=0.02))
    # The plain ones wait a fixed time just above what pays; the others play a person.
    plain = (rng.random(groups) < 0.55)[group]
    fixed = rng.integers(2_500, 16_000, groups)[group] + rng.integers(0, 400, n)
    watch = np.where(plain, np.minimum(fixed, posts.duration_ms[views["post"]]), views["watch"])
    # A few report what no player can: longer than any loop allows.
    impossible = rng.random(n) < 0.01
    views["watch"] = np.minimum(np.where(impossible, watch * 500, watch), LAST_DURATION_MS)
    views["visible"] = np.where(plain, 100, views["visible"])
    views["interactions"] = np.where(plain, 0, views["interactions"])

    own = group * _ADDRESSES + rng.integers(0, rng.integers(1, _ADDRESSES + 1, groups)[group])
    views["ip"] = regions.datacenter_addresses(rng, groups * _ADDRESSES)[own]
    kinds = devices.pick(rng, groups, "desktop", "android")[group]
    rotating = (rng.random(groups) < 0.5)[group]
    views["device"] = np.where(
        rotating, devices.pick(rng, n, "desktop", "android", "iphone"), kinds
    )
    views["language"] = np.where(rotating, rng.integers(0, len(LANGUAGES), n), _EN_US)
    views["tz"] = np.where(plain, NO_TZ, 0)
    viewer = new_every(rng, sizes, 0.4)
    views["viewer"] = fresh_ids(rng, n)[viewer]
    views["session"] = fresh_ids(rng, n)[viewer]
    pace = rng.lognormal(np.log(9_000), 0.9, groups)[group]
    elapsed = running_time(pace * rng.gamma(4.0, 0.25, n), sizes)
    start = rng.uniform(0, WATCH_SPAN_MS * 0.85, groups)[group]
    views["at"] = within_span(rng, start + elapsed)
    return views
