"""Replayed sessions: what a person really did, copied many times under new ids."""

import numpy as np

from pipeline.simulate import regions
from pipeline.simulate.behaviour import (
    popular_promoters,
    residential_proxies,
    some_posts_of,
    some_regions,
)
from pipeline.simulate.catalogue import Posts
from pipeline.simulate.traffic import (
    VIEW,
    WATCH_SPAN_MS,
    Label,
    Views,
    fresh_ids,
    group_sizes,
    within_span,
)

_COPIES = 14
_PROXIES = 6


def replayed_sessions(rng: np.random.Generator, n: int, posts: Posts, people: Views) -> Views:
    """`n` views; a group is one session of `people` and its copies, of one promoter's posts."""
    if len(people) == 0:
        return np.zeros(0, VIEW)
    # Sessions are side by side in `people`; very short ones are not worth a replay.
    first = np.flatnonzero(np.diff(people["session"], prepend=~people["session"][:1]))
    length = np.diff(first, append=len(people))
    worth = np.flatnonzero(length >= min(3, length.max()))

    copies_of = group_sizes(rng, n, _COPIES)
    originals = rng.choice(worth, len(copies_of))
    group = np.repeat(np.arange(len(copies_of)), copies_of)
    # One row per copy, as many copies as it takes to fill n views; the last may be cut short.
    needed = int(np.searchsorted(np.cumsum(length[originals[group]]), n)) + 1
    group = group[:needed]
    original, groups = originals[group], int(group.max()) + 1
    sizes = length[original]
    sizes[-1] -= sizes.sum() - n
    copy = np.repeat(np.arange(needed), sizes)
    step = np.arange(n) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    source = first[original][copy] + step

    views: Views = people[source].copy()
    views["label"] = Label.REPLAYED_SESSION
    views["viewer"] = fresh_ids(rng, needed)[copy]
    views["session"] = fresh_ids(rng, needed)[copy]
    promoter = popular_promoters(rng, posts, groups)[group]
    views["post"] = some_posts_of(rng, posts, promoter[copy])
    # A handful of addresses per group, not those of the person.
    pool = regions.home_addresses(rng, some_regions(rng, groups * _PROXIES))
    pool = residential_proxies(rng, people, pool, 0.6)
    views["ip"] = pool[group * _PROXIES + rng.integers(0, _PROXIES, needed)][copy]
    campaign_start = rng.uniform(0, WATCH_SPAN_MS * 0.5, groups)[group]
    start = campaign_start + rng.exponential(4_000_000, needed)
    since_start = views["at"] - people["at"][first[original]][copy]
    views["at"] = within_span(rng, start[copy] + since_start)
    return views
