"""What was known of its entity before each row of a block."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.engine.families import SECOND, Family, Value
from models.engine.gaps import gap_values, lagged, repeats, spread
from models.engine.group import Columns, Group, forward
from models.engine.state import NEVER, States, absolute, last_time
from models.engine.summary import words_of
from models.engine.windows import Runs, counted, distinct, runs

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SAME_WATCH_MS = 16
"""Watch times this near are the same to a script with a little jitter."""
_WATCH_S = 0.25
_IN_WINDOWS = ("count", "new", "distinct")


class Known(NamedTuple):
    """What was known before m rows of l lives."""

    carried: States
    """Of each life before the block, [l]; zeros for lives that begin in it."""
    time: Ints
    """int64[m], ms; never goes back along a life."""
    had: Ints
    """Views in the life before each row, int64[m]."""


def known(group: Group, old: States) -> Known:
    """Sorts what was known of each entity before the block, [e], to the lives that go on."""
    carried = old
    if len(group.lives) > len(old):
        carried = np.zeros(len(group.lives), old.dtype)
        carried[group.opening] = old
    floor = np.where(carried["n"] > 0, last_time(carried), NEVER)
    time = forward(group.time, group.lives, group.life, floor)
    position = np.arange(len(group.rows)) - group.lives[group.life]
    return Known(carried, time, position + carried["n"][group.life])


def values(family: Family, group: Group, before: Known, columns: Columns) -> dict[Value, Floats]:
    """Everything that `family.values` asks for, float64[m] each; NaN where too little was known.

    Args:
        columns: of the block; see `models.engine.summary.summarise`.
    """
    result = _windows(family, group, before, columns)
    carried, lives, life = before.carried, group.lives, group.life
    rest = [(kind, n) for kind, _, n in family.values if kind not in (*_IN_WINDOWS, "age")]
    gaps = [(kind, n) for kind, n in rest if not kind.endswith("watch")]
    if gaps:
        times = absolute(carried["times"], carried["seen"])
        found = gap_values(gaps, before.time, times, before.had, lives, life)
        result |= {(kind, "", n): column for (kind, n), column in found.items()}
    for kind, _, n in family.values:
        if kind == "age":
            first = np.where(carried["n"] > 0, carried["first"], before.time[lives])
            age = (before.time - first[life]) / SECOND
            result[kind, "", n] = np.where(before.had > 0, age, np.nan)
        elif kind.endswith("watch"):
            result[kind, "", n] = _watches(kind, n, group, before, columns)
    return result


def last_watch(group: Group, before: Known, columns: Columns) -> Ints:
    """The watch time of the view before each row, int64[m], ms; -1 where there was none."""
    watch = columns["watch_ms"][group.rows]
    padded, place = lagged(watch, before.carried["watches"], group.lives, group.life)
    return np.where(before.had > 0, padded[place - 1], -1)


def _windows(family: Family, group: Group, before: Known, columns: Columns) -> dict[Value, Floats]:
    result: dict[Value, Floats] = {}
    carried = before.carried
    upto = {"count": np.arange(len(group.rows) + 1)}
    if family.counts_new:
        upto["new"] = np.append(0, np.cumsum(columns["new"][group.rows]))
    cuts: dict[int, Runs] = {}
    for value in family.values:
        kind, column, ms = value
        if kind not in _IN_WINDOWS:
            continue
        if ms not in cuts:
            cuts[ms] = runs(before.time, ms, group.lives, group.life, carried)
        if kind == "distinct":
            d = family.distinct.index((column, ms))
            words = words_of(columns[column][group.rows])
            sets = carried["bits"][:, d], carried["earlier_bits"][:, d]
            result[value] = distinct(cuts[ms], *sets, words)
        else:
            w, c = family.windows.index(ms), int(kind == "new")
            counts = carried["count"][:, w, c], carried["earlier"][:, w, c]
            result[value] = counted(cuts[ms], *counts, upto[kind])
    return result


def _watches(kind: str, k: int, group: Group, before: Known, columns: Columns) -> Floats:
    watch = columns["watch_ms"][group.rows]
    lives = before.had, group.lives, group.life
    if kind == "change of watch":
        last = last_watch(group, before, columns)
        return np.where(last >= 0, np.abs(watch - last) / SECOND, np.nan)
    watches = before.carried["watches"][:, -k:].astype(np.int64)
    if kind == "repeats of watch":
        return repeats(watch // SAME_WATCH_MS, watches // SAME_WATCH_MS, *lives)
    return spread(_log(watch), _log(watches), *lives)


def _log(watch: Ints) -> Floats:
    return np.log2(watch / SECOND + _WATCH_S)
