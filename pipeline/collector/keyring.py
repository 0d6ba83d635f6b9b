"""The API keys that the collector lets in: all of Postgres, at most some seconds old."""

import asyncio
import math
import time
from collections.abc import Sequence

import psycopg
import structlog

from pipeline.collector.seal_keys import collector_keys
from schemas.api_key import Key as Key
from schemas.metrics import KEYRING_AGE
from schemas.settings import NotRunningError, Settings
from sinks.api_keys import LiveKeys, load_live
from sinks.postgres import connect

log = structlog.get_logger()

REFRESH_S = 2.0


class Keyring:
    """All keys. While Postgres is away it goes on with those it has."""

    def __init__(self, settings: Settings) -> None:
        """Holds nothing until `refresh`.

        Raises:
            OSError: the data folder, where the sealing keys are kept, cannot be written.
            ValueError: what is kept there is no key.
        """
        self._settings, self._seal_keys = settings, collector_keys(settings)
        self._secret: dict[str, Key] = {}
        self._publishable: dict[bytes, Key] = {}
        self._origins: frozenset[str] = frozenset()
        self._loaded_at = -math.inf
        self._unreadable: list[str] = []
        KEYRING_AGE.set_function(self.age_seconds)

    @property
    def loaded(self) -> bool:
        """Whether it knows the keys at all."""
        return self._loaded_at > -math.inf

    def age_seconds(self) -> float:
        """Since the keys were as in Postgres; infinite before they were loaded."""
        return time.monotonic() - self._loaded_at

    def origins(self) -> frozenset[str]:
        """Every origin of any publishable key."""
        return self._origins

    def secret(self, key_id: str) -> Key | None:
        """The secret key of this id."""
        return self._secret.get(key_id)

    def publishable(self, token_hash: bytes) -> Key | None:
        """The publishable key whose token has this SHA-256."""
        return self._publishable.get(token_hash)

    async def refresh(self) -> None:
        """Loads the keys.

        Raises:
            psycopg.Error: Postgres is away; the keys stay as they were.
            NotRunningError: no Postgres is configured.
        """
        started = time.monotonic()
        found = await asyncio.to_thread(self._load)
        self.hold(found.keys, started)
        if found.unreadable != self._unreadable:
            self._unreadable = found.unreadable
            if found.unreadable:
                log.error("API keys that do not open are not let in", keys=found.unreadable[:20])

    def hold(self, keys: Sequence[Key], as_of: float) -> None:
        """Lets in these keys and no others.

        Args:
            as_of: by the monotonic clock, when they were as in Postgres.
        """
        self._secret = {key.key_id: key for key in keys if key.kind == "secret"}
        self._publishable = {key.token_hash: key for key in keys if key.kind == "publishable"}
        self._origins = frozenset().union(*(key.origins for key in keys))
        self._loaded_at = as_of

    async def keep_fresh(self) -> None:
        """Loads the keys again and again, until it is cancelled."""
        away = False
        while True:
            try:
                await self.refresh()
            except (psycopg.Error, NotRunningError) as error:
                if not away:
                    log.warning("API keys stay as they are: Postgres is away", error=str(error))
                away = True
            else:
                if away:
                    log.info("API keys are fresh again")
                away = False
            await asyncio.sleep(REFRESH_S)

    def _load(self) -> LiveKeys:
        # A connection of its own: one that is kept could hang for as long as Postgres does.
        with connect(self._settings, "viewledger collector") as conn:
            return load_live(conn, self._seal_keys)
