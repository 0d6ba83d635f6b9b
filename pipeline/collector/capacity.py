"""How much may be under way at once: beyond it the collector sheds, before it swells."""

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.collector.problems import ProblemError
from schemas.metrics import COLLECTOR_BYTES

_RETRY_S = 1.0


class Capacity:
    """Counts the bytes of the bodies that are held."""

    def __init__(self, most_bytes: int) -> None:
        self.most = most_bytes
        self.held = 0

    @property
    def full(self) -> bool:
        """Whether the next request would be shed."""
        return self.held >= self.most

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Holds `size` bytes while it is entered.

        Raises:
            ProblemError: 503, there is no room for them.
        """
        if self.held + size > self.most:
            raise ProblemError(
                503,
                "overloaded",
                "too much is under way; nothing of this request was accepted",
                retry_after_s=_RETRY_S,
            )
        self.held += size
        COLLECTOR_BYTES.set(self.held)
        try:
            yield
        finally:
            self.held -= size
            COLLECTOR_BYTES.set(self.held)
