"""Blocks of views in, features out."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.engine.ask import Asked, answered, ask, assembled
from models.engine.families import Value, families_of, needs
from models.engine.group import Columns
from models.engine.state import FAR, NEVER, WEEK, States
from models.engine.store import LocalStore
from models.engine.table import FEATURES, Feature

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float64]


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
        return {**columns, "seen": seen, "time": _near(columns["time"], seen)}

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


def _near(time: Ints, seen: Ints) -> Ints:
    """Times without the whole weeks that are too far from when it was seen: what is replayed after
    a month would wrap around into the next one, and everybody's windows would stand still."""
    off = time - seen
    far = np.abs(off) > FAR
    if not far.any():
        return time
    return np.where(far, seen + np.fmod(off, WEEK) + np.sign(off) * WEEK, time)


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
