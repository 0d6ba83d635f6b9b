"""Columns of features from what families say."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from models.engine.table import Feature

Floats = npt.NDArray[np.float64]


def derived(feature: Feature, known: Sequence[Floats]) -> Floats:
    """A feature of n rows, float64[n].

    Args:
        feature: one that is not of the view itself.
        known: the values that `models.engine.families.needs` names, float64[n] each.
    """
    # What is added keeps shares of little from saying much: 1 of 1 is less than 100 of 100.
    match feature.aggregate.split()[:2]:
        case ["share", _]:
            count, all_count = known
            return np.log2((count + 0.5) / (all_count + 50))
        case ["new", "share"]:
            new, count = known
            return (new + 1) / (count + 2)
        case ["excess", _]:
            new, count, all_new, all_count = known
            return (new + 2) / (count + 3) - (all_new + 2) / (all_count + 3)
        case ["part", _]:
            part, whole = known
            return (part + 0.5) / (whole + 2)
        case ["lift", _]:
            both, one, other, all_count = known
            return np.log2((both + 1) * (all_count + 50) / ((one + 5) * (other + 5)))
    (column,) = known
    return column
