"""Small models in a folder, to be promoted and shadowed."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier

from models.drift import Reference
from models.features import NAMES, features_digest
from models.registry import Card, load_model, save_model
from schemas.chosen import Pin


def save_small(
    folder: Path,
    name: str,
    seed: int = 1,
    threshold: float = 0.5,
    reference: Mapping[str, Reference] = MappingProxyType({}),
) -> Pin:
    """Saves a model of its own, of three trees on random features, and pins its file."""
    rng = np.random.default_rng(seed)
    features = rng.gamma(1.0, 10.0, size=(600, len(NAMES)))
    features[rng.random(features.shape) < 0.1] = np.nan
    bot = np.nan_to_num(features[:, 0]) + rng.normal(0, 3, 600) < 8
    estimator = HistGradientBoostingClassifier(max_iter=3, max_leaf_nodes=8).fit(features, bot)
    card = Card(
        name=name,
        version=f"{name}-{seed}",
        features_digest=features_digest(),
        features=list(NAMES),
        threshold=threshold,
        libraries={"scikit-learn": sklearn.__version__},
        data={},
        metrics={},
        reference=dict(reference),
    )
    save_model(folder / name, estimator, card, "text")
    return Pin(name, load_model(name, folder).sha256)
