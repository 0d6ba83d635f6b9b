"""Blocks of views in, features out."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.engine.derive import derived
from models.engine.families import Family, Value, families_of, needs
from models.engine.group import Columns, Group, group
from models.engine.state import NEVER, States, Summaries
from models.engine.store import LocalStore
from models.engine.summary import summarise
from models.engine.table import FEATURES, Feature
from models.engine.values import SAME_WATCH_MS, known, last_watch, values
from models.hashing import combine

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


class Asked(NamedTuple):
    """What a block has for the store of one family."""

    family: Family
    group: Group
    summaries: Summaries
    """One record per key of `group.keys`."""


class Pending(NamedTuple):
    """A block between what its viewers say and what is shared with others."""

    columns: Columns
    found: dict[tuple[str, Value], Floats]
    asked: list[Asked]
    """For the stores of the shared families."""


class Engine:
    """The features of one stream of views.

    Values are the same for any split of the rows into blocks, and depend on earlier rows only.
    Families of viewers are remembered here, because a viewer's views are in one stream. The others
    are too with `observe`; a stream among several keeps them elsewhere, by `begin` and `finish`.
    """

    def __init__(self, columns: Collection[str], features: tuple[Feature, ...] = FEATURES) -> None:
        """Starts without any memory.

        Args:
            columns: those that blocks have; features of others are NaN, and nothing is
                remembered for them.
            features: the columns of the matrices.
        """
        self.features = features
        given = {*columns, "sequence"} if "watch_ms" in columns else {*columns}
        self.families = tuple(
            family
            for family in families_of(tuple(f for f in features if _possible(f, given)))
            if given.issuperset(family.of)
        )
        self._stores = {family.name: LocalStore(family) for family in self.families}
        self._seen = NEVER

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return sum(store.nbytes for store in self._stores.values())

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Entities that are remembered, and bytes, by family."""
        return {name: (len(store), store.nbytes) for name, store in self._stores.items()}

    def observe(self, columns: Columns) -> Matrix:
        """Takes n views in log order; their features float64[n, F], Fortran order."""
        pending = self.begin(columns)
        return self.finish(pending, [self._exchange(one) for one in pending.asked])

    def begin(self, columns: Columns) -> Pending:
        """Takes n views in log order into the memory of their viewers."""
        columns = self._forward(columns)
        found: dict[tuple[str, Value], Floats] = {}
        for asked in (ask(family, columns) for family in self.families if family.local):
            found |= answered(asked, self._exchange(asked), columns)
        shared = [ask(family, columns) for family in self.families if not family.local]
        return Pending(columns, found, shared)

    def finish(self, pending: Pending, old: Sequence[States] | None) -> Matrix:
        """The features of the block, float64[n, F], Fortran order.

        Args:
            pending: what `begin` gave.
            old: for each of `pending.asked` what was known before; None if that could not be
                asked, which makes the features of these families NaN.
        """
        columns, found = dict(pending.columns), dict(pending.found)
        for asked, known_before in zip(pending.asked if old else (), old or (), strict=True):
            found |= answered(asked, known_before, columns)
        return assembled(self.features, columns, found, len(columns["time"]))

    def remember(self, columns: Columns) -> None:
        """Takes n views into the memory of their viewers, without asking for features."""
        columns = self._forward(columns)
        for family in self.families:
            if family.local:
                self._exchange(ask(family, columns))

    def _forward(self, columns: Columns) -> dict[str, npt.NDArray[Any]]:
        # A broker's clock may step back: within a block or, just as well, between two.
        seen = np.maximum.accumulate(np.maximum(columns["seen"], self._seen))
        self._seen = int(seen[-1]) if len(seen) else self._seen
        return {**columns, "seen": seen}

    def _exchange(self, asked: Asked) -> States:
        return self._stores[asked.family.name].exchange(asked.group.keys, asked.summaries)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The memory as plain arrays; `load` reads them."""
        return {"seen": np.array([self._seen])} | {
            f"{family}/{name}": array
            for family, store in self._stores.items()
            for name, array in store.to_arrays().items()
        }

    def load(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Takes over the memory that `to_arrays` of an engine of the same features gave."""
        self._seen = int(arrays["seen"][0])
        for family in self.families:
            own = {
                name: arrays[f"{family.name}/{name}"] for name in ("keys", "states", "watermark")
            }
            self._stores[family.name] = LocalStore.from_arrays(family, own)


def ask(family: Family, columns: Columns) -> Asked:
    """Groups a block by a family's entity and sums up what it says of each."""
    rows = group(family, columns)
    return Asked(family, rows, summarise(family, rows, columns))


def answered(
    asked: Asked, old: States, columns: dict[str, npt.NDArray[Any]]
) -> dict[tuple[str, Value], Floats]:
    """What was known before each of n rows, float64[n] each, NaN where the entity is unknown.

    For viewers it also adds the columns `new` and, with watch times, `sequence`.
    """
    family, rows = asked.family, asked.group
    before = known(rows, old)
    n = len(columns["time"])
    if family.name == "viewer":
        new = np.zeros(n, np.bool_)
        new[rows.rows] = before.had == 0
        columns["new"] = new
        if family.watches:
            last = last_watch(rows, before, columns)
            watch = columns["watch_ms"][rows.rows]
            # From 1: the key of (0, 0) would be that of what is unknown.
            pair = combine(watch // SAME_WATCH_MS + 1, last // SAME_WATCH_MS)
            columns["sequence"] = np.zeros(n, np.uint64)
            columns["sequence"][rows.rows] = np.where(last >= 0, pair, np.uint64(0))
    return {
        (family.name, value): _back(column, rows, n)
        for value, column in values(family, rows, before, columns).items()
    }


def assembled(
    features: tuple[Feature, ...],
    columns: Columns,
    found: Mapping[tuple[str, Value], Floats],
    n: int,
) -> Matrix:
    """The features of n rows, float64[n, F], Fortran order; NaN where something is missing."""
    matrix = np.full((n, len(features)), np.nan, order="F")
    for i, feature in enumerate(features):
        wanted = needs(feature)
        if not wanted and feature.name in columns:
            matrix[:, i] = columns[feature.name]
        elif wanted and all(one in found for one in wanted):
            matrix[:, i] = derived(feature, [found[one] for one in wanted])
    return matrix


def _back(column: Floats, rows: Group, n: int) -> Floats:
    """From rows by entity to log order."""
    back = np.empty(n) if len(rows.rows) == n else np.full(n, np.nan)
    back[rows.rows] = column
    return back


def _possible(feature: Feature, given: Collection[str]) -> bool:
    columns = {
        name
        for entity, (kind, column, _) in needs(feature)
        for name in (
            *(() if entity == "all" else entity.split(" × ")),
            *((column,) if column else ()),
            *(("watch_ms",) if kind.endswith("watch") else ()),
        )
    }
    return columns.issubset(given)
