"""The bots, a file per family. Each makes groups that work for somebody, as real ones do.

The rate of one bot does not depend on the size of the file: more events are more groups.
"""

from collections.abc import Callable

import numpy as np

from pipeline.simulate.bots.cookie_resetters import cookie_resetters
from pipeline.simulate.bots.crawlers import crawlers
from pipeline.simulate.bots.datacenter import datacenter_scripts
from pipeline.simulate.bots.emulators import emulator_farms
from pipeline.simulate.bots.promoter_farm import promoter_farms
from pipeline.simulate.bots.replayed import replayed_sessions
from pipeline.simulate.bots.slow import slow_distributed
from pipeline.simulate.catalogue import Posts
from pipeline.simulate.traffic import Views

Family = Callable[[np.random.Generator, int, Posts, Views], Views]

FAMILIES: tuple[tuple[Family, float], ...] = (
    (crawlers, 0.12),
    (datacenter_scripts, 0.22),
    (replayed_sessions, 0.15),
    (emulator_farms, 0.18),
    (cookie_resetters, 0.13),
    (slow_distributed, 0.10),
    (promoter_farms, 0.10),
)
"""With the share of each among the events of bots."""


def bot_traffic(rng: np.random.Generator, n: int, posts: Posts, people: Views) -> list[Views]:
    """`n` views by bots, an array of dtype VIEW per family.

    Args:
        people: views of people, some of which are replayed.
    """
    counts = [int(n * share) for _, share in FAMILIES]
    counts[1] += n - sum(counts)
    return [
        family(rng, count, posts, people)
        for (family, _), count in zip(FAMILIES, counts, strict=True)
        if count
    ]
