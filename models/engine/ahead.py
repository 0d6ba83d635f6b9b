"""What came after each view, for settlement: the same engine on time that runs backwards."""

import numpy as np
import numpy.typing as npt

from models.engine.engine import Engine
from models.engine.families import SECOND, SEEN_AHEAD
from models.engine.group import Columns
from models.engine.table import AHEAD

Matrix = npt.NDArray[np.float64]

_BLOCK_ROWS = 8_192


def look_ahead(columns: Columns) -> Matrix:
    """The features of `AHEAD` of n views in log order, float64[n, len(AHEAD)].

    Bounded: what came more than ten minutes (two windows of them at most, since windows slide by
    estimate) after a view does not change its features.
    """
    backwards = {name: column[::-1] for name, column in columns.items()}
    for name in ("time", "seen"):
        backwards[name] = -backwards[name]
    engine = Engine(columns, AHEAD)
    n = len(columns["time"])
    parts = [
        engine.observe({name: column[at : at + _BLOCK_ROWS] for name, column in backwards.items()})
        for at in range(0, max(n, 1), _BLOCK_ROWS)
    ]
    found = np.concatenate(parts)[::-1].copy()
    for i, feature in enumerate(AHEAD):
        if feature.aggregate == "seconds since":
            found[found[:, i] * SECOND > SEEN_AHEAD, i] = np.nan
    return found
