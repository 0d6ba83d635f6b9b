"""One viewer may not flood the partition that all of its events go to.

Counted here and not in Redis: it guards Kafka and the scorers, where about right is enough.
"""

import time
from array import array
from collections.abc import Sequence

from pipeline.collector.incoming import Incoming

_MINUTE_S = 60.0
_SLOTS = 1 << 20
"""Shared by a hash that nobody can foresee: a flooding viewer shuts out one other in a million."""


class Flood:
    """Events per viewer within a minute, at this collector."""

    def __init__(self, events_per_minute: int) -> None:
        self._most = events_per_minute
        self._seen = _nothing()
        self._since = time.monotonic()

    def beyond(self, events: Sequence[Incoming]) -> list[bool]:
        """Which events are more than their viewer may send, one flag each; counts the others."""
        now = time.monotonic()
        if now - self._since > _MINUTE_S:
            self._seen, self._since = _nothing(), now
        seen, most = self._seen, self._most
        flags = []
        for event in events:
            slot = hash(event.viewer_id) % _SLOTS
            count = seen[slot]
            flags.append(count >= most)
            if count < most:
                seen[slot] = count + 1
        return flags


def _nothing() -> "array[int]":
    # No dict: its keys would be kept among what each request frees, and scatter what comes next.
    return array("Q", bytes(8 * _SLOTS))
