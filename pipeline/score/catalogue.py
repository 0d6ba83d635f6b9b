"""The catalogue as a scorer sees it: at most a few seconds old, fresh before it says unknown."""

import asyncio
import time
from collections.abc import Collection

import psycopg
import structlog

from schemas.catalogue import Catalogue
from sinks.catalogue import catalogue_version, load_catalogue
from sinks.postgres import connect_url

log = structlog.get_logger()

_MAX_AGE_S = 5.0


class CatalogueCache:
    """Keeps a catalogue; Postgres may be away for a while once it is loaded."""

    def __init__(self, postgres: str) -> None:
        self._postgres = postgres
        self._catalogue: Catalogue | None = None
        self._checked = 0.0
        self._away = False
        self._connection: psycopg.Connection | None = None
        self._lock = asyncio.Lock()

    async def current(
        self, campaigns: Collection[str], promoters: Collection[str], since: float
    ) -> Catalogue:
        """A catalogue that is at most 5 s old, and newer than `since` if it lacks a given id.

        Waits for Postgres only as long as no catalogue was ever loaded.
        """
        async with self._lock:
            while self._catalogue is None:
                if not await self._refresh():
                    await asyncio.sleep(1)
            age = time.monotonic() - self._checked
            known = self._catalogue
            lacking = not (known.campaigns.keys() >= set(campaigns)) or not (
                known.promoters.keys() >= set(promoters)
            )
            # While Postgres is away, it is asked every few seconds, not for every block.
            if age > _MAX_AGE_S or (lacking and self._checked < since and not self._away):
                await self._refresh()
            return self._catalogue

    async def _refresh(self) -> bool:
        self._checked = time.monotonic()
        try:
            self._catalogue = await asyncio.to_thread(self._load)
        except psycopg.OperationalError as error:
            self._connection, self._away = None, True
            log.warning("catalogue not refreshed", why=type(error).__name__)
            return False
        self._away = False
        return True

    def _load(self) -> Catalogue:
        if self._connection is None or self._connection.closed:
            self._connection = connect_url(self._postgres, "viewledger-score")
        known = self._catalogue
        if known is not None and catalogue_version(self._connection) == known.version:
            return known
        return load_catalogue(self._connection)
