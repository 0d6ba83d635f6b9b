"""64-bit keys of entities: stable over processes and machines, as Redis and snapshots need.

Not `hash()`, which differs from process to process.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from xxhash import xxh3_64_intdigest

Keys = npt.NDArray[np.uint64]

_ODD = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)
_MEMO_ENTRIES = 1 << 17


class Memo(dict[str | None, int]):
    """A function of a string that is worked out once per string, with bounded memory.

    Made for columns with few distinct values: it is asked once per block and value. None is 0.
    """

    def __init__(self, function: Callable[[str], int]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, text: str | None) -> int:
        if len(self) >= _MEMO_ENTRIES:
            self.clear()  # cheaper than least-recently-used, and as good on skewed columns
        value = self[text] = 0 if text is None else self._function(text)
        return value

    def column(self, texts: pa.Array) -> Keys:
        """The values of a column of n strings, `words_of` them or not, uint64[n]."""
        encoded = words_of(texts)
        distinct = encoded.dictionary.to_pylist()
        values = np.fromiter(map(self.__getitem__, distinct), np.uint64, len(distinct))
        column: Keys = values[encoded.indices.to_numpy()]
        return column


def words_of(texts: pa.Array) -> pa.DictionaryArray:
    """A column of n strings by its distinct ones, of which null is one: asked for again, faster."""
    if isinstance(texts, pa.DictionaryArray):
        return texts
    return texts.dictionary_encode(null_encoding="encode")


def text_key(text: str) -> int:
    """The key of one string."""
    return xxh3_64_intdigest(text.encode())


def text_keys(texts: pa.Array | pa.ChunkedArray) -> Keys:
    """The keys of a column of n strings that seldom repeat, uint64[n]."""
    encoded = texts.cast(pa.binary()).to_pylist()
    return np.fromiter(map(xxh3_64_intdigest, encoded), np.uint64, len(encoded))


def combine(*columns: npt.NDArray[Any] | int) -> Keys:
    """One key per row from several integer columns (or scalars), uint64[n]; order matters."""
    key = np.zeros(1, np.uint64)
    for column in columns:
        value = np.asarray(column).astype(np.uint64, copy=False)
        key = (key ^ value) * _ODD
        key = key ^ (key >> _SHIFT)
    return key * _ODD
