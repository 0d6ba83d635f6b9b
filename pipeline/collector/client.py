"""The address of the client: the connection's, or what trusted proxies say about it.

Each proxy appends to `X-Forwarded-For`, or to `Forwarded` (RFC 7239), the address that it was
called from. What stands left of the first address that is not a trusted proxy was written by
the client, and may be anything. So it is read from the right, and never further than that.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Of a reversed header: quotes are paired from the right, too, or one that the client opens would
# swallow what a proxy appends.
_LAST = re.compile(r'(?:[^",]++|"[^"]*+")*+')
# Of an element, quoted values as a whole: in one of them, the host, the client may say `;for=`.
_PAIR = re.compile(r'([^=;"\s]+)=("(?:[^"\\]|\\.)*"|[^;"]*)')


def networks_of(text: str) -> tuple[Network, ...]:
    """The networks of the setting `trusted_proxies`, comma-separated."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def client_address(
    peer: str,
    headers: Mapping[str, str],
    trusted: Sequence[Network],
    header: str = "x-forwarded-for",
) -> str | None:
    """The address of the client, as IPv4 where it is that; None where nobody knows.

    Args:
        peer: the address of the connection.
        headers: by lower-case name. A header that came in several lines must be joined with
            commas in their order: of the first line alone a client could be the author.
        trusted: the networks of proxies.
        header: `x-forwarded-for` or `forwarded`, whichever the proxies write. The other one is
            passed on by them as the client sent it, and is not looked at.
    """
    address = _address(peer)
    rest: str | None = headers.get(header, "")
    while address is not None and rest and _in(address, trusted):
        rest, said = _split_forwarded(rest) if header == "forwarded" else _split(rest)
        address = _address(said)
    return None if address is None else str(address)


def _in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _split(header: str) -> tuple[str, str]:
    """All but the last entry of `X-Forwarded-For`, and that."""
    before, _, last = header.rpartition(",")
    return before, last


def _split_forwarded(header: str) -> tuple[str, str]:
    """All but the last element of `Forwarded`, and its `for`."""
    match = _LAST.match(header[::-1])
    length = match.end() if match else 0
    element = header[len(header) - length :]
    rest = header[: len(header) - length]
    if rest and not rest.endswith(","):
        return "", ""  # an open quote: no element begins here
    said = (value for name, value in _PAIR.findall(element) if name.lower() == "for")
    return rest[:-1], next(said, "").strip('"')


def _address(text: str) -> Address | None:
    """`192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `2001:db8::1%eth0`, `[2001:db8::1]:80`."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
