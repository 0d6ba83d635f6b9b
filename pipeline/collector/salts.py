"""The salts of the day, shared by all collectors through Postgres and kept ahead of need."""

import asyncio
import time
from collections.abc import Mapping
from datetime import date, timedelta

import psycopg
import structlog

from pipeline.collector.seal_keys import collector_keys
from schemas.metrics import SALT_MISSING
from schemas.settings import NotRunningError, Settings
from sinks.address_salts import obtain_salts
from sinks.postgres import connect
from sinks.sealing import SealError

log = structlog.get_logger()

DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)
_TROUBLE = (psycopg.Error, NotRunningError, SealError)


class Salts:
    """The salts that a collector has. While Postgres is away it goes on with them."""

    def __init__(self, settings: Settings) -> None:
        """Holds nothing until `refresh`.

        Raises:
            OSError: the data folder, where the sealing keys are kept, cannot be written.
            ValueError: what is kept there is no key.
        """
        self._settings, self._seal_keys = settings, collector_keys(settings)
        self._by_day: Mapping[int, bytes] = {}
        self._in_trouble = False
        self.missing = True
        """Whether there was none for today at the last refresh."""

    def of_day(self, day: int) -> bytes | None:
        """The salt of a UTC day, counted from 1970; None where there is none."""
        return self._by_day.get(day)

    async def refresh(self, now_ms: int | None = None) -> None:
        """Fetches the salts of today and tomorrow, and forgets all before yesterday's.

        Without Postgres, or without the key that they are sealed with, it keeps what it has: a
        warning says so once, and a metric when there is none for today.
        """
        today = (time.time_ns() // 1_000_000 if now_ms is None else now_ms) // DAY_MS
        kept = {day: salt for day, salt in self._by_day.items() if day >= today - 1}
        try:
            kept |= await asyncio.to_thread(self._obtain, today)
        except _TROUBLE as error:
            if not self._in_trouble:
                log.warning("salts of addresses are not fresh", error=str(error), has=len(kept))
            self._in_trouble = True
        else:
            if self._in_trouble:
                log.info("salts of addresses are fresh again")
            self._in_trouble = False
        self._by_day = kept
        self.missing = today not in kept
        SALT_MISSING.set(self.missing)

    def _obtain(self, today: int) -> dict[int, bytes]:
        days = [_EPOCH + timedelta(today), _EPOCH + timedelta(today + 1)]
        with connect(self._settings, "viewledger collector") as conn:
            found = obtain_salts(conn, self._seal_keys, days)
        return {(day - _EPOCH).days: salt for day, salt in found.items()}
