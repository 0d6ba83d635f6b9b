"""What all partitions remember together, in Redis: one round trip per block, and a breaker.

A hash for each family and stretch of time, with a field for each entity. A stretch is as long as
the family remembers: what is written goes to that of the entity's last view, what is looked for
is in that of its first view in the block or in the one before, and the older ones expire. What a
block adds is counted at least once: a block that is judged again after a crash is counted again.
Like every count of events by time it is evidence for a model, not money.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import redis
import structlog
from redis.exceptions import RedisError
from xxhash import xxh3_64_hexdigest

from models.engine.engine import Asked
from models.engine.families import Family
from models.engine.layout import layout_of, records_of, states_of
from models.engine.state import States, forgotten, state_type
from models.engine.store import LocalStore
from schemas.metrics import VELOCITY_DOWN

log = structlog.get_logger()

_SCRIPT = files("models.engine").joinpath("merge.lua").read_text()
_RETRY_S = 3.0
_MOST_FAILURES = 3
_CHUNK = 2_000
"""Entities in one run of the script: others wait for Redis meanwhile, and Lua can pass 8,000
values to a command."""
_FIELD = np.dtype([("tag", "u1"), ("key", ">u8")])
_BIN8 = 0xA8
"""msgpack's tag of a string of 8 bytes."""


class Shared(Protocol):
    """Where families are kept that are no viewer's."""

    async def exchange(self, asked: Sequence[Asked]) -> list[States] | None:
        """What was known of each entity of each family; None if that is not to be had."""


class LocalShared:
    """In the memory of this process, for training and tests."""

    def __init__(self) -> None:
        self._stores: dict[str, LocalStore] = {}

    async def exchange(self, asked: Sequence[Asked]) -> list[States]:
        """See `Shared.exchange`; always knows."""
        return [
            self._stores.setdefault(one.family.name, LocalStore(one.family)).exchange(
                one.group.keys, one.summaries
            )
            for one in asked
        ]


class RedisShared:
    """In Redis; `Shared`."""

    def __init__(self, url: str, timeout_ms: int) -> None:
        """Connects on first use.

        Args:
            url: redis(s)://user:password@host:port/0
            timeout_ms: after which a block goes on without.
        """
        timeout = timeout_ms / 1000
        # Retrying is the breaker's business: a block waits for one timeout at most.
        self._redis = redis.Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=None
        )
        self._script = self._redis.register_script(_SCRIPT)
        self._failures = 0
        self._closed_until = 0.0

    async def exchange(self, asked: Sequence[Asked]) -> list[States] | None:
        """See `Shared.exchange`; None while Redis is down or slow."""
        if time.monotonic() < self._closed_until:
            return None
        try:
            # In a thread: on the event loop the time of other partitions' blocks would
            # count as Redis being slow.
            found = await asyncio.to_thread(self._exchange, asked)
        except (RedisError, OSError) as error:
            self._failed(error)
            return None
        if self._failures:
            log.info("velocity is back")
        self._failures = 0
        VELOCITY_DOWN.set(0)
        return found

    async def close(self) -> None:
        """Closes the connections."""
        self._redis.close()

    def _exchange(self, asked: Sequence[Asked]) -> list[States]:
        calls = [call for one in asked for call in _calls(one)]
        pipe = self._redis.pipeline(transaction=False)
        for call in calls:
            self._script(keys=call.names, args=call.arguments, client=pipe)
        replies = iter(zip(calls, pipe.execute(), strict=True))
        return [_answers(one, replies) for one in asked]

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        VELOCITY_DOWN.set(1)
        log.warning("velocity failed", why=type(error).__name__, failures=self._failures)
        if self._failures >= _MOST_FAILURES:
            # Open; afterwards one failure opens it again (half-open).
            self._closed_until = time.monotonic() + _RETRY_S


class _Call(NamedTuple):
    names: list[str]
    arguments: list[bytes]
    places: npt.NDArray[np.int64]
    """Which of the family's entities."""


def _calls(asked: Asked) -> Iterator[_Call]:
    family, summaries = asked.family, asked.summaries
    records = records_of(family, summaries)
    fields = np.empty(len(records), _FIELD)
    fields["tag"], fields["key"] = _BIN8, asked.group.keys
    layout = layout_of(family)
    packed = msgspec.msgpack.encode(layout)
    stem = f"viewledger:{{{'.'.join(family.of) or 'all'}}}:{xxh3_64_hexdigest(packed)[:8]}"
    stretches = np.stack([summaries["begin"], summaries["seen"]], 1) // family.keep_ms
    if len(stretches) and (stretches == stretches[0]).all():
        parts = [np.arange(len(records))]
    else:
        _, which = np.unique(stretches, axis=0, return_inverse=True)
        parts = [np.flatnonzero(which == part) for part in range(which.max(initial=-1) + 1)]
    for part in parts:
        begin, seen = stretches[part[0]].tolist()
        names = [f"{stem}:{stretch}" for stretch in (seen, begin, begin - 1)]
        for low in range(0, len(part), _CHUNK):
            places = part[low : low + _CHUNK]
            entities = b"\xdc" + len(places).to_bytes(2, "big") + fields[places].tobytes()
            yield _Call(names, [packed, entities, records[places].tobytes()], places)


def _answers(asked: Asked, replies: Iterator[tuple[_Call, bytes]]) -> States:
    left = len(asked.summaries)
    known = np.zeros(left, state_type(asked.family))
    while left:
        call, reply = next(replies)
        known[call.places] = states_of(asked.family, reply)
        left -= len(call.places)
    return forgotten(asked.family, known, asked.summaries["begin"])
