"""One at a time looks at what views are by now, and corrects them."""

from collections.abc import Iterator
from contextlib import contextmanager

from sinks.postgres import Connection


@contextmanager
def judging(conn: Connection) -> Iterator[None]:
    """Nobody else judges views again or reviews any meanwhile; waits for whoever does.

    What a correction is decided on is read from ClickHouse, before the transaction that corrects.

    Args:
        conn: a connection that is in no transaction; the lock goes with it.
    """
    conn.execute("SELECT pg_advisory_lock(hashtext('viewledger judging'))")
    try:
        yield
    finally:
        if not conn.broken:
            conn.execute("SELECT pg_advisory_unlock(hashtext('viewledger judging'))")
