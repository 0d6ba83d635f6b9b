"""The verdict: lists, view policy, model and what was not available, weighed in this order.

1. General invalid traffic is INVALID: lists and impossible values need no second opinion.
2. What the model scores at or above its threshold is INVALID.
3. What the view policy does not pay is UNQUALIFIED.
4. What could not be judged in full is HELD: unknown means hold, never pay.
5. Everything else is VALID.

1 and 3 hold whatever is unavailable, because nothing that is learned later pays such a view.
"""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import structlog

from models.batch import Batch
from models.drift import Drift
from models.features import Matrix, features_digest
from models.lists_in_use import ListsInUse
from models.networks import Networks
from models.panel import Panel, load_named, seat
from models.registry import Card
from schemas.block import FEATURES_KEY, Shadow
from schemas.chosen import Chosen
from schemas.metrics import DRIFT_PSI
from schemas.verdicts import Reason, Verdict

log = structlog.get_logger()

Reasons = npt.NDArray[np.uint32]
Scores = npt.NDArray[np.float32]
_UNAVAILABLE = "unavailable"
_AGAIN_S = 60.0
"""After so long, models that could not be loaded are tried again."""


class Judged(NamedTuple):
    """Of n views."""

    verdict: npt.NDArray[np.uint8]
    """`schemas.verdicts.Verdict`."""
    reasons: Reasons
    """Bits of `schemas.verdicts.Reason`; of all that speaks against a view, not only the first."""
    score: npt.NDArray[np.float32]
    """Probability of a bot; NaN where the model or what it needs was not available."""


def _drift_of(card: Card) -> Drift | None:
    if not card.reference:
        DRIFT_PSI.clear()  # what is there is of the model before
        log.warning("drift is not watched: the card has no reference", model=card.version)
        return None
    return Drift(card.features, card.reference)


class Watched(NamedTuple):
    """What shadows say of n views."""

    shadows: list[Shadow]
    scores: Scores | None
    """float32[n, shadows]; None where there are no shadows, or not what they need."""


class Judge:
    """Holds the models and the lists, or knows that one is missing."""

    def __init__(
        self, name: str, folder: Path | None = None, lists: ListsInUse | None = None
    ) -> None:
        """Loads the model `name`, which judges as long as none is promoted. What cannot be loaded
        is logged, and holds views until it is in place.

        Args:
            folder: where models are looked for before those of the package.
            lists: those that come with the package where there are none.
        """
        self.lists = lists or ListsInUse(Networks({}))
        self._panel = Panel(None)
        self._drift: Drift | None = None
        self._default, self._load = name, partial(load_named, folder=folder)
        self._features_digest = features_digest()
        self._turn = asyncio.Lock()
        self._take(Chosen(), seat(Chosen(), name, self._load, Panel(None)))

    def _take(self, chosen: Chosen, panel: Panel) -> None:
        before, champion = self._panel.champion, panel.champion
        self._chosen, self._panel, self._seated = chosen, panel, time.monotonic()
        # The default is loaded anew whenever a missing one is looked for.
        if champion is not None and (before is None or champion.sha256 != before.sha256):
            self._drift = _drift_of(champion.card)

    async def follow(self, chosen: Chosen) -> None:
        """Loads what is chosen, if it is not in place; called before each block.

        The block that finds a change waits for it; others go on with what they have.
        """
        while not self._follows(chosen):
            async with self._turn:
                if not self._follows(chosen):
                    chosen = max(chosen, self._chosen, key=lambda one: one.change)
                    load, panel = self._load, self._panel
                    panel = await asyncio.to_thread(seat, chosen, self._default, load, panel)
                    if panel[:2] != self._panel[:2]:
                        log.info("models", **panel.versions)
                    self._take(chosen, panel)

    def _follows(self, chosen: Chosen) -> bool:
        due = bool(self._panel.missing) and time.monotonic() - self._seated > _AGAIN_S
        # Blocks under way may have seen an older catalogue than the one that changed the models.
        return chosen.change <= self._chosen.change and not due

    @property
    def versions(self) -> dict[str, str]:
        """`model_version`, `lists_version` and `features_digest`, as a block states them."""
        champion = self._panel.champion
        return {
            "model_version": _UNAVAILABLE if champion is None else champion.version,
            "lists_version": self.lists.version or _UNAVAILABLE,
            FEATURES_KEY: self._features_digest,
        }

    def judge(
        self, batch: Batch, features: Matrix, policy: Reasons, *, velocity_up: bool
    ) -> Judged:
        """The verdicts on n views.

        Args:
            batch: the views.
            features: float64[n, F], the columns of `models.features`.
            policy: uint32[n], bits of `Reason` that the view policy gives.
            velocity_up: whether the features have the shared counters in them.
        """
        givt, listed = self.lists.reasons(batch)
        score, threshold, champion = None, 1.0, self._panel.champion
        if champion is not None and velocity_up:
            score, threshold = champion.predict(features), champion.threshold
            if self._drift is not None:
                self._drift.add(features, score)
        missing = 0 if champion is not None else Reason.MODEL_UNAVAILABLE.bit
        missing |= 0 if velocity_up else Reason.VELOCITY_UNAVAILABLE.bit
        missing |= 0 if listed else Reason.LISTS_UNAVAILABLE.bit
        return weigh(policy, givt, score, threshold, missing)

    def watch(self, features: Matrix, *, velocity_up: bool) -> Watched:
        """The scores of the shadows, which no verdict depends on.

        Args:
            features: as for `judge`.
            velocity_up: as for `judge`.
        """
        models = self._panel.shadows
        shadows = [Shadow(model.version, model.threshold) for model in models]
        if not models or not velocity_up:
            return Watched(shadows, None)
        return Watched(shadows, np.column_stack([model.predict(features) for model in models]))


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
