"""How a view looks: what was watched of a video, how visibly, and what was tapped."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.simulate.catalogue import Posts
from pipeline.simulate.regions import REGIONS, WEIGHTS
from pipeline.simulate.traffic import START_MS, WATCH_SPAN_MS, Floats, Ints, Views

_HOURLY = np.array(
    [18, 10, 6, 4, 3, 4, 9, 18, 24, 24, 24, 26, 32, 33, 30, 30, 34, 42, 52, 62, 72, 76, 62, 38]
) / 76  # fmt: skip
_STEP_MS = 600_000


class Habits(NamedTuple):
    """What kind of watcher; people and the bots that play people differ only here."""

    skip: float = 0.38
    """Share of views left within a few seconds."""
    finish: float = 0.2
    """Share of views watched to the end, or over and over."""
    taps: float = 0.4
    """Interactions per ten seconds."""
    hidden: float = 0.14
    """Share of views of which only a part was visible."""


def watch_ms(rng: np.random.Generator, duration: Ints, habits: Habits) -> Ints:
    """Heavy-tailed watch times, conditional on the length of the video."""
    n = len(duration)
    kind = rng.random(n)
    skipped = rng.lognormal(np.log(1_500), 0.7, n)
    partly = duration * rng.beta(1.3, 1.8, n)
    loops = np.floor(np.minimum(rng.pareto(2.2, n), 12))
    finished = duration * (1 + loops * (duration < 40_000)) * rng.uniform(0.97, 1.0, n)
    skip = kind < habits.skip
    finish = kind > 1 - habits.finish
    watched = np.where(skip, np.minimum(skipped, duration), np.where(finish, finished, partly))
    return np.maximum(watched, 80).astype(np.int64)


def fill_in(rng: np.random.Generator, views: Views, posts: Posts, habits: Habits) -> None:
    """Sets watch time, visibility, interactions, sound and referrer of views with posts."""
    n = len(views)
    watch = watch_ms(rng, posts.duration_ms[views["post"]], habits)
    views["watch"] = watch
    partly = rng.random(n) < habits.hidden
    views["visible"] = np.where(partly, rng.beta(2, 1.5, n) * 100, 100 - rng.integers(0, 4, n))
    eager = rng.gamma(0.5, 2.0, n)
    views["interactions"] = np.minimum(rng.poisson(habits.taps * eager * watch / 10_000), 400)
    platform = posts.platform[views["post"]]
    views["autoplay"] = rng.random(n) < np.array([0.97, 0.95, 0.6, 0.4])[platform]
    views["muted"] = rng.random(n) < np.array([0.15, 0.45, 0.1, 0.35])[platform]
    views["referrer"] = rng.random(n) < np.array([0.3, 0.3, 0.6, 0.9])[platform]


def start_times(rng: np.random.Generator, tz: Ints, flatness: float = 0.0) -> Floats:
    """When sessions start, ms after START_MS, by the hour of the day where the people are.

    Args:
        tz: minutes from UTC, one per session.
        flatness: 0 is people, 1 is a machine that does not know night from day.
    """
    starts = np.empty(len(tz))
    steps = np.arange(0, WATCH_SPAN_MS - 3_600_000, _STEP_MS)
    for zone in np.unique(tz):
        of_zone = np.flatnonzero(tz == zone)
        hour = ((START_MS + steps) // 60_000 + zone) / 60 % 24
        busy = np.interp(hour, np.arange(24), _HOURLY, period=24)
        cumulated = np.cumsum((1 - flatness) * busy / busy.sum() + flatness / len(steps))
        starts[of_zone] = np.interp(
            rng.random(len(of_zone)) * cumulated[-1],
            np.append(0, cumulated),
            np.append(steps, steps[-1] + _STEP_MS),
        )
    return starts


def some_regions(rng: np.random.Generator, n: int) -> Ints:
    """Rows of REGIONS, by how many people live there."""
    return rng.choice(len(REGIONS), n, p=WEIGHTS / WEIGHTS.sum())


def some_posts_of(rng: np.random.Generator, posts: Posts, promoter: Ints) -> Ints:
    """For each given promoter one of its posts, the first ones more often."""
    first = posts.first[promoter]
    count = posts.first[promoter + 1] - first
    return first + (rng.random(len(promoter)) ** 1.7 * count).astype(np.int64)


def popular_promoters(rng: np.random.Generator, posts: Posts, n: int) -> Ints:
    """Paid promoters, by how much their posts are watched."""
    share = np.add.reduceat(posts.weight[: posts.first[-1]], posts.first[:-1])
    return rng.choice(len(share), n, p=share / share.sum())


def residential_proxies(
    rng: np.random.Generator, people: Views, addresses: npt.NDArray[np.uint32], share: float
) -> npt.NDArray[np.uint32]:
    """Replaces a share of `addresses` by those of real people: infected phones and routers."""
    if len(people) == 0:
        return addresses
    theirs = people["ip"][rng.integers(0, len(people), len(addresses))]
    return np.where(rng.random(len(addresses)) < share, theirs, addresses)
