"""What is remembered of the entities that views are of, in plain Python: an object for each.

`models.engine` keeps the same in columns. Nothing is shared with other processes.
"""

import math
from collections.abc import Hashable

from models.engine.families import Family, families_of
from models.features import FEATURES


class Window:
    """Counts of two aligned buckets: the newest, and the share that is left of the one before."""

    __slots__ = ("earlier", "earlier_new", "end", "ms", "new", "views")

    def __init__(self, ms: int) -> None:
        self.ms = ms
        self.end = self.views = self.new = self.earlier = self.earlier_new = 0

    def count(self, time: int, is_new: bool) -> tuple[float, float]:
        """How many views there were before this one, and those of new viewers among them."""
        if time >= self.end:
            follows = time < self.end + self.ms
            self.earlier, self.earlier_new = (self.views, self.new) if follows else (0, 0)
            self.end, self.views, self.new = time - time % self.ms + self.ms, 0, 0
        views, new = self.views, self.new
        self.views, self.new = views + 1, new + is_new
        if not self.earlier:
            return views, new
        left = (self.end - time) / self.ms
        return views + self.earlier * left, new + self.earlier_new * left


class Distinct:
    """Which of 64 values there were in the newest bucket and in the one before it."""

    __slots__ = ("bits", "earlier", "end", "ms")

    def __init__(self, ms: int) -> None:
        self.ms = ms
        self.end = self.bits = self.earlier = 0

    def add(self, time: int, bit: int) -> int:
        """How many different ones there were before this one."""
        if time >= self.end:
            self.earlier = self.bits if time < self.end + self.ms else 0
            self.end, self.bits = time - time % self.ms + self.ms, 0
        found = (self.bits | self.earlier).bit_count()
        self.bits |= bit
        return found


class Life:
    """An entity, from its first view until it is forgotten."""

    __slots__ = ("first", "gap", "gaps", "keep_ms", "sets", "time", "until", "watches", "windows")

    def __init__(self, family: Family, time: int) -> None:
        self.first = self.time = time
        self.gap = math.nan
        """Seconds since the view before; NaN at the first."""
        self.until, self.keep_ms = 0, family.keep_ms
        """Log time at which it is forgotten."""
        self.gaps: tuple[float, ...] = ()
        self.watches: tuple[int, ...] = ()
        """The last ones, the newest at the end; for those who want them to fill in."""
        self.windows = tuple([Window(ms) for ms in family.windows])
        self.sets = tuple([Distinct(ms) for _, ms in family.distinct])

    @property
    def age(self) -> float:
        """Seconds since the first view; NaN at the first."""
        return math.nan if math.isnan(self.gap) else (self.time - self.first) / 1e3

    def count(self, is_new: bool) -> list[tuple[float, float]]:
        """See `Window.count`; for each window, the shortest first."""
        time = self.time
        return [window.count(time, is_new) for window in self.windows]


class Memory:
    """All entities by family, of the families that the features need."""

    def __init__(self) -> None:
        self._families = {family.name: family for family in families_of(FEATURES)}
        self._lives: dict[tuple[str, Hashable], Life] = {}
        self._seen = 0

    def at(self, log_time: int) -> None:
        """Brings the time by which entities are forgotten forward: a broker's clock may go back."""
        self._seen = max(self._seen, log_time)

    def see(self, family: str, entity: Hashable, viewed_at: int) -> Life:
        """The life of an entity, brought up to a view of it; a late one counts as now."""
        life = self._lives.get((family, entity))
        if life is None or self._seen > life.until:
            life = self._lives[family, entity] = Life(self._families[family], viewed_at)
        else:
            time = life.time
            if viewed_at > time:
                life.time = viewed_at
            life.gap = (life.time - time) / 1e3
        life.until = self._seen + life.keep_ms
        return life

    def count(self, family: str, entity: Hashable, viewed_at: int, is_new: bool) -> list[float]:
        """Views, and those of new viewers among them, of each window; NaN where there is no
        entity."""
        if not entity:
            return [math.nan] * (2 * len(self._families[family].windows))
        life = self.see(family, entity, viewed_at)
        found: list[float] = []
        for window in life.windows:
            found += window.count(life.time, is_new)
        return found
