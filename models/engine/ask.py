"""What a block asks of the memory of each family, and what the answers come to."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.engine.derive import derived
from models.engine.families import Family, Value, needs
from models.engine.group import Columns, Group, group
from models.engine.state import States, Summaries
from models.engine.summary import summarise
from models.engine.table import Feature
from models.engine.values import SAME_WATCH_MS, known, last_watch, values
from models.hashing import combine

Floats = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


class Asked(NamedTuple):
    """What a block has for the store of one family."""

    family: Family
    group: Group
    summaries: Summaries
    """One record per key of `group.keys`."""


def ask(family: Family, columns: Columns) -> Asked:
    """Groups a block by a family's entity and sums up what it says of each."""
    rows = group(family, columns)
    return Asked(family, rows, summarise(family, rows, columns))


def answered(
    asked: Asked, old: States, columns: dict[str, npt.NDArray[Any]]
) -> dict[tuple[str, Value], Floats]:
    """What was known before each of n rows, float64[n] each, NaN where the entity is unknown.

    For viewers it also adds the columns `new` and, with watch times, `sequence`.
    """
    family, rows = asked.family, asked.group
    before = known(rows, old)
    n = len(columns["time"])
    if family.name == "viewer":
        new = np.zeros(n, np.bool_)
        new[rows.rows] = before.had == 0
        columns["new"] = new
        if family.watches:
            last = last_watch(rows, before, columns)
            watch = columns["watch_ms"][rows.rows]
            # From 1: the key of (0, 0) would be that of what is unknown.
            pair = combine(watch // SAME_WATCH_MS + 1, last // SAME_WATCH_MS)
            columns["sequence"] = np.zeros(n, np.uint64)
            columns["sequence"][rows.rows] = np.where(last >= 0, pair, np.uint64(0))
    return {
        (family.name, value): _back(column, rows, n)
        for value, column in values(family, rows, before, columns).items()
    }


def assembled(
    features: tuple[Feature, ...],
    columns: Columns,
    found: Mapping[tuple[str, Value], Floats],
    n: int,
) -> Matrix:
    """The features of n rows, float64[n, F], Fortran order; NaN where something is missing."""
    matrix = np.full((n, len(features)), np.nan, order="F")
    for i, feature in enumerate(features):
        wanted = needs(feature)
        if not wanted and feature.name in columns:
            matrix[:, i] = columns[feature.name]
        elif wanted and all(one in found for one in wanted):
            matrix[:, i] = derived(feature, [found[one] for one in wanted])
    return matrix


def _back(column: Floats, rows: Group, n: int) -> Floats:
    """From rows by entity to log order."""
    back = np.empty(n) if len(rows.rows) == n else np.full(n, np.nan)
    back[rows.rows] = column
    return back
