"""The thresholds of the models that are at hand, by version."""

from pathlib import Path

from models.panel import load_named, model_names
from models.registry import ModelError


def known_thresholds(folder: Path | None) -> dict[str, float]:
    """Version → score from which on it takes a view for a bot's; what cannot be loaded is left out.

    Args:
        folder: where models are looked for beside those of the package.
    """
    found = {}
    for name in model_names(folder):
        try:
            model = load_named(name, folder)
        except ModelError:
            continue
        found[model.version] = model.threshold
    return found
