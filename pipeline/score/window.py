"""Which 16-byte digests were seen within the last hours: exact, bounded, 18 bytes per entry.

Serves the duplicate check (digests of event ids) and the repeat check of the view policy. Time
is log time, which the broker stamps. The newest entries are in a dict (the *open* part); when
it is full it is sealed into a *run*: digests as two uint64 columns, sorted by the first, and
the hour of each as uint16. Runs are merged so that each is at least twice the next: few to look
into.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_digest

HOUR_MS = 3_600_000
_OPEN_ROWS = 1 << 17
_RUN_ROWS = 1 << 15
"""So many at once come when a state is restored: they are a run of their own."""

Words = npt.NDArray[np.uint64]
Hours = npt.NDArray[np.uint16]
Run = tuple[Words, Words, Hours]


def digests(texts: Iterable[str]) -> list[bytes]:
    """The 16-byte XXH3 digest of each text."""
    return list(map(xxh3_128_digest, map(str.encode, texts)))


class Window:
    """The digests of the last `hours` hours of log time."""

    def __init__(self, hours: int) -> None:
        self.hours = hours
        self._open: dict[bytes, int] = {}
        self._runs: list[Run] = []
        self._now = 0

    def __len__(self) -> int:
        return len(self._open) + sum(len(hours) for _, _, hours in self._runs)

    @property
    def sealed_bytes(self) -> int:
        """Memory of the sealed runs."""
        return sum(column.nbytes for run in self._runs for column in run)

    def seen(self, found: list[bytes], log_time: int) -> npt.NDArray[np.bool_]:
        """For each digest, whether it is in the window at `log_time` (ms): bool, shape (n,)."""
        self._advance(log_time // HOUR_MS)
        n = len(found)
        opened = self._open
        seen = np.array([digest in opened for digest in found], np.bool_)
        if self._runs and n:
            high, low = _words(found)
            order = np.argsort(high)  # a sorted search walks the run once, not all over it
            for run in self._runs:
                seen[order] |= self._in_run(run, high[order], low[order])
        return seen

    def add(self, found: list[bytes], log_time: npt.NDArray[np.int64]) -> None:
        """Remembers digests with their log times (ms, int64, shape (n,))."""
        if not found:
            return
        hours = (log_time // HOUR_MS).astype(np.int64)
        self._advance(int(hours.max()))
        if len(found) >= _RUN_ROWS:
            self._append(found, hours)
            return
        self._open.update(zip(found, hours.tolist(), strict=True))
        if len(self._open) >= _OPEN_ROWS:
            self.seal()

    def seal(self) -> None:
        """Moves the open part into a run and drops what is too old."""
        if self._open:
            hours = np.fromiter(self._open.values(), np.int64, len(self._open))
            self._append(list(self._open), hours)
            self._open = {}
        oldest = self._runs[:1]
        if oldest and not self._fresh(oldest[0][2]).any():
            self._runs.pop(0)

    def _append(self, found: list[bytes], hours: npt.NDArray[np.int64]) -> None:
        high, low = _words(found)
        order = np.argsort(high)
        self._runs.append((high[order], low[order], (hours[order] & 0xFFFF).astype(np.uint16)))
        while len(self._runs) > 1 and len(self._runs[-2][0]) < 2 * len(self._runs[-1][0]):
            self._runs.append(self._merge(self._runs.pop(), self._runs.pop()))

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """The whole window as three columns; `from_arrays` reads them back."""
        self.seal()
        merged = self._runs[0] if self._runs else _EMPTY
        for run in self._runs[1:]:
            merged = self._merge(merged, run)
        self._runs = [merged]
        return {
            "high": merged[0],
            "low": merged[1],
            "hours": merged[2],
            "now": np.array([self._now], np.int64),
        }

    @classmethod
    def from_arrays(cls, hours: int, arrays: Mapping[str, npt.NDArray[np.generic]]) -> "Window":
        """A window with the content that `to_arrays` gave."""
        window = cls(hours)
        window._now = int(arrays["now"][0])
        if len(arrays["high"]):
            window._runs = [(arrays["high"], arrays["low"], arrays["hours"])]  # type: ignore[list-item]
        return window

    def _advance(self, hour: int) -> None:
        # The open part is of one hour, so only runs need to know the age of their entries.
        if hour > self._now:
            self.seal()
            self._now = hour

    def _fresh(self, hours: Hours) -> npt.NDArray[np.bool_]:
        # Hours wrap at 65,536 (7 years), ages do not come near that.
        age = np.uint16(self._now & 0xFFFF) - hours
        return np.asarray(age <= self.hours)

    def _in_run(self, run: Run, high: Words, low: Words) -> npt.NDArray[np.bool_]:
        highs, lows, hours = run
        at = np.searchsorted(highs, high)
        found = np.zeros(len(high), np.bool_)
        candidates = np.flatnonzero(at < len(highs))
        # Entries that share their first 64 bits stand side by side: look at each of them.
        while len(candidates := candidates[highs[at[candidates]] == high[candidates]]):
            place = at[candidates]
            found[candidates] |= (lows[place] == low[candidates]) & self._fresh(hours[place])
            at[candidates] += 1
            candidates = candidates[at[candidates] < len(highs)]
        return found

    def _merge(self, one: Run, other: Run) -> Run:
        hours = np.concatenate((one[2], other[2]))
        fresh = self._fresh(hours)
        hours = hours[fresh]
        high = np.concatenate((one[0], other[0]))[fresh]
        low = np.concatenate((one[1], other[1]))[fresh]
        # Stable sorts of numpy are timsort on 64 bits: merging two sorted runs is linear.
        order = np.argsort(high, kind="stable")
        return high[order], low[order], hours[order]


_EMPTY: Run = (np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.uint16))


def _words(found: list[bytes]) -> tuple[Words, Words]:
    pairs = np.frombuffer(b"".join(found), ">u8").reshape(-1, 2).astype(np.uint64)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
