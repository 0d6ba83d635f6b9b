"""What is remembered of the entities of a family, in the memory of this process."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from models.engine.families import Family
from models.engine.state import NEVER, States, Summaries, forgotten, merge, state_type
from models.hashing import Keys
from models.index import KeyIndex

Ints = npt.NDArray[np.int64]


class LocalStore:
    """Entities of one family. Those that were not seen for `family.keep_ms` are forgotten when
    room is needed, so that memory follows the number of entities that are active."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._index = KeyIndex()
        self._states: States = np.zeros(256, state_type(family))
        self._watermark = NEVER

    def __len__(self) -> int:
        return len(self._index)

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self._index.nbytes + self._states.nbytes

    def exchange(self, keys: Keys, summaries: Summaries) -> States:
        """Merges what a block says of e distinct entities; what was known before, [e], zeros for
        those that were not known or are forgotten.

        This is all that a store has to do, wherever it is.
        """
        if not len(keys):
            return np.zeros(0, self._states.dtype)
        rows = self._rows_of(keys)
        old = _words(self._states).take(rows, axis=0).view(self._states.dtype)[:, 0]
        old = forgotten(self.family, old, summaries["begin"])
        _words(self._states)[rows] = _words(merge(self.family, old, summaries))
        self._watermark = max(self._watermark, int(summaries["seen"].max()))
        return old

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The memory as plain arrays, without what is forgotten; `from_arrays` reads them."""
        self._forget()
        watermark = np.array([self._watermark], np.int64)
        states = _words(self._states)[: len(self)].copy()
        return {"keys": self._index.keys.copy(), "states": states, "watermark": watermark}

    @classmethod
    def from_arrays(cls, family: Family, arrays: Mapping[str, npt.NDArray[Any]]) -> "LocalStore":
        """The memory that `to_arrays` of a store of the same family gave."""
        store = cls(family)
        store._watermark = int(arrays["watermark"][0])
        store._index = KeyIndex(arrays["keys"])
        store._states = np.zeros(max(256, len(store)), store._states.dtype)
        _words(store._states)[: len(store)] = arrays["states"]
        return store

    def _rows_of(self, keys: Keys) -> Ints:
        rows = self._index.find(keys)
        missing = np.flatnonzero(rows < 0)
        if len(missing):
            if len(self) + len(missing) > len(self._states):
                self._forget()
                rows = self._index.find(keys)
                missing = np.flatnonzero(rows < 0)
                self._grow(len(self) + len(missing))
            rows[missing] = self._index.add(keys[missing])
        return rows

    def _forget(self) -> None:
        states = self._states[: len(self)]
        keep = self._watermark - states["seen"] <= self.family.keep_ms
        if not keep.all():
            kept = states[keep]
            self._index = KeyIndex(self._index.keys[keep])
            self._states[: len(kept)] = kept
            self._states[len(kept) :] = np.zeros((), self._states.dtype)

    def _grow(self, n: int) -> None:
        # Half of the room free after forgetting, or forgetting would come with every block.
        if 2 * n > len(self._states):
            bigger = np.zeros(2 * max(n, len(self._states)), self._states.dtype)
            bigger[: len(self)] = self._states[: len(self)]
            self._states = bigger


def _words(states: States) -> Ints:
    # numpy copies records field by field, and plain words at once.
    return states.view(np.int64).reshape(len(states), -1)
