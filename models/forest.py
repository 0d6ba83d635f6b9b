"""A forest of small trees over many rows at once, several times as fast as walking each tree.

After QuickScorer (Lucchese et al., 2015): the leaves of a tree are numbered from left to
right. A split that sends a row to the right rules out the leaves on its left; the first leaf
that no split has ruled out is the row's. So every question that a forest asks is one
comparison of a whole column, however many trees ask it, and all else is done with the bits of
the answers, several trees at a time. The sums are bit by bit those of scikit-learn.
"""

from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

MAX_LEAVES = 64
_ROWS, _TREES = 8_192, 4
"""So many of a kind at once that what is in between stays in the processor's caches."""


class Question(NamedTuple):
    """Whether a row goes to the right: its feature is above the threshold."""

    missing_right: bool
    feature: int
    threshold: float


class Split(NamedTuple):
    """A question of a tree, and the leaves on the left of it as bits."""

    question: Question
    left: int


class Comparison(NamedTuple):
    """k questions about one feature."""

    feature: int
    thresholds: Floats
    """float64[k, 1]"""
    answers: slice
    """Where the answers go."""


class Forest(NamedTuple):
    """T trees of up to S splits and L leaves; what rows score is the sum of a leaf of each."""

    base: float
    """Added to the leaves."""
    missing_left: list[Comparison]
    """The first questions, those at which NaN goes to the left."""
    missing_right: list[Comparison]
    questions: int
    splits: Places
    """The question of each split, intp[T, S]."""
    left: npt.NDArray[np.unsignedinteger]
    """The leaves on the left of each split, as bits, [T, S, 1]."""
    leaves: Floats
    """From left to right, float64[T, L]."""

    def raw_scores(self, features: Floats) -> Floats:
        """The sums of n rows, float64[n].

        Args:
            features: float64[n, F], NaN allowed; Fortran order is faster.
        """
        columns = np.asfortranarray(features, np.float64).T
        total = np.full(len(features), self.base)
        for first in range(0, len(total), _ROWS):
            rows = slice(first, first + _ROWS)
            self._add(columns[:, rows], total[rows])
        return total

    def _add(self, columns: Floats, total: Floats) -> None:
        right = self._right(columns)
        trees, most = self.leaves.shape
        for first in range(0, trees, _TREES):
            some = slice(first, first + _TREES)
            ruled_out = np.bitwise_or.reduce(right.take(self.splits[some], 0) * self.left[some], 1)
            # One more than the number of ones below the lowest zero.
            place = np.bitwise_count(ruled_out ^ (ruled_out + 1))
            begin = np.arange(len(place)) * most - 1
            for leaf in self.leaves[some].take(place + begin[:, np.newaxis]):
                # In the order of the trees: sums of floats depend on it.
                total += leaf

    def _right(self, columns: Floats) -> npt.NDArray[np.uint8]:
        """Who goes to the right, 0 or 1 by question and row."""
        right = np.empty((self.questions, columns.shape[1]), np.bool_)
        for feature, thresholds, answers in self.missing_left:
            np.greater(columns[feature], thresholds, out=right[answers])
        for feature, thresholds, answers in self.missing_right:
            np.less_equal(columns[feature], thresholds, out=right[answers])
        if self.missing_right:
            # NaN makes every comparison false, so these were asked the other way round.
            asked_left = right[self.missing_right[0].answers.start :]
            np.logical_not(asked_left, out=asked_left)
        return right.view(np.uint8)


def forest_of(estimator: Any) -> Forest | None:
    """The trees of a fitted HistGradientBoostingClassifier of two classes; None if one of them
    has more than `MAX_LEAVES` leaves or splits by category."""
    nodes = [predictor.nodes for (predictor,) in estimator._predictors]
    most = max(int(tree["is_leaf"].sum()) for tree in nodes)
    if most > MAX_LEAVES or any(tree["is_categorical"].any() for tree in nodes):
        return None
    trees = [_tree(tree) for tree in nodes]
    questions = sorted({split.question for splits, _ in trees for split in splits})
    place = {question: i for i, question in enumerate(questions)}
    shape = len(trees), max(len(splits) for splits, _ in trees)
    # A split that is not there rules out no leaf.
    asked, left = np.zeros(shape, np.intp), np.zeros(shape, np.min_scalar_type((1 << most) - 1))
    leaves = np.zeros((len(trees), most))
    for i, (splits, values) in enumerate(trees):
        asked[i, : len(splits)] = [place[split.question] for split in splits]
        left[i, : len(splits)] = [split.left for split in splits]
        leaves[i, : len(values)] = values
    return Forest(
        float(estimator._baseline_prediction[0, 0]),
        _comparisons(questions, False),
        _comparisons(questions, True),
        len(questions),
        asked,
        left[:, :, np.newaxis],
        leaves,
    )


def _tree(nodes: npt.NDArray[np.void]) -> tuple[list[Split], list[float]]:
    """The splits of a tree, in any order, and the values of its leaves from left to right."""
    splits: list[Split] = []
    leaves: list[float] = []

    def below(row: int) -> int:
        node = nodes[row]
        if node["is_leaf"]:
            leaves.append(float(node["value"]))
            return 1 << (len(leaves) - 1)
        left, right = below(node["left"]), below(node["right"])
        question = Question(
            not node["missing_go_to_left"], int(node["feature_idx"]), float(node["num_threshold"])
        )
        splits.append(Split(question, left))
        return left | right

    below(0)
    return splits, leaves


def _comparisons(questions: list[Question], missing_right: bool) -> list[Comparison]:
    """Those of the sorted questions that treat NaN alike, by feature."""
    found = []
    for (missing, feature), group in groupby(enumerate(questions), key=lambda one: one[1][:2]):
        places, asked = zip(*group, strict=True)
        if missing == missing_right:
            thresholds = np.array([[question.threshold] for question in asked])
            found.append(Comparison(feature, thresholds, slice(places[0], places[-1] + 1)))
    return found
