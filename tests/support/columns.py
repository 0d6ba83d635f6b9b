"""Blocks of the feature engine: few entities, many ties, late views, long pauses."""

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

Columns = dict[str, np.ndarray]

KEYS = ("viewer", "campaign", "promoter", "post", "ip", "prefix", "device", "user_agent")
_START = 1_767_571_510_000
_PAUSES_MS = (0, 0, 1, 700, 40_000, 700_000, 4_000_000, 50_000_000, 90_000_000)


@st.composite
def columns(draw: st.DrawFn, most: int = 60) -> Columns:
    """n rows in log order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, few = draw(st.integers(0, most)), draw(st.integers(1, 4))
    return draw_traffic(rng, n, few, busy=draw(st.integers(1, len(_PAUSES_MS))))


def draw_traffic(
    rng: np.random.Generator, rows: int, few: int, busy: int = len(_PAUSES_MS)
) -> Columns:
    """Rows in log order, of few entities of each kind, with the shortest `busy` pauses."""
    seen = _START + np.cumsum(rng.choice(_PAUSES_MS[:busy], rows))
    late = rng.choice([0, 0, 0, 5, 3_000, 2_000_000, 80_000_000], rows)
    found: Columns = {"time": seen - late, "seen": seen}
    for name in KEYS:
        found[name] = rng.integers(0, few + 1, rows).astype(np.uint64)
    found["viewer"] += np.uint64(1)
    found["watch_ms"] = rng.choice([0, 4_000, 4_003, 30_000], rows)
    found["watch_s"] = found["watch_ms"] / 1e3
    return found


def rows(columns: Columns, which: Any) -> Columns:
    """Some of the rows."""
    return {name: column[which] for name, column in columns.items()}


def cut(columns: Columns, at: list[int]) -> list[Columns]:
    """The rows as blocks that end at these rows."""
    edges = [0, *sorted(min(i, len(columns["time"])) for i in at), len(columns["time"])]
    return [rows(columns, slice(a, b)) for a, b in pairwise(edges)]


edges = st.lists(st.integers(0, 60), max_size=8)
