"""The clock that both `occurred_at` and `sent_at` are read from."""

import threading
import time


class Clock:
    """Milliseconds since 1970 UTC that never go back.

    The collector corrects a wrong clock by `sent_at`, so what counts is that both times of an
    event are of one clock: where the system's is set back, this one stands still.
    """

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """The present time."""
        with self._lock:
            self._last = max(self._last, wall_ms())
            return self._last


def wall_ms() -> int:
    """The system's clock, in milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000
