"""Quotas as buckets: N events per minute is a bucket of N that fills up at that rate.

A bucket is one number: when it will be full again (GCRA). A request takes from all of its buckets
or, where one has too little, from none. One that is bigger than a bucket takes from the full
one and leaves it in debt, so it is slowed down and never refused for ever.
"""

from collections import OrderedDict
from typing import NamedTuple

PERIOD_S = 60.0
_ROUNDING_S = 0.001
"""What sums of fractions may be off by: the last event of a bucket is not refused for it."""

SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local period = 60000000
local waits, key, arg = {}, 1, 1
for spend = 1, tonumber(ARGV[1]) do
  local events, buckets = tonumber(ARGV[arg + 1]), tonumber(ARGV[arg + 2])
  arg = arg + 2
  local wait, full = 0, {}
  for i = 1, buckets do
    local size = tonumber(ARGV[arg + i])
    full[i] = math.max(tonumber(redis.call('GET', KEYS[key + i - 1]) or 0), now)
    wait = math.max(wait, full[i] - now + (math.min(events, size) / size - 1) * period)
  end
  if wait < 1000 then wait = 0 end
  for i = 1, wait > 0 and 0 or buckets do
    local at = full[i] + events / tonumber(ARGV[arg + i]) * period
    redis.call('SET', KEYS[key + i - 1], string.format('%.0f', at),
               'PX', math.max(1, math.ceil((at - now) / 1000)))
  end
  waits[spend] = math.ceil(wait)
  key, arg = key + buckets, arg + buckets
end
return waits
"""
"""KEYS: the buckets of all spends. ARGV: how many spends, and of each its events, how many
buckets, and their sizes. Returns how many microseconds each has to wait; 0: it was taken."""


class Bucket(NamedTuple):
    """Where to take from. `name` is unique, `size` is in events, of a minute."""

    name: str
    size: int


class Spend(NamedTuple):
    """So many events out of each of these buckets."""

    buckets: tuple[Bucket, ...]
    events: int


class LocalBuckets:
    """What `SCRIPT` does, in the memory of this process, which stays bounded."""

    def __init__(self, most: int = 50_000) -> None:
        """Keeps the buckets that were used last; one that is forgotten is full again."""
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def spend(self, wanted: Spend, now_s: float) -> float:
        """Seconds to wait; 0: it was taken.

        Args:
            now_s: of any clock that does not go back.
        """
        wait, full = 0.0, []
        for name, size in wanted.buckets:
            at = max(self._full_at.get(name, 0.0), now_s)
            if name in self._full_at:
                self._full_at.move_to_end(name)
            full.append(at)
            wait = max(wait, at - now_s + (min(wanted.events, size) / size - 1) * PERIOD_S)
        if wait < _ROUNDING_S:
            wait = 0.0
            for (name, size), at in zip(wanted.buckets, full, strict=True):
                self._full_at[name] = at + wanted.events / size * PERIOD_S
            while len(self._full_at) > self._most:
                self._full_at.popitem(last=False)
        return wait

    def clear(self) -> None:
        """All buckets are full again."""
        self._full_at.clear()
