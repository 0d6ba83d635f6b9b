"""Ranges of addresses, painted over each other, and which of them each of n addresses is in.

Addresses are the numbers of `models.address`: IPv4 as it is, of IPv6 the /64. A hash of an address
is in no range.
"""

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from models.hashing import Keys

Codes = npt.NDArray[np.uint8]

_FIRST_V6 = 1 << 48
_LAST_V6 = (1 << 63) - 1
"""Above are hashes (`models.address`), and addresses of IPv6 that nobody can send from."""
_V4_IN_V6 = 0xFFFF


class Range(NamedTuple):
    """Both ends are in it; of IPv6 the /64s that are at least partly in it."""

    first: int
    last: int


class Ranges(NamedTuple):
    """All addresses, from 0 on, in stretches that have the same code."""

    start: Keys
    """Of each stretch; ascending, from 0."""
    code: Codes
    """What it is; 0 for nothing."""

    @classmethod
    def of(cls, painted: Iterable[tuple[int, int, int]]) -> Self:
        """Ranges as first, last and code, 1 to 255; where two overlap the later one covers."""
        rows = np.array(list(painted), np.uint64).reshape(-1, 3)
        first, after = rows[:, 0], rows[:, 1] + np.uint64(1)
        start = np.unique(np.concatenate([np.zeros(1, np.uint64), first, after]))
        code = np.zeros(len(start), np.uint8)
        places = (np.searchsorted(start, first), np.searchsorted(start, after), rows[:, 2])
        for begin, end, what in zip(*(one.tolist() for one in places), strict=True):
            code[begin:end] = what
        changes = np.concatenate([[True], code[1:] != code[:-1]])
        return cls(start[changes], code[changes])

    def codes_of(self, address: Keys) -> Codes:
        """What each of n addresses is in, uint8[n]; 0 where it is unknown or in none."""
        found: Codes = self.code[np.searchsorted(self.start, address, side="right") - 1]
        return found


NOWHERE = Ranges.of(())


def parse_range(text: str) -> Range:
    """The range of an address or of a network such as 192.0.2.0/24 or 2001:db8::/32.

    Its first is above its last where nobody can send from any of its addresses.

    Raises:
        ValueError: it is neither.
    """
    network = ipaddress.ip_network(text, strict=False)
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.version == 6 and (first >> 32, last >> 32) != (_V4_IN_V6, _V4_IN_V6):
        return Range(max(first >> 64, _FIRST_V6), min(last >> 64, _LAST_V6))
    return Range(max(first & 0xFFFF_FFFF, 1), last & 0xFFFF_FFFF)
