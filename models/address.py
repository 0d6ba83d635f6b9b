"""IP addresses as numbers: one uint64 that counts as "the same place".

An event has the address itself or keyed hashes of it and of its prefix. Either way judging
only asks what is the same, so that it comes to the same verdicts.
"""

import socket

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.hashing import Keys, Memo

_V4_END = 1 << 32
_HASHED = 1 << 63
"""Set in the number of a hash: global IPv6 is below 2^62 until more of it is handed out."""
_MAPPED = bytes(10) + b"\xff\xff"


def address_of(text: str) -> int:
    """The address as a number; 0 where it cannot be read (never raises).

    IPv4 is its 32 bits. IPv6 is its upper 64 bits, which a household or a server shares; the
    rest changes with privacy addresses. Global IPv6 is never below 2^32, so they don't mix.
    """
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        return 0
    if len(packed) == 4:
        return int.from_bytes(packed, "big")
    if packed[:12] == _MAPPED:
        return int.from_bytes(packed[12:], "big")
    network = int.from_bytes(packed[:8], "big")
    return network if network >= _V4_END << 16 else 0


def number_of_hash(text: str) -> int:
    """A keyed hash of 16 hex digits as a number of its own; 0 where it is none (never raises)."""
    try:
        return int(text, 16) & (_HASHED - 1) | _HASHED
    except ValueError:
        return 0


_ADDRESSES = Memo(address_of)
_HASHES = Memo(number_of_hash)


def places_of(ip: pa.Array, ip_hash: pa.Array, ip_prefix_hash: pa.Array) -> tuple[Keys, Keys]:
    """Address and prefix of n events, uint64[n] each; of the hashes where `ip` says nothing."""
    address = _ADDRESSES.column(ip)
    prefix = prefix_of(address)
    if ip_hash.null_count == len(ip_hash):
        return address, prefix
    unknown = address == 0
    return (
        np.where(unknown, _HASHES.column(ip_hash), address),
        np.where(unknown, _HASHES.column(ip_prefix_hash), prefix),
    )


def is_v4(address: Keys) -> npt.NDArray[np.bool_]:
    """Which addresses are known IPv4, bool[n]."""
    known: npt.NDArray[np.bool_] = (address != 0) & (address < np.uint64(_V4_END))
    return known


def prefix_of(address: Keys) -> Keys:
    """The /24 (IPv4) or /48 (IPv6) that an address belongs to, uint64[n]; 0 where unknown."""
    return np.where(address < np.uint64(_V4_END), address >> np.uint64(8), address >> np.uint64(16))


def prefix_of_one(address: int) -> int:
    """As `prefix_of`, of one address."""
    return address >> (8 if address < _V4_END else 16)
