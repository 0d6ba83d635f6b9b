"""General invalid traffic (GIVT): what lists and arithmetic tell without a model.

Declared bots by the patterns of crawler-user-agents (MIT) and those of the operator, networks by
`models.networks` or by what the collector looked up before it hashed the address. An address or
user agent that is missing or unreadable is unknown, which is no reason against a view.
"""

import functools
import re
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from crawleruseragents import is_crawler

from models.batch import Batch
from models.hashing import Memo
from models.list_files import ListsError as ListsError
from models.networks import CODES, DATACENTER, TOR, VPN, Networks
from models.ranges import Codes, Ranges
from schemas.verdicts import Reason

Bools = npt.NDArray[np.bool_]
Reasons = npt.NDArray[np.uint32]

_NETWORKS = Memo(lambda name: CODES[name])  # type: ignore[index]  # decoding lets no other pass

_MAX_LOOPS = 50
_MAX_WATCH_MS = 24 * 3_600_000
_MAX_TAPS_PER_S = 20
_CLOCK_STEP_MS = 60_000
"""A clock that was set between a view and its sending may make it look sent before."""

_NO_SCREEN = Memo(lambda screen: int(re.fullmatch(r"0+x\d+|\d+x0+", screen) is not None))
_NO_PLAYER = Memo(lambda agent: int(re.match(r"(Lynx|E?Links|w3m)\b", agent) is not None))
_APPS = Memo(lambda platform: int(platform in ("tiktok", "instagram")))


class Lists(NamedTuple):
    """The lists, ready to be looked into."""

    version: str
    networks: Ranges
    """Codes of `models.networks` by address."""
    declared: Memo
    """User agent → 1 if it says it is a bot."""


@functools.cache
def load_lists() -> Lists:
    """The lists that come with the package.

    Raises:
        ListsError: a list is missing or damaged.
    """
    networks = Networks({})
    if not networks.complete:
        raise ListsError("the ranges of data centres are damaged: install viewledger again")
    return lists_of(networks, None, None)


def lists_of(
    networks: Networks, patterns: Sequence[re.Pattern[str]] | None, patterns_version: str | None
) -> Lists:
    """The lists made of these networks and of more patterns of declared bots."""
    more = "" if patterns_version is None else f"+crawlers-{patterns_version}"
    versions = "".join(f"+{name}-{digits}" for name, digits in networks.versions.items())
    name = f"crawler-user-agents-{version('crawler-user-agents')}{more}{versions}"
    if patterns is None:
        return Lists(name, networks.ranges, Memo(lambda agent: int(is_crawler(agent))))
    found = [pattern.search for pattern in patterns]
    declared = Memo(lambda agent: int(is_crawler(agent) or any(find(agent) for find in found)))
    return Lists(name, networks.ranges, declared)


def declared_bot(lists: Lists, batch: Batch) -> Bools:
    """Which of n views have a user agent that says it is a bot, bool[n]."""
    return lists.declared.column(batch.user_agents).astype(np.bool_)


def networks_of(lists: Lists, batch: Batch) -> tuple[Bools, Bools]:
    """Which of n views came out of a data centre, and which out of Tor; bool[n] each.

    Collector and lists may know different ones; the narrower word of either stands.
    """
    said, listed = _NETWORKS.column(batch.networks), lists.networks.codes_of(batch.address)
    tor: Bools = (said == TOR) | (listed == TOR)
    vpn = (said == VPN) | (listed == VPN)
    return ((said == DATACENTER) | (listed == DATACENTER)) & ~tor & ~vpn, tor


def said_by_collector(batch: Batch) -> Codes:
    """What the collector said of n addresses, uint8[n], codes of `models.networks`; 0: nothing."""
    return _NETWORKS.column(batch.networks).astype(np.uint8)


def _tapping(batch: Batch) -> Bools:
    with np.errstate(invalid="ignore"):
        found: Bools = batch.interactions > 10 + _MAX_TAPS_PER_S * batch.watch_ms / 1e3
    return found


class Impossible(NamedTuple):
    """Something that no player and no person can produce."""

    why: str
    found: Callable[[Batch], Bools]
    """Of n views, bool[n]."""


IMPOSSIBLE = (
    Impossible(
        f"watched more than {_MAX_LOOPS} times the length of the video",
        # A length of 0 is not known.
        lambda of: (of.duration_ms > 0) & (of.watch_ms > of.duration_ms * _MAX_LOOPS),
    ),
    Impossible("watched for more than a day", lambda of: of.watch_ms > _MAX_WATCH_MS),
    Impossible(f"more than 10 interactions and {_MAX_TAPS_PER_S} a second", _tapping),
    Impossible(
        "sent more than a minute before it happened, by the same clock",
        lambda of: of.send_delay_ms < -_CLOCK_STEP_MS,
    ),
    Impossible(
        "visible in an app on a screen without an area",
        lambda of: (
            _APPS.column(of.platforms).astype(np.bool_)
            & _NO_SCREEN.column(of.screens).astype(np.bool_)
            & (of.visible_pct > 0)
        ),
    ),
    Impossible(
        "watched in a browser for text, which plays no video",
        lambda of: _NO_PLAYER.column(of.user_agents).astype(np.bool_),
    ),
)
"""All rules of `IMPOSSIBLE_VALUES`."""


def impossible(batch: Batch) -> Bools:
    """Which of n views have values that no player and no person can produce, bool[n]."""
    return functools.reduce(np.logical_or, (rule.found(batch) for rule in IMPOSSIBLE))


def givt_reasons(lists: Lists, batch: Batch) -> Reasons:
    """Bits of `schemas.verdicts.Reason` for each of n views, uint32[n]."""
    datacenter, tor = networks_of(lists, batch)
    checks = (
        (Reason.DECLARED_BOT, declared_bot(lists, batch)),
        (Reason.DATACENTER_ADDRESS, datacenter),
        (Reason.IMPOSSIBLE_VALUES, impossible(batch)),
        (Reason.TOR_ADDRESS, tor),
    )
    reasons = np.zeros(len(batch.viewer), np.uint32)
    for reason, found in checks:
        reasons |= found.astype(np.uint32) * np.uint32(reason.bit)
    return reasons
