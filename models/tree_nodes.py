"""Whether trees that were read from a file can be walked, and say something.

A file's digest says that it is the one of its card, not that somebody made it by training.
scikit-learn follows any node: out of bounds it reads memory that is not the tree's, and a leaf
that is no number makes scores that no threshold flags.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def check_boosted(estimator: Any, columns: int) -> None:
    """Checks the trees of a HistGradientBoostingClassifier of two classes.

    Args:
        estimator: what was read.
        columns: how many features it is asked with.

    Raises:
        Exception: it is none, or a tree leads out of its nodes or columns, or says nothing.
    """
    for (predictor,) in estimator._predictors:
        nodes = predictor.nodes
        inner = nodes["is_leaf"] == 0
        children = [nodes[side][inner].astype(np.int64) for side in ("left", "right")]
        check_tree(len(nodes), inner, children, nodes["feature_idx"][inner], columns)
        by_category = inner & (nodes["is_categorical"] != 0)
        if (nodes["bitset_idx"][by_category] >= len(predictor.raw_left_cat_bitsets)).any():
            raise ValueError("a tree leads out of its categories")
        if not np.isfinite(nodes["value"][~inner]).all():
            raise ValueError("a leaf is not a number")
    if not np.isfinite(estimator.decision_function(np.zeros((1, columns)))).all():
        raise ValueError("its scores are not numbers")


def check_tree(
    n: int,
    inner: npt.NDArray[np.bool_],
    children: Sequence[npt.NDArray[np.int64]],
    feature: npt.NDArray[Any],
    columns: int,
) -> None:
    """Checks that a tree leads downwards, to each node once, and asks for columns there are.

    Args:
        n: how many nodes it has.
        inner: which of them are no leaves, bool[n].
        children: of these the ones on the left, and those on the right.
        feature: what these ask for.
        columns: how many there are.

    Raises:
        ValueError: it does not.
    """
    rows, found = np.flatnonzero(inner), np.concatenate(children)
    down = all(((child > rows) & (child < n)).all() for child in children)
    if not n or not down or len(np.unique(found)) < len(found):
        raise ValueError("a tree leads out of its nodes or columns")
    if not ((feature >= 0) & (feature < columns)).all():
        raise ValueError("a tree leads out of its nodes or columns")
