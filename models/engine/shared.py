"""What all partitions remember together, in Redis: one round trip per block, and a breaker.

A hash for each family and stretch of time, with a field for each entity. A stretch is as long as
the family remembers: what is written goes to that of the entity's last view. What is looked for is
there, if another partition was there before, or in that of its first view in the block, or in the
one before; the older ones expire. What a block adds is counted at least once: a block that is
judged again after a crash is counted again. Like every count of events by time it is evidence for
a model, not money.
"""

import asyncio
import functools
import time
from collections.abc import Sequence
from importlib.resources import files
from itertools import islice, pairwise
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import structlog
from redis.exceptions import RedisError
from xxhash import xxh3_64_hexdigest

from models.engine.ask import Asked
from models.engine.families import Family
from models.engine.layout import layout_of, records_of
from models.engine.state import States, forgotten, state_type
from models.hashing import Keys
from models.redis_script import Call, RedisScript
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


class RedisShared:
    """In Redis; `Shared`."""

    def __init__(self, url: str, timeout_ms: int) -> None:
        """Connects on first use.

        Args:
            url: see `schemas.redis_url.RedisUrl`.
            timeout_ms: after which a block goes on without.
        """
        self._script = RedisScript(url, timeout_ms / 1000, _SCRIPT)
        self._failures = 0
        self._closed_until = 0.0

    async def exchange(self, asked: Sequence[Asked]) -> list[States] | None:
        """See `Shared.exchange`; None while Redis is down or slow."""
        if not any(len(one.summaries) for one in asked):
            return [_answer(one, b"") for one in asked]
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
        self._script.close()

    def _exchange(self, asked: Sequence[Asked]) -> list[States]:
        sent = [_sent(one) for one in asked]
        replies = iter(self._script.run([call for one in sent for call in one.calls]))
        return [
            _answer(one, b"".join(islice(replies, len(calls))), order)
            for one, (calls, order) in zip(asked, sent, strict=True)
        ]

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        VELOCITY_DOWN.set(1)
        log.warning("velocity failed", why=type(error).__name__, failures=self._failures)
        if self._failures >= _MOST_FAILURES:
            # Open; afterwards one failure opens it again (half-open).
            self._closed_until = time.monotonic() + _RETRY_S


class _Sent(NamedTuple):
    calls: list[Call]
    order: npt.NDArray[np.int64] | None
    """Of the entities, where it is not that of the block."""


@functools.cache
def _stem(family: Family) -> tuple[str, bytes]:
    """What the names of a family's hashes begin with, and its layout."""
    layout = msgspec.msgpack.encode(layout_of(family))
    # Families lie in different slots of a Cluster, all hashes of one family in the same.
    return f"viewledger:{{{'.'.join(family.of) or 'all'}}}:{xxh3_64_hexdigest(layout)[:8]}", layout


def _sent(asked: Asked) -> _Sent:
    family, summaries = asked.family, asked.summaries
    stem, layout = _stem(family)
    records, fields = _bytes(records_of(family, summaries)), _fields(asked.group.keys)
    stretches = np.stack([summaries["begin"], summaries["seen"]], 1) // family.keep_ms
    order, ends = None, [len(records)]
    if (stretches != stretches[:1]).any():
        _, which, sizes = np.unique(stretches, axis=0, return_inverse=True, return_counts=True)
        order, ends = np.argsort(which, kind="stable"), np.cumsum(sizes).tolist()
        records, fields, stretches = records[order], fields[order], stretches[order]
    calls: list[Call] = []
    for start, end in pairwise([0, *ends]):
        for low in range(start, end, _CHUNK):
            high = min(low + _CHUNK, end)
            begin, seen = stretches[low].tolist()
            looks = dict.fromkeys((seen, begin, begin - 1))
            names = [f"{stem}:{stretch}" for stretch in (seen, *looks)]
            entities = b"\xdc" + (high - low).to_bytes(2, "big") + fields[low:high].tobytes()
            calls.append((names, [layout, entities, records[low:high].tobytes()]))
    return _Sent(calls, order)


def _answer(asked: Asked, reply: bytes, order: npt.NDArray[np.int64] | None = None) -> States:
    known: States = np.frombuffer(reply, state_type(asked.family))
    if order is not None:
        in_order = np.empty_like(known)
        _bytes(in_order)[order] = _bytes(known)
        known = in_order
    return forgotten(asked.family, known, asked.summaries["begin"])


def _fields(keys: Keys) -> npt.NDArray[np.uint8]:
    fields = np.empty(len(keys), _FIELD)
    fields["tag"], fields["key"] = _BIN8, keys
    return _bytes(fields)


def _bytes(records: npt.NDArray[np.void]) -> npt.NDArray[np.uint8]:
    # numpy copies records field by field, and plain bytes at once.
    return records.view(np.uint8).reshape(len(records), records.itemsize)
