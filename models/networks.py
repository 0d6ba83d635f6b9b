"""What an address belongs to: a data centre, a VPN, the Tor network or none of them.

Data centres are those of `models.lists`. Lists of VPNs and of Tor's exits change within hours, so
they are files of the operator's, read again when they change.
"""

import bisect
import ipaddress
import socket
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Self

import structlog

from models.lists import ListsError, load_lists
from schemas.metrics import NETWORK_LIST
from schemas.view import Network

log = structlog.get_logger()

# Exits of Tor and of VPNs stand in data centres: the narrower word goes first.
_ORDER: tuple[Network, ...] = ("tor", "vpn", "datacenter")
_V4_IN_V6 = 0xFFFF << 32
_Range = tuple[int, int]


class Ranges(NamedTuple):
    """A list: ranges of addresses as numbers of IPv6, ascending and apart, both ends included."""

    version: str
    first: list[int]
    last: list[int]

    @classmethod
    def of(cls, version: str, ranges: Iterable[_Range]) -> Self:
        """The list of any ranges."""
        first: list[int] = []
        last: list[int] = []
        for start, stop in sorted(ranges):
            if last and start <= last[-1] + 1:
                last[-1] = max(last[-1], stop)
            else:
                first.append(start)
                last.append(stop)
        return cls(version, first, last)

    def holds(self, number: int) -> bool:
        """Whether an address is in it."""
        place = bisect.bisect_right(self.first, number) - 1
        return place >= 0 and number <= self.last[place]


def read_ranges(path: Path) -> Ranges:
    """A list from a file with an address or a CIDR range per line; `#` begins a comment.

    Raises:
        ListsError: it cannot be read, or a line is neither.
    """
    try:
        content = path.read_bytes()
        lines = content.decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ListsError(f"{path}: {error}") from error
    ranges = []
    for place, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if text:
            try:
                ranges.append(_range(text))
            except ValueError:
                raise ListsError(
                    f"{path}, line {place}: neither an address nor a range such as 192.0.2.0/24"
                ) from None
    return Ranges.of(sha256(content).hexdigest()[:8], ranges)


def _range(text: str) -> _Range:
    network = ipaddress.ip_network(text, strict=False)
    shift = _V4_IN_V6 if network.version == 4 else 0
    return int(network.network_address) + shift, int(network.broadcast_address) + shift


class Networks:
    """The lists, and the files that they come from."""

    def __init__(self, vpn: Path | None, tor: Path | None) -> None:
        """A list that cannot be read is logged as an error, and read as soon as it can be."""
        files: dict[Network, Path | None] = {"tor": tor, "vpn": vpn}
        self._files = {name: path for name, path in files.items() if path is not None}
        self._stamps: dict[Network, tuple[int, int] | None] = {}
        self._lists: dict[Network, Ranges] = {}
        self._wanted = len(self._files) + 1
        try:
            found = load_lists()
        except ListsError as error:
            log.error("addresses of data centres are not known", why=str(error))
        else:
            ranges = zip(found.first.tolist(), found.last.tolist(), strict=True)
            shifted = [(first + _V4_IN_V6, last + _V4_IN_V6) for first, last in ranges]
            self._take("datacenter", Ranges.of(found.version.rpartition("+")[2], shifted))
        self.reload()

    @property
    def versions(self) -> dict[str, str]:
        """Of the lists that are in use."""
        return {name: ranges.version for name, ranges in self._lists.items()}

    def class_of(self, address: str) -> Network | None:
        """What an address belongs to; None where it is no address or a list is missing."""
        try:
            packed = socket.inet_pton(
                socket.AF_INET6 if ":" in address else socket.AF_INET, address
            )
        except (OSError, ValueError):
            return None
        number = int.from_bytes(packed, "big") + (_V4_IN_V6 if len(packed) == 4 else 0)
        for name in _ORDER:
            if name in self._lists and self._lists[name].holds(number):
                return name
        return "other" if len(self._lists) == self._wanted else None

    def reload(self) -> bool:
        """Reads the files that have changed; whether there were any.

        One that cannot be read is logged, and what was in it before stays in use.
        """
        changed = False
        for name, path in self._files.items():
            stamp = _stamp(path)
            if name in self._stamps and self._stamps[name] == stamp:
                continue
            self._stamps[name] = stamp
            try:
                self._take(name, read_ranges(path))
                changed = True
            except ListsError as error:
                log.error("a list of networks is not as it should be", list=name, why=str(error))
        return changed

    def _take(self, name: Network, ranges: Ranges) -> None:
        if name in self._lists:
            NETWORK_LIST.remove(name, self._lists[name].version)
        self._lists = self._lists | {name: ranges}
        NETWORK_LIST.labels(name, ranges.version).set(len(ranges.first))
        log.info("list of networks", list=name, version=ranges.version, ranges=len(ranges.first))


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
