"""The day it is, for tests that must not begin before midnight and end after it."""

import time
from datetime import UTC, date, datetime, timedelta

_NEEDED = timedelta(seconds=20)


def today() -> date:
    """The UTC day; waits for the next one where little is left of it."""
    now = datetime.now(UTC)
    if (now + _NEEDED).date() > now.date():
        time.sleep(_NEEDED.total_seconds())
    return datetime.now(UTC).date()
