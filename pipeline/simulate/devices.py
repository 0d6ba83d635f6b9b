"""Devices: user agents with the screens that really go with them, and declared crawlers."""

import functools
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Device(NamedTuple):
    """What a device says about itself."""

    kind: str
    """`iphone`, `android`, `desktop` or `crawler`."""
    user_agent: str
    screen: str | None
    weight: float


_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
_IPHONES: dict[str, float] = {
    "390x844": 4,
    "393x852": 5,
    "430x932": 3,
    "414x896": 2,
    "375x667": 1,
    "402x874": 2,
}
_ANDROIDS: dict[tuple[str, str], float] = {
    ("SM-S921B", "360x780"): 4, ("SM-A546B", "384x854"): 5, ("SM-A155F", "384x854"): 4,
    ("Pixel 8", "412x915"): 2, ("Pixel 7a", "412x892"): 1, ("2201117TY", "393x873"): 3,
    ("23021RAAEG", "393x873"): 3, ("CPH2409", "360x800"): 2, ("V2206", "360x800"): 1,
    ("moto g54 5G", "412x919"): 1,
}  # fmt: skip
_DESKTOPS: dict[tuple[str, str], float] = {
    ("Windows NT 10.0; Win64; x64", "1920x1080"): 6,
    ("Windows NT 10.0; Win64; x64", "1536x864"): 5,
    ("Windows NT 10.0; Win64; x64", "1366x768"): 2,
    ("Macintosh; Intel Mac OS X 10_15_7", "1440x900"): 2,
    ("Macintosh; Intel Mac OS X 10_15_7", "1728x1117"): 2,
    ("X11; Linux x86_64", "1920x1080"): 0.5,
}  # fmt: skip
_CHROME = {"141.0.0.0": 1, "142.0.0.0": 2, "143.0.0.0": 5}


def _people() -> list[Device]:
    found = []
    for (screen, share), (version, new) in product(
        _IPHONES.items(), {"17_7": 1, "18_6": 3, "26_1": 4}.items()
    ):
        agent = (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS {version} like Mac OS X) {_SAFARI} "
            f"Version/{version.replace('_', '.')} Mobile/15E148 Safari/604.1"
        )
        found.append(Device("iphone", agent, screen, share * new))
    for ((model, screen), share), android, (chrome, new) in product(
        _ANDROIDS.items(), (13, 14, 15), _CHROME.items()
    ):
        agent = (
            f"Mozilla/5.0 (Linux; Android {android}; {model}) {_BLINK} "
            f"Chrome/{chrome} Mobile Safari/537.36"
        )
        found.append(Device("android", agent, screen, share * new / 3))
    for ((system, screen), share), (chrome, new) in product(_DESKTOPS.items(), _CHROME.items()):
        agent = f"Mozilla/5.0 ({system}) {_BLINK} Chrome/{chrome} Safari/537.36"
        found.append(Device("desktop", agent, screen, share * new))
        edge = f"{agent} Edg/{chrome}"
        found.append(Device("desktop", edge, screen, share * new / 6))
    for (system, screen), share in _DESKTOPS.items():
        agent = f"Mozilla/5.0 ({system}; rv:145.0) Gecko/20100101 Firefox/145.0"
        found.append(Device("desktop", agent, screen, share))
    return found


def _crawlers() -> list[Device]:
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    agents = (agent for entry in CRAWLER_USER_AGENTS_DATA for agent in entry["instances"][:2])
    # Some examples of the list are not quite ASCII or absurdly long.
    clean = dict.fromkeys(agent for agent in agents if agent.isascii() and len(agent) < 300)
    return [Device("crawler", agent, None, 1.0) for agent in clean]


@functools.cache
def devices() -> tuple[Device, ...]:
    """All devices; the row number is the `device` column of a simulated view."""
    return (*_people(), *_crawlers())


def pick(
    rng: np.random.Generator, n: int, *kinds: str, even: bool = False
) -> npt.NDArray[np.int64]:
    """Rows of `devices()` of the given kinds, by how common they are, or `even`ly."""
    rows = np.array([row for row, device in enumerate(devices()) if device.kind in kinds])
    weights = np.array([devices()[row].weight for row in rows])
    shares = None if even else weights / weights.sum()
    return rng.choice(rows, n, p=shares)
