"""Which models judge, and which only watch, as of one version of the catalogue."""

from typing import NamedTuple


class Pin(NamedTuple):
    """A model of the registry, and the files that are meant by its name."""

    name: str
    sha256: str
    """Of `card.json`, which has that of `model.skops`; 64 hexadecimal digits."""


class Chosen(NamedTuple):
    """What was promoted and not rolled back; empty where nothing was."""

    champions: tuple[Pin, ...] = ()
    """The newest first: whoever cannot load it judges with the next one."""
    shadows: tuple[Pin, ...] = ()
    change: int = 0
    """Number of the last change: what is older is no news."""
