"""Quotas, in events, of keys and of client addresses: counted in Redis, for all collectors.

What comes in while Redis is asked goes with the next question, so there is one at a time, and
little to pay per request under load. While Redis is gone each collector counts for itself.
All buckets share a hash tag: a request takes from several or from none, and a Cluster does
that only within one slot.
"""

import asyncio
import hashlib
import socket
import time
from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import NamedTuple, Self

import structlog

from pipeline.collector.buckets import SCRIPT, Bucket, LocalBuckets, Spend
from pipeline.collector.keyring import Key
from pipeline.collector.seal_keys import collector_keys
from schemas.metrics import QUOTA_LOCAL
from schemas.redis_client import close_async, connect_async
from schemas.settings import Settings
from sinks.sealing import first_key

log = structlog.get_logger()

_RETRY_S = 3.0
_TURN = 500
"""Spends of one question: Redis answers nobody else while it runs a script."""
_NAMES = "viewledger:{quota}:"
_PROBE = Spend((Bucket(f"{_NAMES}probe", 10**9),), 1)
"""Writes, as a Redis that is full or a replica cannot."""


class _Waiting(NamedTuple):
    spend: Spend
    answer: asyncio.Future[float]


class Quota:
    """What may be spent. Belongs to the event loop it is first used in."""

    def __init__(self, settings: Settings, url: str) -> None:
        """See `connect`."""
        keys = collector_keys(settings)
        self._pepper = keys[first_key(keys)].get_secret_value()
        self._per_key = settings.key_events_per_minute
        self._per_address = settings.address_events_per_minute
        self._timeout_s = settings.redis_timeout_ms / 1000
        self._redis = connect_async(url, self._timeout_s)
        self._local = LocalBuckets()
        self._waiting: list[_Waiting] = []
        self._asking: asyncio.Task[None] | None = None
        self._healing: asyncio.Task[None] | None = None
        QUOTA_LOCAL.set(0)

    @classmethod
    def connect(cls, settings: Settings) -> Self:
        """Quotas of these settings; Redis is reached on first use.

        Raises:
            NotRunningError: no Redis is configured.
        """
        return cls(settings, settings.url("redis"))

    async def spend(self, key: Key, address: str | None, events: int) -> float | None:
        """Takes `events` from the quotas of a key and, if it is publishable, of an address.

        A request that is refused takes nothing. One that is bigger than a quota waits until
        nothing else is counted, and is then made up for by the ones after it.

        Returns:
            None if it may go on, else how many seconds to wait.
        """
        wanted = Spend(self._buckets(key, address), events)
        if self._healing is not None:
            return self._local.spend(wanted, time.monotonic()) or None
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(wanted, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_for_all())
        return await answer or None

    async def close(self) -> None:
        """Ends the connection to Redis; nothing may be spent afterwards."""
        for task in (self._asking, self._healing):
            if task is not None:
                task.cancel()
        await close_async(self._redis)

    def _buckets(self, key: Key, address: str | None) -> tuple[Bucket, ...]:
        of_key = Bucket(f"{_NAMES}key:{key.key_id}", key.events_per_minute or self._per_key)
        if key.kind == "secret" or address is None:
            return (of_key,)
        digest = hashlib.blake2b(_network(address), digest_size=12, key=self._pepper).hexdigest()
        return (of_key, Bucket(f"{_NAMES}address:{digest}", self._per_address))

    async def _ask_for_all(self) -> None:
        turn: list[_Waiting] = []
        try:
            while self._waiting:
                turn, self._waiting = self._waiting[:_TURN], self._waiting[_TURN:]
                waits = await self._ask([waiting.spend for waiting in turn])
                for waiting, wait in zip(turn, waits, strict=True):
                    if not waiting.answer.done():  # whoever asked may have been cancelled
                        waiting.answer.set_result(wait)
        finally:
            self._asking = None
            for waiting in turn + self._waiting:
                waiting.answer.cancel()  # does nothing to those that were answered

    async def _ask(self, spends: Sequence[Spend]) -> list[float]:
        if self._healing is None:
            try:
                return await self._ask_redis(spends)
            except Exception as error:  # whatever it is: no outage because of a quota
                log.warning("quotas are counted here: Redis is away", error=type(error).__name__)
                QUOTA_LOCAL.set(1)
                self._healing = asyncio.create_task(self._heal())
        now = time.monotonic()
        return [self._local.spend(spend, now) for spend in spends]

    async def _ask_redis(self, spends: Sequence[Spend]) -> list[float]:
        names = [bucket.name for spend in spends for bucket in spend.buckets]
        numbers: list[int] = [len(spends)]
        for spend in spends:
            numbers += (spend.events, len(spend.buckets))
            numbers += (bucket.size for bucket in spend.buckets)
        async with asyncio.timeout(self._timeout_s):
            # The script goes along: the server that is master today may not know it.
            micros: list[int] = await self._redis.eval(SCRIPT, len(names), *names, *numbers)
        return [each / 1e6 for each in micros]

    async def _heal(self) -> None:
        """Goes back to Redis as soon as it answers; nobody waits for this."""
        while True:
            await asyncio.sleep(_RETRY_S)
            try:
                await close_async(self._redis)  # another server may be master by now
                await self._ask_redis([_PROBE])
            except Exception as error:
                log.debug("Redis is still away", error=type(error).__name__)
                continue
            break
        log.info("quotas are counted in Redis again")
        QUOTA_LOCAL.set(0)
        self._local.clear()
        self._healing = None


def _network(address: str) -> bytes:
    """What counts as one client: an IPv4 address, or the /64 that an IPv6 client has for itself."""
    if ":" not in address:
        return socket.inet_pton(socket.AF_INET, address)
    ip = IPv6Address(address)
    return ip.packed[:8] if ip.ipv4_mapped is None else ip.ipv4_mapped.packed
