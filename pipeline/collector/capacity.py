"""How much may be under way at once: beyond it the collector sheds, before it swells."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipeline.collector.problems import ProblemError
from schemas.metrics import COLLECTOR_BYTES

_RETRY_S = 1.0
_SHARE = 4
REQUEST_BYTES = 16 * 1024
"""What a request takes beside its body."""


class Capacity:
    """Counts the bytes of the requests that are held."""

    def __init__(self, most_bytes: int) -> None:
        self.most = most_bytes
        self.held = 0
        self._by_key: Counter[str] = Counter()
        COLLECTOR_BYTES.set_function(lambda: self.held)

    @property
    def full(self) -> bool:
        """Whether the next request would be shed."""
        return self.held + REQUEST_BYTES > self.most

    @contextmanager
    def hold(
        self, size: int, key_id: str | None = None, to_come: int = 0
    ) -> Iterator[Callable[[int], None]]:
        """Holds `size` bytes while it is entered, and more as what it gives is called with them.

        Args:
            to_come: for which there must be room as well. It is not held: a promise costs its
                maker nothing, so it may keep nobody out.
            key_id: whose they are: no key has more than a quarter, and with what its requests
                hold besides a half, so that one whose events pile up leaves room for others.

        Raises:
            ProblemError: 503, there is no room for them; so does what it gives.
        """
        held = 0

        def grow(more: int, to_come: int = 0) -> None:
            nonlocal held
            if self.held + more + to_come > self.most:
                raise _overloaded("too much is under way")
            if key_id is not None and self._by_key[key_id] + more > self.most // _SHARE:
                raise _overloaded("too much of this key is under way")
            self._count(more, key_id)
            held += more

        grow(size, to_come)
        try:
            yield grow
        finally:
            self._count(-held, key_id)

    def _count(self, size: int, key_id: str | None) -> None:
        self.held += size
        if key_id is not None:
            self._by_key[key_id] += size
            if not self._by_key[key_id]:
                del self._by_key[key_id]


def _overloaded(what: str) -> ProblemError:
    detail = f"{what}; nothing of this request was accepted"
    return ProblemError(503, "overloaded", detail, retry_after_s=_RETRY_S)
