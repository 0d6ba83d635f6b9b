"""The shared counters in Redis: one round trip per block, and a breaker for when it is down.

A hash per family and bucket, `viewledger:velocity:<family>:<bucket>`, with a field per entity
and 8 bytes per value (views, views of new viewers); it expires two windows after its last
use. Counting is at least once: a block that is judged again after a crash is counted again.
Like every count of events by time it is evidence for a model, not money.
"""

import asyncio
import time

import msgspec
import numpy as np
import numpy.typing as npt
import redis
import structlog
from redis.exceptions import RedisError

from models.counters import Asked, Counts
from models.features import FAMILIES
from schemas.metrics import VELOCITY_DOWN

log = structlog.get_logger()

_RETRY_S = 3.0
_MOST_FAILURES = 3
_CHUNK = 3_000
"""Lua can pass 8,000 values to a command, and HSET takes two per counter."""

# KEYS and ARGV would make 8,192 arguments of the fields; msgpack makes one string of them.
_SCRIPT = """
local zero = string.rep('\\0', 8)
local groups = cmsgpack.unpack(ARGV[1])
local reply = {}
for g, group in ipairs(groups) do
  local name, ttl = group[1], group[2]
  local fields = cmsgpack.unpack(ARGV[2 * g])
  local more = cmsgpack.unpack(ARGV[2 * g + 1])
  local before = redis.call('HMGET', name, unpack(fields))
  local pairs_, sums = {}, {}
  for i = 1, #fields do
    local was, by = before[i] or zero, more[i]
    before[i] = was
    local known = sums[by]
    if not known then known = {}; sums[by] = known end
    local now = known[was]
    if not now then
      local views, new = struct.unpack('<I4I4', was)
      now = struct.pack('<I4I4', views + by % 65536, new + math.floor(by / 65536))
      known[was] = now
    end
    pairs_[2 * i - 1], pairs_[2 * i] = fields[i], now
  end
  redis.call('HSET', name, unpack(pairs_))
  redis.call('PEXPIRE', name, ttl)
  reply[g] = table.concat(before)
end
return table.concat(reply)
"""

_FIELD = np.dtype([("tag", "u1"), ("key", ">u8")])
_NUMBER = np.dtype([("tag", "u1"), ("number", ">u4")])
_BIN8 = 0xA8
"""msgpack's tag of a string of 8 bytes."""
_UINT32 = 0xCE


class Velocity:
    """The counters of all partitions, in Redis; `models.counters.Counters`."""

    def __init__(self, url: str, timeout_ms: int) -> None:
        """Connects on first use.

        Args:
            url: redis(s)://user:password@host:port/0
            timeout_ms: after which a block goes on without counts.
        """
        timeout = timeout_ms / 1000
        # Retrying is the breaker's business: a block waits for one timeout at most.
        self._redis = redis.Redis.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=None
        )
        self._script = self._redis.register_script(_SCRIPT)
        self._failures = 0
        self._closed_until = 0.0

    async def add(self, asked: Asked, increments: Counts) -> Counts | None:
        """See `Counters.add`; None while Redis is down or slow."""
        if not len(asked.key):
            return np.empty((0, 2), np.uint32)
        if time.monotonic() < self._closed_until:
            return None
        try:
            # In a thread: on the event loop the time of other partitions' blocks would
            # count as Redis being slow.
            reply = await asyncio.to_thread(self._ask, _arguments(asked, increments))
        except (RedisError, OSError) as error:
            self._failed(error)
            return None
        if self._failures:
            log.info("velocity is back")
        self._failures = 0
        VELOCITY_DOWN.set(0)
        return np.frombuffer(reply, "<u4").reshape(-1, 2)

    async def close(self) -> None:
        """Closes the connections."""
        self._redis.close()

    def _ask(self, arguments: list[bytes]) -> bytes:
        reply: bytes = self._script(args=arguments)
        return reply

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        VELOCITY_DOWN.set(1)
        log.warning("velocity failed", why=type(error).__name__, failures=self._failures)
        if self._failures >= _MOST_FAILURES:
            # Open; afterwards one failure opens it again (half-open).
            self._closed_until = time.monotonic() + _RETRY_S


def _arguments(asked: Asked, increments: Counts) -> list[bytes]:
    fields = np.empty(len(asked.key), _FIELD)
    fields["tag"], fields["key"] = _BIN8, asked.key
    numbers = np.empty(len(asked.key), _NUMBER)
    numbers["tag"], numbers["number"] = _UINT32, increments[:, 0] + (increments[:, 1] << 16)
    group = (asked.family.astype(np.int64) << 16) | asked.bucket
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    stops = np.append(starts[1:], len(group))
    heads: list[tuple[str, int]] = []
    packed: list[bytes] = []
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        family = FAMILIES[asked.family[start]]
        head = (f"viewledger:velocity:{family.name}:{group[start] & 0xFFFF}", 2 * family.window_ms)
        for low in range(start, stop, _CHUNK):
            high = min(low + _CHUNK, stop)
            heads.append(head)
            packed += [_array(fields[low:high]), _array(numbers[low:high])]
    return [msgspec.msgpack.encode(heads), *packed]


def _array(items: npt.NDArray[np.void]) -> bytes:
    return b"\xdc" + len(items).to_bytes(2, "big") + items.tobytes()
