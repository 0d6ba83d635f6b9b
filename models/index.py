"""A hash index of uint64 keys in numpy: row numbers for millions of keys, 8,192 at a time.

Open addressing with linear probing. A dict of Python ints takes three times the memory and
the time.
"""

import numpy as np
import numpy.typing as npt

from models.hashing import Keys

Rows = npt.NDArray[np.int64]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = np.int32(-1)


class KeyIndex:
    """Key → row number, given out from 0 in the order of `add`. Keys are only ever added."""

    def __init__(self, keys: Keys | None = None) -> None:
        self._keys = np.empty(1024, np.uint64)
        self._slots = np.full(4096, _EMPTY)
        self._n = 0
        if keys is not None:
            self.add(keys)

    def __len__(self) -> int:
        return self._n

    @property
    def keys(self) -> Keys:
        """The keys by row number, uint64[len]."""
        return self._keys[: self._n]

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return self._keys.nbytes + self._slots.nbytes

    def find(self, keys: Keys) -> Rows:
        """Row numbers int64[n] of n keys, -1 where a key is not there."""
        rows = np.full(len(keys), -1, np.int64)
        slot = self._home(keys)
        pending = np.arange(len(keys))
        while len(pending):
            found = self._slots[slot]
            there = found >= 0
            match = there & (self._keys[found] == keys[pending])
            rows[pending[match]] = found[match]
            walk = there & ~match
            pending, slot = pending[walk], self._next(slot[walk])
        return rows

    def add(self, keys: Keys) -> Rows:
        """Adds n keys that differ and are not there yet; their row numbers, int64[n]."""
        rows = np.arange(self._n, self._n + len(keys))
        self._reserve(self._n + len(keys))
        self._keys[rows] = keys
        self._n += len(keys)
        self._place(rows)
        return rows

    def _home(self, keys: Keys) -> Rows:
        shift = np.uint64(65 - len(self._slots).bit_length())
        return ((keys * _ODD) >> shift).astype(np.int64)

    def _next(self, slot: Rows) -> Rows:
        return (slot + 1) & (len(self._slots) - 1)

    def _place(self, rows: Rows) -> None:
        slot = self._home(self._keys[rows])
        while len(rows):
            free = self._slots[slot] == _EMPTY
            # Of several rows that want a slot the last one gets it, the others walk on.
            self._slots[slot[free]] = rows[free]
            walk = self._slots[slot] != rows
            rows, slot = rows[walk], self._next(slot[walk])

    def _reserve(self, n: int) -> None:
        if n > len(self._keys):
            size = max(n, 2 * len(self._keys))
            self._keys = np.concatenate([self.keys, np.empty(size - self._n, np.uint64)])
        if 2 * n > len(self._slots):
            self._slots = np.full(1 << (4 * n - 1).bit_length(), _EMPTY)
            self._place(np.arange(self._n))
