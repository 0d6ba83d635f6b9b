"""Models that rank events of other sources than views, on disk: `model.skops`, `card.json`,
`card.md`.

They have encodings and opinions that a stream does not, and say nothing of money; a scorer
refuses them. As with the models of views, nothing in a file can run when it is loaded.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import sklearn
import skops.io

from models.encodings import Encoding, Encodings
from models.engine.table import digest
from models.ensemble import Ensemble
from models.protocol import Fitted
from models.registry import UNREADABLE, Card, ModelError, save_model
from models.tree_nodes import check_boosted, check_tree

_TREE_LEAF = -1

ADAPTERS = ("talkingdata", "wikipedia")
"""Whose files they are of."""

_TRUSTED = [
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",  # nodes are checked below: scikit-learn follows any
]


class RankingModel(NamedTuple):
    """A model that is ready to rank."""

    card: Card
    fitted: Fitted

    @property
    def version(self) -> str:
        """The name that figures carry."""
        return self.card.version

    @property
    def adapter(self) -> str:
        """What kind of files it is of."""
        return str(self.card.data["source"])


def ranking_digest(adapter: str) -> str:
    """What `Card.features_digest` is of such a model."""
    return f"{adapter}-{digest()}"


def save_ranking_model(folder: Path, fitted: Fitted, card: Card, text: str) -> None:
    """Writes a model with its card."""
    ensemble, encodings = fitted.ensemble, fitted.encodings
    plain: dict[str, Any] = {
        "ensemble": list(ensemble),
        "which": fitted.which,
        "mode": fitted.mode,
    }
    if encodings:
        plain["base"] = encodings.base
        plain["fitted"] = [[list(of), *counts] for of, *counts in encodings.fitted]
    save_model(folder, plain, card, text)


def is_ranking_model(folder: Path) -> bool:
    """Whether the folder has a card, and it is one of these models."""
    try:
        card = msgspec.json.decode((folder / "card.json").read_bytes(), type=Card)
    except UNREADABLE:
        return False
    return card.data.get("source") in ADAPTERS


def load_ranking_model(folder: Path) -> RankingModel:
    """Loads what `save_ranking_model` wrote.

    Raises:
        ModelError: it is damaged, or was made of other features or by other libraries.
    """
    again = "train it again with `viewledger models train --data`"
    try:
        card = msgspec.json.decode((folder / "card.json").read_bytes(), type=Card)
        packed = (folder / "model.skops").read_bytes()
    except UNREADABLE as error:
        raise ModelError(f"{folder}: {error}; {again}") from error
    if card.features_digest != ranking_digest(card.data.get("source", "")):
        raise ModelError(f"{folder} was trained on other features than these; {again}")
    if sha256(packed).hexdigest() != card.model_sha256:
        raise ModelError(f"{folder}: model.skops is not the file of its card; {again}")
    if card.libraries.get("scikit-learn") != sklearn.__version__:
        raise ModelError(
            f"{folder} was made with scikit-learn {card.libraries.get('scikit-learn')}, here is "
            f"{sklearn.__version__}; install that one or {again}"
        )
    try:
        plain = skops.io.loads(packed, trusted=_TRUSTED)
        return RankingModel(card, _fitted(plain))
    except Exception as error:  # skops raises many kinds on a damaged file
        raise ModelError(f"{folder} cannot be loaded: {error}; {again}") from error


def _fitted(plain: dict[str, Any]) -> Fitted:
    encodings = None
    if "fitted" in plain:
        fitted = (Encoding(tuple(of), *counts) for of, *counts in plain["fitted"])
        encodings = Encodings(plain["base"], tuple(fitted))
    ensemble = Ensemble(*plain["ensemble"])
    _check_nodes(ensemble)
    return Fitted(ensemble, encodings, plain["which"], plain["mode"])


def _check_nodes(ensemble: Ensemble) -> None:
    for model in ensemble.boosted:
        check_boosted(model, len(ensemble.used))
    for member in ensemble.forest.estimators_ if ensemble.forest else ():
        tree = member.tree_
        inner = tree.children_left != _TREE_LEAF
        children = [side[inner] for side in (tree.children_left, tree.children_right)]
        check_tree(tree.node_count, inner, children, tree.feature[inner], len(ensemble.used))
