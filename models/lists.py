"""General invalid traffic (GIVT): what lists and arithmetic tell without a model.

Declared bots by the patterns of crawler-user-agents (MIT), data centres by the ranges of
ipcat (MIT, `vendor/ipcat/`) or by what the collector looked up before it hashed the address. An
address or user agent that is missing or unreadable is unknown, which is no reason against a view.
"""

import csv
import functools
import gzip
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from crawleruseragents import is_crawler

from models.address import is_v4
from models.batch import Batch
from models.hashing import Keys, Memo
from schemas.verdicts import Reason

Bools = npt.NDArray[np.bool_]
Reasons = npt.NDArray[np.uint32]

_RANGES = Path(__file__).parent / "vendor" / "ipcat" / "datacenters.csv.gz"

_DATACENTER, _VPN, _TOR = 1, 2, 3
_NETWORKS = Memo({"datacenter": _DATACENTER, "vpn": _VPN, "tor": _TOR, "other": 4}.__getitem__)

_MAX_LOOPS = 50
_MAX_WATCH_MS = 24 * 3_600_000
_MAX_TAPS_PER_S = 20
_CLOCK_STEP_MS = 60_000
"""A clock that was set between a view and its sending may make it look sent before."""


class ListsError(Exception):
    """A list cannot be used; says which and what to do."""


class Lists(NamedTuple):
    """The lists, ready to be looked into."""

    version: str
    first: Keys
    """Ranges of data-centre addresses, ascending and apart, both ends included."""
    last: Keys
    declared: Memo
    """User agent → 1 if it says it is a bot."""


@functools.cache
def load_lists() -> Lists:
    """Reads the lists that come with the package.

    Raises:
        ListsError: a list is missing or damaged.
    """
    try:
        packed = _RANGES.read_bytes()
        with gzip.open(_RANGES, "rt") as file:
            rows = [(int(row[0]), int(row[1])) for row in csv.reader(file)]
        ranges = np.array(rows, np.uint64)
        first, last = ranges[:, 0], ranges[:, 1]
        if not (first <= last).all() or not (last[:-1] < first[1:]).all():
            raise ValueError("ranges overlap or are out of order")
        digest = sha256(packed).hexdigest()[:8]
        name = f"crawler-user-agents-{version('crawler-user-agents')}+ipcat-{digest}"
    except (OSError, ValueError, IndexError, ImportError) as error:
        raise ListsError(f"{_RANGES.name}: {error}; install viewledger again") from error
    return Lists(name, first, last, Memo(lambda agent: int(is_crawler(agent))))


def in_datacenter(lists: Lists, address: Keys) -> Bools:
    """Which of n addresses (`models.address`) belong to a data centre, bool[n]."""
    place = np.searchsorted(lists.first, address, side="right") - 1
    return is_v4(address) & (place >= 0) & (address <= lists.last[place])


def declared_bot(lists: Lists, batch: Batch) -> Bools:
    """Which of n views have a user agent that says it is a bot, bool[n]."""
    return lists.declared.column(batch.user_agents).astype(np.bool_)


def impossible(batch: Batch) -> Bools:
    """Which of n views have values that no player and no person can produce, bool[n]."""
    watch, duration = batch.watch_ms, batch.duration_ms
    with np.errstate(invalid="ignore"):
        tapping = batch.interactions > 10 + _MAX_TAPS_PER_S * watch / 1e3
    return (
        ((duration > 0) & (watch > duration * _MAX_LOOPS))  # a length of 0 is not known
        | (watch > _MAX_WATCH_MS)
        | tapping
        | (batch.send_delay_ms < -_CLOCK_STEP_MS)
    )


def from_datacenter(lists: Lists, batch: Batch) -> Bools:
    """Which of n views came out of a data centre, bool[n].

    What the collector says of a VPN or of Tor stands against the range that it is in.
    """
    said = _NETWORKS.column(batch.networks)
    listed = in_datacenter(lists, batch.address)
    found: Bools = (said == _DATACENTER) | (listed & (said != _VPN) & (said != _TOR))
    return found


def from_tor(batch: Batch) -> Bools:
    """Which of n views came out of the Tor network, by the collector's list, bool[n]."""
    found: Bools = _NETWORKS.column(batch.networks) == _TOR
    return found


def givt_reasons(lists: Lists, batch: Batch) -> Reasons:
    """Bits of `schemas.verdicts.Reason` for each of n views, uint32[n]."""
    checks = (
        (Reason.DECLARED_BOT, declared_bot(lists, batch)),
        (Reason.DATACENTER_ADDRESS, from_datacenter(lists, batch)),
        (Reason.IMPOSSIBLE_VALUES, impossible(batch)),
        (Reason.TOR_ADDRESS, from_tor(batch)),
    )
    reasons = np.zeros(len(batch.viewer), np.uint32)
    for reason, found in checks:
        reasons |= found.astype(np.uint32) * np.uint32(reason.bit)
    return reasons
