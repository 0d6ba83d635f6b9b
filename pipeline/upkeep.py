"""What keeps the ledger in order while `book` runs: sealing the chain, partitions made ahead."""

import threading
import time

import psycopg
import structlog

from schemas.settings import NotRunningError, Settings
from sinks.chain import seal
from sinks.postgres import Connection, connect

log = structlog.get_logger()

_DAY_S = 24 * 3600.0
_MONTHS_AHEAD = 3


def start(settings: Settings) -> threading.Event:
    """Starts the upkeep in a thread of its own, which ends with the process or with the event."""
    stop = threading.Event()
    threading.Thread(target=_run, args=(settings, stop), name="upkeep", daemon=True).start()
    return stop


def _run(settings: Settings, stop: threading.Event) -> None:
    made_at = -_DAY_S
    while True:
        try:
            with connect(settings, "viewledger-upkeep") as conn:
                if time.monotonic() - made_at >= _DAY_S:
                    make_partitions(conn)
                    made_at = time.monotonic()
                seal(conn)
        except (psycopg.Error, NotRunningError) as error:
            # Booking does not depend on it: the next turn tries again.
            log.warning("upkeep failed", error=f"{type(error).__name__}: {error}".strip())
        if stop.wait(settings.seal_seconds):
            return


def make_partitions(conn: Connection) -> int:
    """Makes the partitions of entries for this month and three more; returns how many."""
    row = conn.execute("SELECT make_entry_partitions(now(), %s)", (_MONTHS_AHEAD,)).fetchone()
    assert row is not None
    made: int = row[0]
    if made:
        log.info("partitions of entries made", partitions=made)
    return made
