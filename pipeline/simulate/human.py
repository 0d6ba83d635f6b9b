"""Traffic of people: sessions by day and night, popular posts, fans of one promoter."""

import numpy as np

from pipeline.simulate.behaviour import (
    Habits,
    fill_in,
    popular_promoters,
    some_posts_of,
    start_times,
)
from pipeline.simulate.catalogue import PLATFORMS, Posts
from pipeline.simulate.people import make_people
from pipeline.simulate.regions import REGIONS
from pipeline.simulate.traffic import (
    VIEW,
    Ints,
    Label,
    Views,
    fresh_ids,
    group_sizes,
    running_time,
    within_span,
)

_VIEWS_PER_PERSON = 7.0
_VIEWS_PER_SESSION = 4.5
_FANS = 0.08
_PRIVATE = 0.06
"""Share of sessions in a private window: a new viewer each time, like a bot's."""


def human_traffic(rng: np.random.Generator, n: int, posts: Posts) -> Views:
    """`n` views by people, dtype VIEW, those of a session side by side."""
    people = make_people(rng, max(1, round(n / _VIEWS_PER_PERSON)))
    sizes = group_sizes(rng, n, _VIEWS_PER_SESSION)
    sessions = len(sizes)
    who = rng.choice(len(people.viewer), sessions, p=people.activity / people.activity.sum())
    mobile = rng.random(sessions) < people.on_mobile[who]
    tz = np.array([region.tz for region in REGIONS])[people.region[who]]

    views = np.zeros(n, VIEW)
    views["label"] = Label.HUMAN
    person = np.repeat(who, sizes)
    private = rng.random(sessions) < _PRIVATE
    viewer = np.where(private, fresh_ids(rng, sessions), people.viewer[who])
    views["viewer"] = np.repeat(viewer, sizes)
    views["device"] = people.device[person]
    views["language"] = people.language[person]
    views["skew"] = people.skew_ms[person]
    views["tz"] = np.repeat(tz, sizes)
    views["session"] = np.repeat(fresh_ids(rng, sessions), sizes)
    ip = np.where(mobile, people.mobile_ip[who], people.home_ip[who])
    views["ip"] = np.repeat(ip, sizes)
    views["post"] = _choose_posts(rng, posts, sizes)
    fill_in(rng, views, posts, Habits())

    pause = rng.lognormal(np.log(14_000), 1.4, n)
    elapsed = running_time(views["watch"] + pause, sizes)
    at = np.repeat(start_times(rng, tz), sizes) + elapsed
    views["at"] = within_span(rng, at)
    return views


def _choose_posts(rng: np.random.Generator, posts: Posts, sizes: Ints) -> Ints:
    """A session stays on one platform; a fan's stays with one promoter."""
    n, sessions = int(sizes.sum()), len(sizes)
    by_platform = np.array([posts.weight[posts.platform == p].sum() for p in range(len(PLATFORMS))])
    platform = np.repeat(rng.choice(len(PLATFORMS), sessions, p=by_platform), sizes)
    chosen = np.empty(n, np.int64)
    for p in range(len(PLATFORMS)):
        rows = np.flatnonzero(posts.platform == p)
        here = np.flatnonzero(platform == p)
        if len(here):
            cumulated = np.cumsum(posts.weight[rows])
            draw = rng.random(len(here)) * cumulated[-1]
            chosen[here] = rows[np.minimum(np.searchsorted(cumulated, draw), len(rows) - 1)]
    fan = np.repeat(rng.random(sessions) < _FANS, sizes)
    idols = np.repeat(popular_promoters(rng, posts, sessions), sizes)
    return np.where(fan, some_posts_of(rng, posts, idols), chosen)
