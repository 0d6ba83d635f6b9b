"""What is remembered of the entities that views are of, in plain Python: an object for each.

`models.engine` keeps the same in columns. Nothing is shared with other processes.
"""

import math
from collections.abc import Hashable

from models.engine.families import Family, families_of
from models.features import FEATURES


class Window:
    """Counts of two aligned buckets: the newest, and the share that is left of the one before."""

    __slots__ = ("bucket", "earlier", "earlier_new", "ms", "new", "views")

    def __init__(self, ms: int) -> None:
        self.ms = ms
        self.bucket = self.views = self.new = self.earlier = self.earlier_new = 0

    def count(self, time: int, is_new: bool) -> tuple[float, float]:
        """How many views there were before this one, and those of new viewers among them."""
        bucket, into = divmod(time, self.ms)
        if bucket != self.bucket:
            follows = bucket == self.bucket + 1
            self.earlier, self.earlier_new = (self.views, self.new) if follows else (0, 0)
            self.bucket, self.views, self.new = bucket, 0, 0
        left = 1 - into / self.ms
        found = self.views + self.earlier * left, self.new + self.earlier_new * left
        self.views += 1
        self.new += is_new
        return found


class Distinct:
    """Which of 64 values there were in the newest bucket and in the one before it."""

    __slots__ = ("bits", "bucket", "earlier", "ms")

    def __init__(self, ms: int) -> None:
        self.ms = ms
        self.bits = self.bucket = self.earlier = 0

    def add(self, time: int, bit: int) -> int:
        """How many different ones there were before this one."""
        bucket = time // self.ms
        if bucket != self.bucket:
            self.earlier = self.bits if bucket == self.bucket + 1 else 0
            self.bucket, self.bits = bucket, 0
        found = (self.bits | self.earlier).bit_count()
        self.bits |= bit
        return found


class Life:
    """An entity, from its first view until it is forgotten."""

    __slots__ = ("age", "first", "gap", "gaps", "seen", "sets", "time", "watches", "windows")

    def __init__(self, family: Family, time: int) -> None:
        self.first = self.time = time
        self.seen = 0
        """Log time of the last view."""
        self.gap = self.age = math.nan
        """Seconds since the view before and since the first; NaN at the first."""
        self.gaps: tuple[float, ...] = ()
        self.watches: tuple[int, ...] = ()
        """The last ones, the newest at the end; for those who want them to fill in."""
        self.windows = [Window(ms) for ms in family.windows]
        self.sets = [Distinct(ms) for _, ms in family.distinct]

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
        if life is None or self._seen - life.seen > self._families[family].keep_ms:
            life = Life(self._families[family], viewed_at)
            self._lives[family, entity] = life
        else:
            time = max(viewed_at, life.time)
            life.gap, life.age = (time - life.time) / 1e3, (time - life.first) / 1e3
            life.time = time
        life.seen = self._seen
        return life

    def count(self, family: str, entity: Hashable, viewed_at: int, is_new: bool) -> list[float]:
        """Views, and those of new viewers among them, of each window; NaN where there is no
        entity."""
        if not entity:
            return [math.nan] * (2 * len(self._families[family].windows))
        return [n for pair in self.see(family, entity, viewed_at).count(is_new) for n in pair]
