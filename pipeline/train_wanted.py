"""What every way of training has in common: what is wanted, and how it is saved."""

import platform
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn
import skops

from models.calibration import Trained
from models.card import card_text
from models.features import NAMES, features_digest
from models.registry import Card, save_model
from models.training import Examples


class Wanted(NamedTuple):
    """What to make."""

    name: str
    """Folder in the registry."""
    version: str
    """What verdicts call the model."""
    seed: int
    """The same gives the same model."""
    false_positive_rate: float
    """Share of people's payable validation views that may be flagged."""
    registry: Path
    """Folder of models."""
    hold_out: tuple[str, ...] = ()
    """Kinds of bots that the model is not shown."""


def save(card: Card, trained: Trained, registry: Path) -> None:
    """Writes model and card."""
    save_model(registry / card.name, trained.estimator, card, card_text(card))


def described(wanted: Wanted, trained: Trained) -> dict[str, Any]:
    """The fields of a card that say what the model is."""
    return {
        "name": wanted.name,
        "version": wanted.version,
        "features_digest": features_digest(),
        "features": list(NAMES),
        "threshold": trained.threshold,
        "calibration": trained.calibration,
        "libraries": libraries(),
    }


def libraries() -> dict[str, str]:
    """With which versions a model is made."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "skops": skops.__version__,
    }


def without(examples: Examples, kinds: tuple[str, ...]) -> Examples:
    """The views that are of none of some kinds."""
    return examples.where(~np.isin(examples.kind, kinds)) if kinds else examples
