"""What rows do not have: ids from their content, and a watch time that is made up."""

import math
from collections import Counter

from xxhash import xxh3_64_intdigest, xxh3_128_hexdigest


def pseudonym(*parts: object) -> str:
    """32 hexadecimal digits that stand for `parts`."""
    return xxh3_128_hexdigest("\x1f".join(map(str, parts)).encode())


def event_id(content: str, seen: Counter[str]) -> str:
    """The id of a row: the same in every replay, another one for each identical row.

    Args:
        content: what makes the row.
        seen: how often each content came before; one Counter per reading of a file.
    """
    seen[content] += 1
    return pseudonym(content, seen[content])


def synthetic_watch(content: str) -> dict[str, int | float]:
    """Made-up `watch_ms`, `duration_ms`, `visible_pct`, the same for the same content."""
    seed = xxh3_64_intdigest(content.encode())
    duration_ms = 15_000 + seed % 45_000
    share = (seed >> 32) / 2**32
    watch_ms = min(duration_ms, int(500 - 9_000 * math.log(1 - share)))
    return {"watch_ms": watch_ms, "duration_ms": duration_ms, "visible_pct": 100}
