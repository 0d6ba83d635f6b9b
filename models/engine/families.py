"""What has to be remembered of each entity, as the table of features needs it."""

import functools
from typing import NamedTuple

from models.engine.table import Feature

Value = tuple[str, str, int]
"""What is asked of an entity: aggregate, its object (a column, or ""), and window in ms or k."""

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
DAY = 24 * HOUR
SEEN_AHEAD = 10 * MINUTE
_UNITS = {"min": MINUTE, "h": HOUR}
_GAPS = ("least gap", "mean gap", "spread of gaps", "entropy of gaps")
_TAIL = ("seconds since", "duration", *_GAPS)
_WATCH = ("change of watch", "spread of watch", "repeats of watch")


class Family(NamedTuple):
    """A kind of entity and what is remembered of one."""

    name: str
    of: tuple[str, ...]
    """Columns that make the entity; none for all traffic."""
    tail: int
    """How many of the last times are kept."""
    watches: int
    """How many of the last watch times are kept."""
    windows: tuple[int, ...]
    """ms; views are counted in each, and views of new viewers among them."""
    distinct: tuple[tuple[str, int], ...]
    """Column and window, ms, of what is counted once."""
    keep_ms: int
    """Forgotten after so long without a view."""
    values: tuple[Value, ...]
    """What features ask of it."""

    @property
    def counts_new(self) -> bool:
        """Whether views of new viewers are counted as well."""
        return any(kind == "new" for kind, _, _ in self.values)

    @property
    def local(self) -> bool:
        """Whether it follows the viewer, and so the partition."""
        return self.of[:1] == ("viewer",)


def length(window: str) -> int:
    """`10 min` in ms, `last 8` as 8, `-` as 0.

    Raises:
        ValueError: it is neither.
    """
    if window == "-":
        return 0
    first, second = window.split()
    return int(second) if first == "last" else int(first) * _UNITS[second]


@functools.cache
def needs(feature: Feature) -> tuple[tuple[str, Value], ...]:
    """The entities that a feature is made of, with what is asked of each, in the order in which
    `models.engine.derive` takes them.

    Raises:
        ValueError: nobody knows such an aggregate.
    """
    entity, n = feature.entity, length(feature.window)
    count, new = ("count", "", n), ("new", "", n)
    match feature.aggregate.split():
        case ["value"]:
            return ()
        case ["count"]:
            return ((entity, count),)
        case ["distinct", column]:
            return ((entity, ("distinct", column, n)),)
        case ["new", "share"]:
            return (entity, new), (entity, count)
        case ["share", "of", "all"]:
            return (entity, count), ("all", count)
        case ["excess", "of", "new"]:
            return (entity, new), (entity, count), ("all", new), ("all", count)
        case ["part", "of", whole]:
            return (entity, count), (whole, count)
        case ["lift", "of", one, "×", other]:
            return (entity, count), (one, count), (other, count), ("all", count)
        case ["age"]:
            return ((entity, ("age", "", n)),)
    if feature.aggregate in (*_TAIL, *_WATCH):
        return ((entity, (feature.aggregate, "", n)),)
    raise ValueError(f"feature {feature.name}: no aggregate {feature.aggregate!r}")


def families_of(features: tuple[Feature, ...]) -> tuple[Family, ...]:
    """The families that these features need, those of the viewer first."""
    asked: dict[str, dict[Value, None]] = {"viewer": {}}  # who is new is asked of it in any case
    for feature in features:
        for entity, value in needs(feature):
            asked.setdefault(entity, {})[value] = None
    families = [_family(entity, tuple(values)) for entity, values in asked.items()]
    return tuple(sorted(families, key=lambda family: not family.local))


def _family(entity: str, values: tuple[Value, ...]) -> Family:
    of = () if entity == "all" else tuple(entity.split(" × "))
    windows = sorted({n for kind, _, n in values if kind in ("count", "new")})
    distinct = [(column, n) for kind, column, n in values if kind == "distinct"]
    long = entity == "viewer" or any(kind in (*_TAIL, *_WATCH, "age") for kind, _, _ in values)
    longest = max([*windows, *(n for _, n in distinct)], default=0)
    return Family(
        name=entity,
        of=of,
        tail=max([1, *(n for kind, _, n in values if kind in _TAIL)]),
        watches=max([0, *(n for kind, _, n in values if kind in _WATCH)]),
        windows=tuple(windows),
        distinct=tuple(distinct),
        # Two windows later nothing is left of a count.
        keep_ms=max(longest, DAY) if long else 2 * longest if longest < DAY else DAY,
        values=values,
    )
