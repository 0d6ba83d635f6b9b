"""What becomes of a model's files."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any


def _missing(folder: Path) -> None:
    shutil.rmtree(folder)


def _without_card(folder: Path) -> None:
    (folder / "card.json").unlink()


def _broken(folder: Path) -> None:
    """A file that its card vouches for, and that is none."""
    half = (folder / "model.skops").read_bytes()[:999]
    (folder / "model.skops").write_bytes(half)
    _change_card(folder, model_sha256=sha256(half).hexdigest())


def _tampered(folder: Path) -> None:
    packed = bytearray((folder / "model.skops").read_bytes())
    packed[len(packed) // 2] ^= 1
    (folder / "model.skops").write_bytes(packed)


def _vouched_for(folder: Path) -> None:
    """Tampered with, and the card as well."""
    _tampered(folder)
    found = sha256((folder / "model.skops").read_bytes()).hexdigest()
    _change_card(folder, model_sha256=found)


def _lenient(folder: Path) -> None:
    """Another threshold, by which less is denied."""
    _change_card(folder, threshold=0.9999)


def _of_older_features(folder: Path) -> None:
    _change_card(folder, features_digest="0" * 16)


def _of_older_library(folder: Path) -> None:
    _change_card(folder, libraries={"scikit-learn": "1.0.2"})


def _change_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "card.json").read_bytes())
    assert card.keys() >= changes.keys()
    (folder / "card.json").write_text(json.dumps(card | changes))


UNFIT: dict[str, Callable[[Path], None]] = {
    "missing": _missing,
    "cardless": _without_card,
    "broken": _broken,
    "tampered": _tampered,
    "vouched": _vouched_for,
    "features": _of_older_features,
    "library": _of_older_library,
}
"""By which it cannot be loaded at all."""

DAMAGES = UNFIT | {"lenient": _lenient}
"""By which it is not what was promoted."""
