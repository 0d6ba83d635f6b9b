"""What views could earn, and at which threshold they do not."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.training import Examples, Scores


class Payments(NamedTuple):
    """What could be earned: of the views of a viewer, post and day, one is paid."""

    view: npt.NDArray[np.int64]
    """A view of each; int64[m]."""
    micros: npt.NDArray[np.float64]
    lowest: Scores
    """The lowest score of its views that lists and policy let through; infinite if none."""


def payments(examples: Examples, score: Scores) -> Payments:
    """What n views could earn if nobody were judged."""
    rows = np.flatnonzero(examples.policy == 0)
    counts = np.where(examples.givt[rows] == 0, score[rows], np.float32(np.inf))
    once = examples.once[rows]
    order = np.lexsort((counts, once))
    first = np.append(True, np.diff(once[order]) != 0) if len(rows) else np.empty(0, np.bool_)
    best = order[first]
    view = rows[best]
    return Payments(view, examples.rate_micros[view].astype(np.float64), counts[best])
