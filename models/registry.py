"""Models on disk: `registry/<name>/` with `model.skops`, `card.json` and `card.md`.

skops keeps a model as data, not as code: nothing in a file can run when it is loaded. The card
has the digest of the model and of the features it was trained on, and both have to match.
"""

import math
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import sklearn
import skops.io
from scipy.special import expit
from threadpoolctl import ThreadpoolController

from models.drift import Reference
from models.features import NAMES, Matrix, features_digest
from models.forest import Forest, forest_of
from models.tree_nodes import check_boosted

REGISTRY = Path(__file__).parent / "registry"

ONE_THREAD = ThreadpoolController()
"""A worker is one core, and on blocks of this size more threads only wait for each other."""

Calibration = tuple[float, float]
"""Slope and intercept: a view is a bot's with the probability sigmoid(slope × raw + intercept)."""

UNCALIBRATED: Calibration = (1.0, 0.0)

UNREADABLE = (OSError, ValueError, RecursionError, msgspec.MsgspecError)
"""What reading a card may raise; bytes that are no text are a ValueError."""

_TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]


class ModelError(Exception):
    """A model cannot be used; says why and what to do."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of a model, as `card.json` has it."""

    name: str
    version: str
    model_sha256: str = ""
    features_digest: str
    features: list[str]
    threshold: float
    """A view with this probability of a bot or more is invalid."""
    calibration: Calibration = UNCALIBRATED
    """From the raw score to the probability."""
    libraries: dict[str, str]
    data: dict[str, Any]
    metrics: dict[str, Any]
    reference: dict[str, Reference] = {}
    """How features and score were spread in training; empty in older cards."""


class Model(NamedTuple):
    """A model that is ready to judge."""

    card: Card
    estimator: Any
    """A fitted HistGradientBoostingClassifier of two classes."""
    forest: Forest | None
    """The same, faster; None if its trees are too large for that."""
    sha256: str = ""
    """Of its `card.json`, and so of all that it judges by: the card has that of `model.skops`."""

    @property
    def version(self) -> str:
        """The name that verdicts carry."""
        return self.card.version

    @property
    def threshold(self) -> float:
        """A view with this probability of a bot or more is invalid."""
        return self.card.threshold

    def predict(self, features: Matrix) -> npt.NDArray[np.float32]:
        """See `predict`."""
        if self.forest is None:
            return predict(self.estimator, features, self.card.calibration)
        return probability(self.forest.raw_scores(features), self.card.calibration)


def predict(
    estimator: Any, features: Matrix, calibration: Calibration = UNCALIBRATED
) -> npt.NDArray[np.float32]:
    """The probability that each of n views is a bot's, float32[n].

    Args:
        estimator: a fitted HistGradientBoostingClassifier of two classes.
        features: float64[n, F] of `models.features`, NaN allowed.
        calibration: of the card; that of `UNCALIBRATED` is scikit-learn's own probability.
    """
    return probability(raw_scores(estimator, features), calibration)


def raw_scores(estimator: Any, features: Matrix) -> npt.NDArray[np.float64]:
    """The log-odds of a bot before calibration, float64[n]; arguments as for `predict`."""
    if not len(features):
        return np.empty(0)
    with ONE_THREAD.limit(limits=1, user_api="openmp"):
        raw: npt.NDArray[np.float64] = estimator.decision_function(features)
    return raw


def probability(raw: npt.NDArray[np.float64], calibration: Calibration) -> npt.NDArray[np.float32]:
    """The probability of a bot by raw scores of n views, float32[n]."""
    slope, intercept = calibration
    found: npt.NDArray[np.float64] = expit(slope * raw + intercept)
    return found.astype(np.float32)


def is_model_folder(folder: Path) -> bool:
    """Whether there is such a folder.

    Raises:
        ModelError: nobody can tell: no rights, or storage that does not answer.
    """
    try:
        return folder.is_dir()
    except OSError as error:
        raise ModelError(f"model {folder.name!r}: {error}") from error


def load_model(name: str, registry: Path = REGISTRY) -> Model:
    """Loads a model of the registry.

    Raises:
        ModelError: it is not there, was changed, or does not fit these features or libraries.
    """
    folder = registry / name
    if not is_model_folder(folder):
        known = sorted(path.name for path in registry.glob("*") if path.is_dir())
        raise ModelError(f"no model {name!r}; there is {', '.join(known) or 'none'}")
    again = f"train it again with `viewledger models train --name {name}`"
    try:
        described = (folder / "card.json").read_bytes()
        card = msgspec.json.decode(described, type=Card)
        packed = (folder / "model.skops").read_bytes()
    except UNREADABLE as error:
        raise ModelError(f"model {name!r}: {error}; {again}") from error
    if sha256(packed).hexdigest() != card.model_sha256:
        raise ModelError(f"model {name!r}: model.skops is not the file of its card; {again}")
    if card.features_digest != features_digest() or card.features != list(NAMES):
        raise ModelError(f"model {name!r} was trained on other features than these; {again}")
    if card.libraries.get("scikit-learn") != sklearn.__version__:
        made = card.libraries.get("scikit-learn")
        raise ModelError(
            f"model {name!r} was made with scikit-learn {made}, here is {sklearn.__version__}; "
            f"install that one or {again}"
        )
    if not math.isfinite(card.threshold) or not 0 < card.threshold < 1:
        raise ModelError(f"model {name!r}: threshold {card.threshold} is not between 0 and 1")
    slope, intercept = card.calibration
    if not (math.isfinite(slope) and slope > 0 and math.isfinite(intercept)):
        raise ModelError(
            f"model {name!r}: calibration {card.calibration} is not a slope above 0 and an "
            f"intercept; {again}"
        )
    if any(len(one.shares) != len(one.edges) + 2 for one in card.reference.values()):
        raise ModelError(f"model {name!r}: its reference has not one share of each bin; {again}")
    try:
        estimator = skops.io.loads(packed, trusted=_TRUSTED)
        check_boosted(estimator, len(NAMES))
        forest = forest_of(estimator)
    except Exception as error:  # skops raises many kinds on a damaged file
        raise ModelError(f"model {name!r} cannot be loaded: {error}; {again}") from error
    return Model(card, estimator, forest, sha256(described).hexdigest())


def save_model(folder: Path, estimator: Any, card: Card, text: str) -> None:
    """Writes a model with its card (`card.model_sha256` is filled in) and `text` as card.md."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = skops.io.dumps(estimator, compression=8, compresslevel=9)
    card = msgspec.structs.replace(card, model_sha256=sha256(packed).hexdigest())
    (folder / "model.skops").write_bytes(packed)
    (folder / "card.json").write_bytes(msgspec.json.format(msgspec.json.encode(card)) + b"\n")
    (folder / "card.md").write_text(text)
