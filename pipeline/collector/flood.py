"""One viewer may not flood the partition that all of its events go to.

Counted here and not in Redis: it guards Kafka and the scorers, where about right is enough.
"""

import time
from collections import Counter
from collections.abc import Sequence

from pipeline.collector.incoming import Incoming

_MINUTE_S = 60.0
_MOST_VIEWERS = 500_000


class Flood:
    """Events per viewer within a minute, at this collector."""

    def __init__(self, events_per_minute: int) -> None:
        self._most = events_per_minute
        self._seen: Counter[str] = Counter()
        self._since = 0.0

    def beyond(self, events: Sequence[Incoming]) -> list[bool]:
        """Which events are more than their viewer may send, one flag each; counts the others."""
        now = time.monotonic()
        if now - self._since > _MINUTE_S or len(self._seen) > _MOST_VIEWERS:
            self._seen.clear()
            self._since = now
        seen, most = self._seen, self._most
        viewers = [event.viewer_id for event in events]
        seen.update(viewers)  # counts them in C
        if max(map(seen.__getitem__, viewers), default=0) <= most:
            return [False] * len(viewers)
        seen.subtract(viewers)
        flags = []
        for viewer in viewers:
            count = seen[viewer]
            flags.append(count >= most)
            if count < most:
                seen[viewer] = count + 1
        return flags
