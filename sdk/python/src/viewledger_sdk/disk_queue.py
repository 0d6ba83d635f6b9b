"""Events that are not settled yet, in a file that survives the process."""

import ctypes
import logging
import os
import sqlite3
from collections import deque
from pathlib import Path
from weakref import WeakSet

from viewledger_sdk.errors import ConfigError, QueueLocked
from viewledger_sdk.queue import Item, batch_length, full

logger = logging.getLogger("viewledger_sdk")

_SCHEMA = """CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, event_id TEXT, data BLOB NOT NULL)"""
_open: "WeakSet[DiskQueue]" = WeakSet()


def _keep_for_ever() -> None:
    """In a forked child: to close a connection there would delete the log that its parent writes,
    and at its end Python closes what nobody holds.
    """
    for queue in _open:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(queue._db))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_for_ever)


class DiskQueue:
    """A bounded queue in an SQLite file.

    What `put` returned from survives kill -9; a power cut may cost the last moments. A batch
    that was under way when the process died is sent again by the next one: the ids are the same.
    """

    def __init__(self, path: Path, max_events: int) -> None:
        """Opens the queue, with what an earlier process left in it.

        Raises:
            QueueLocked: it is in use.
            ConfigError: the file cannot be made, or is something else.
        """
        self._max = max_events
        try:
            self._db = sqlite3.connect(
                path, timeout=0, isolation_level=None, check_same_thread=False
            )
        except sqlite3.OperationalError as error:
            raise ConfigError(f"the queue {str(path)!r} cannot be used: {error}") from None
        _open.add(self)
        try:
            # Held until the connection ends, however it ends: one process at a time.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("BEGIN EXCLUSIVE")
            self._db.execute(_SCHEMA)
            self._db.execute("COMMIT")
            count, last = self._db.execute(
                "SELECT count(*), coalesce(max(number), -1) FROM events"
            ).fetchone()
        except sqlite3.DatabaseError as error:
            self._db.close()
            if "locked" in str(error):
                raise QueueLocked(
                    f"the queue {str(path)!r} is in use by another client: give each process "
                    "a queue_path of its own"
                ) from None
            raise ConfigError(f"the queue {str(path)!r} cannot be used: {error}") from None
        self.waiting = self.unsettled = int(count)
        self.last = int(last)
        self._taken = -1
        self._settled: list[int] = []
        """What is settled, and still in the file."""

    def put(self, event_id: str | None, data: bytes) -> None:
        if self.unsettled >= self._max:
            raise full(self._max)
        number = self._db.execute(
            "INSERT INTO events (event_id, data) VALUES (?, ?)", (event_id, data)
        ).lastrowid
        assert number is not None
        self.last = number
        self.waiting += 1
        self.unsettled += 1

    def take(self, most: int) -> list[Item]:
        rows = self._db.execute(
            "SELECT number, event_id, data FROM events WHERE number > ? ORDER BY number LIMIT ?",
            (self._taken, most),
        )
        found = deque(Item(*row) for row in rows)
        items = [found.popleft() for _ in range(batch_length(found, most))]
        if items:
            self._taken = items[-1].number
            self.waiting -= len(items)
        return items

    def settle(self, items: list[Item]) -> None:
        self.unsettled -= len(items)
        self._settled += [item.number for item in items]
        self._forget()

    def _forget(self) -> None:
        try:
            self._db.execute("BEGIN")
            self._db.executemany(
                "DELETE FROM events WHERE number = ?", [(number,) for number in self._settled]
            )
            self._db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            # A full disk, such as. They go with the next ones; killed before, they are sent twice.
            logger.warning("the queue on disk cannot be written: %s", error)
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        else:
            self._settled.clear()

    def settled_up_to(self, number: int) -> bool:
        gone = sum(one <= number for one in self._settled)
        rows = self._db.execute(
            "SELECT 1 FROM events WHERE number <= ? LIMIT ?", (number, gone + 1)
        ).fetchall()
        return len(rows) <= gone

    def close(self) -> list[Item]:
        if self._settled:
            self._forget()
        self._db.close()
        return []
