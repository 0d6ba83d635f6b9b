"""What is kept of a client's address: keyed hashes and what it belongs to, but not itself.

The hashes are equal where the addresses are, within a UTC day of the time of receipt, and tell
nothing once the day's salt is deleted. `docs/privacy.md` has the whole story.
"""

import asyncio
import functools
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from models.address import address_of, prefix_of_one
from models.networks import Networks
from pipeline.collector.operator_ranges import OperatorRanges
from pipeline.collector.salts import DAY_MS, Salts
from schemas.settings import Settings
from schemas.view import Network

_REFRESH_S = 20.0
_HURRY_S = 2.0
_CACHED = 16_384
_HASH_BYTES = 8


class Origin(NamedTuple):
    """What an event says of where it comes from; None where that is not known."""

    ip: str | None = None
    ip_hash: str | None = None
    ip_prefix_hash: str | None = None
    network: Network | None = None


_NOWHERE = Origin()


class _Day(NamedTuple):
    number: int
    salt: bytes | None
    origin_of: Callable[[str], Origin]


class Privacy:
    """Turns addresses into what may be kept of them."""

    def __init__(self, settings: Settings) -> None:
        """Knows no salts until `keep_fresh` or `refresh`; hashes are None until then.

        Raises:
            OSError, ValueError: as `pipeline.collector.salts.Salts`.
        """
        self._salts = None if settings.address_storage == "raw" else Salts(settings)
        self._networks = Networks.of_settings(settings)
        self._operator = OperatorRanges(settings)
        self._today = self._begin(0)

    def origin_of(self, address: str | None, now_ms: int) -> Origin:
        """What is kept of an address.

        Args:
            address: as text, of a client; anything else counts as not known.
            now_ms: when it was received, whose UTC day says which salt is taken.
        """
        if address is None:
            return _NOWHERE
        today = self._today
        if now_ms // DAY_MS != today.number:
            today = self._today = self._begin(now_ms // DAY_MS)
        return today.origin_of(address)

    async def refresh(self) -> None:
        """Fetches salts, and lists that have changed; never raises for what is missing."""
        if self._salts is not None:
            await self._salts.refresh()
        changed = await asyncio.to_thread(self._networks.reload)
        overruled = await self._operator.refresh()
        today = self._today
        if changed or overruled or today.salt != self._salt_of(today.number):
            self._today = self._begin(today.number)

    async def keep_fresh(self) -> None:
        """Refreshes again and again, until it is cancelled."""
        while True:
            await self.refresh()
            hurry = self._salts is not None and self._salts.missing
            await asyncio.sleep(_HURRY_S if hurry else _REFRESH_S)

    def _salt_of(self, day: int) -> bytes | None:
        return None if self._salts is None else self._salts.of_day(day)

    def _class_of(self, address: str) -> Network | None:
        return self._operator.class_of(address) or self._networks.class_of(address)

    def _begin(self, day: int) -> _Day:
        """A cache of its own for each salt: what it knows is gone with it."""
        salt = self._salt_of(day)
        make = functools.partial(_origin, self._class_of, salt, self._salts is None)
        return _Day(day, salt, functools.lru_cache(_CACHED)(make))


def _origin(
    class_of: Callable[[str], Network | None], salt: bytes | None, is_raw: bool, address: str
) -> Origin:
    number = address_of(address)
    if number == 0:
        return _NOWHERE
    network = class_of(address)
    if is_raw:
        return Origin(ip=address, network=network)
    if salt is None:
        return Origin(network=network)
    # The numbers that judging would make of the raw address: of IPv6 its /64.
    return Origin(
        ip_hash=_keyed_hash(salt, b"address", number),
        ip_prefix_hash=_keyed_hash(salt, b"prefix", prefix_of_one(number)),
        network=network,
    )


def _keyed_hash(salt: bytes, what: bytes, number: int) -> str:
    hashed = blake2b(number.to_bytes(8, "big"), digest_size=_HASH_BYTES, key=salt, person=what)
    return hashed.hexdigest()
