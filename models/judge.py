"""The verdict: lists, view policy, model and what was not available, weighed in this order.

1. General invalid traffic is INVALID: lists and impossible values need no second opinion.
2. What the model scores at or above its threshold is INVALID.
3. What the view policy does not pay is UNQUALIFIED.
4. What could not be judged in full is HELD: unknown means hold, never pay.
5. Everything else is VALID.

1 and 3 hold whatever is unavailable, because nothing that is learned later pays such a view.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import structlog

from models.batch import Batch
from models.features import Matrix
from models.lists import Lists, ListsError, givt_reasons, load_lists
from models.registry import Model, ModelError, load_model
from schemas.verdicts import Reason, Verdict

log = structlog.get_logger()

Reasons = npt.NDArray[np.uint32]
_UNAVAILABLE = "unavailable"


class Judged(NamedTuple):
    """Of n views."""

    verdict: npt.NDArray[np.uint8]
    """`schemas.verdicts.Verdict`."""
    reasons: Reasons
    """Bits of `schemas.verdicts.Reason`; of all that speaks against a view, not only the first."""
    score: npt.NDArray[np.float32]
    """Probability of a bot; NaN where the model or what it needs was not available."""


class Judge:
    """Holds the model and the lists, or knows that one is missing."""

    def __init__(self, name: str) -> None:
        """Loads the model `name` of the registry. What cannot be loaded is logged, and holds
        views until a restart with it in place."""
        self._model: Model | None = None
        self._lists: Lists | None = None
        try:
            self._model = load_model(name)
        except ModelError as error:
            log.error("views are held: no model", why=str(error))
        try:
            self._lists = load_lists()
        except ListsError as error:
            log.error("views are held: no lists", why=str(error))

    @property
    def versions(self) -> dict[str, str]:
        """`model_version` and `lists_version`, as a block states them."""
        return {
            "model_version": _UNAVAILABLE if self._model is None else self._model.version,
            "lists_version": _UNAVAILABLE if self._lists is None else self._lists.version,
        }

    def judge(
        self, batch: Batch, features: Matrix, policy: Reasons, *, velocity_up: bool
    ) -> Judged:
        """The verdicts on n views.

        Args:
            batch: the views.
            features: float64[n, F] of `models.features.assemble`.
            policy: uint32[n], bits of `Reason` that the view policy gives.
            velocity_up: whether the features have the shared counters in them.
        """
        givt = None if self._lists is None else givt_reasons(self._lists, batch)
        score, threshold = None, 1.0
        if self._model is not None and velocity_up:
            score, threshold = self._model.predict(features), self._model.threshold
        missing = 0 if self._model is not None else Reason.MODEL_UNAVAILABLE.bit
        missing |= 0 if velocity_up else Reason.VELOCITY_UNAVAILABLE.bit
        missing |= 0 if givt is not None else Reason.LISTS_UNAVAILABLE.bit
        return weigh(policy, givt, score, threshold, missing)


def weigh(
    policy: Reasons,
    givt: Reasons | None,
    score: npt.NDArray[np.float32] | None,
    threshold: float,
    missing: int,
) -> Judged:
    """Combines what is known of n views into verdicts.

    Args:
        policy: uint32[n], bits of the view policy.
        givt: uint32[n], bits of general invalid traffic, or None.
        score: float32[n], probability of a bot, or None.
        threshold: the score from which on a view is a bot's.
        missing: bits of what was not available.
    """
    n = len(policy)
    invalid = np.zeros(n, np.uint32) if givt is None else givt
    if score is not None:
        flagged = (score >= threshold).astype(np.uint32)
        invalid = invalid | flagged * np.uint32(Reason.MODEL_SCORE.bit)
    verdict = np.full(n, Verdict.HELD if missing else Verdict.VALID, np.uint8)
    verdict[policy != 0] = Verdict.UNQUALIFIED
    verdict[invalid != 0] = Verdict.INVALID
    reasons = policy | invalid | np.uint32(missing)
    return Judged(verdict, reasons, np.full(n, np.nan, np.float32) if score is None else score)
