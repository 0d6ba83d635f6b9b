"""The models that sit over a block: the champion, whose score counts, and its shadows."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog

from models.registry import REGISTRY, Model, ModelError, is_model_folder, load_model
from schemas.chosen import Chosen, Pin
from schemas.metrics import MODELS, MODELS_MISSING

log = structlog.get_logger()

Load = Callable[[str], Model]


class Panel(NamedTuple):
    """Models that are ready to judge."""

    champion: Model | None
    """None: views are held."""
    shadows: tuple[Model, ...] = ()
    missing: tuple[str, ...] = ()
    """Why models that were asked for are not here."""

    @property
    def versions(self) -> dict[str, str | list[str]]:
        """Who sits here, for a log."""
        return {
            "champion": "none" if self.champion is None else self.champion.version,
            "shadows": [shadow.version for shadow in self.shadows],
        }


def load_named(name: str, folder: Path | None = None) -> Model:
    """Loads a model of the operator's folder, or else of those that come with the package.

    Raises:
        ModelError: it is in neither, was changed, or does not fit.
    """
    if folder is not None and is_model_folder(folder / name):
        return load_model(name, folder)
    return load_model(name, REGISTRY)


def model_names(folder: Path | None = None) -> list[str]:
    """The names of all models in the operator's folder and of those of the package."""
    folders = [REGISTRY] if folder is None else [folder, REGISTRY]
    return sorted({path.parent.name for each in folders for path in each.glob("*/card.json")})


def load_pinned(pin: Pin, load: Load) -> Model:
    """Loads the one file that is meant.

    Raises:
        ModelError: it cannot be loaded, or another file has taken its name.
    """
    model = load(pin.name)
    if model.sha256 != pin.sha256:
        raise ModelError(
            f"model {pin.name!r} is another file now ({model.sha256[:12]}…) than "
            f"the one chosen ({pin.sha256[:12]}…): put that one back, or choose the new one "
            f"with `viewledger models promote {pin.name}` or `models shadow add {pin.name}`"
        )
    return model


def seat(chosen: Chosen, default: str, load: Load, before: Panel) -> Panel:
    """The champion is the newest promoted model that can be loaded, or else the default.

    So all who cannot load the newest one agree on the one before it, whether they had it in
    memory or were started just now. Logs an error for each that cannot be loaded, and says what
    judges instead.

    Args:
        before: models that are in memory already; the same files are not loaded again.
    """
    here = {
        Pin(model.card.name, model.sha256): model
        for model in (*before.shadows, before.champion)
        if model is not None
    }
    missing: list[str] = []

    def found(pin: Pin) -> Model | None:
        try:
            return here.get(pin) or load_pinned(pin, load)
        except ModelError as error:
            missing.append(str(error))
            return None

    champion = next(filter(None, map(found, chosen.champions)), None)
    if champion is None:
        try:
            champion = load(default)
        except ModelError as error:
            missing.append(str(error))
    judges = "none: views are held" if champion is None else champion.version
    shadows = tuple(filter(None, map(found, chosen.shadows)))
    for why in missing:
        log.error("model not loaded", why=why, champion=judges)
    _show(champion, shadows, missing)
    return Panel(champion, shadows, tuple(missing))


def _show(champion: Model | None, shadows: tuple[Model, ...], missing: list[str]) -> None:
    MODELS.clear()
    if champion is not None:
        MODELS.labels(champion.version, "champion").set(1)
    for shadow in shadows:
        MODELS.labels(shadow.version, "shadow").set(1)
    MODELS_MISSING.set(len(missing))
