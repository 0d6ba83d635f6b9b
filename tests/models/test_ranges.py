"""What an address is in, as `ipaddress` has it."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.address import address_of, number_of_hash
from models.ranges import NOWHERE, Ranges, parse_range

Network = IPv4Network | IPv6Network


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Of addresses that are near each other, so that ranges overlap and hold some."""
    if draw(st.booleans()):
        return ip_network((draw(v4), draw(st.integers(8, 32))), strict=False)
    return ip_network((draw(v6), draw(st.integers(16, 64))), strict=False)


v4 = st.builds(lambda near: int(ip_address("203.0.113.0")) ^ near, st.integers(0, 2**12)) | (
    st.integers(1, 2**32 - 1)
)
v6 = st.builds(
    lambda near, rest: (0x2A01_04F8_0000_0000 ^ near) << 64 | rest,
    st.integers(0, 2**20),
    st.integers(0, 2**64 - 1),
)
addresses = st.lists(v4.map(ip_address) | v6.map(ip_address), min_size=1, max_size=20)


@given(st.lists(st.tuples(networks(), st.integers(1, 3)), max_size=12), addresses)
def test_an_address_is_in_the_last_range_that_holds_it(
    layers: list[tuple[Network, int]], asked: list[object]
) -> None:
    ranges = Ranges.of((*parse_range(str(network)), code) for network, code in layers)
    numbers = np.array([address_of(str(one)) for one in asked], np.uint64)
    for address, found in zip(asked, ranges.codes_of(numbers).tolist(), strict=True):
        holding = [code for network, code in layers if address in network]
        assert found == (holding[-1] if holding else 0)


@given(st.lists(networks(), max_size=12))
def test_ends_are_in_it_and_nothing_next_to_them(layers: list[Network]) -> None:
    ranges = Ranges.of((*parse_range(str(one)), 1) for one in layers)
    stretches = np.flatnonzero(ranges.code)
    first = ranges.start[stretches]
    assert ranges.codes_of(first).all()
    assert not ranges.codes_of(first - np.uint64(1)).any()
    last = ranges.start[stretches + 1] - np.uint64(1)
    assert ranges.codes_of(last).all()
    assert not ranges.codes_of(last + np.uint64(1)).any()


@pytest.mark.parametrize("everything", ["0.0.0.0/0", "::/0"])
def test_what_is_unknown_or_a_hash_is_in_no_range(everything: str) -> None:
    ranges = Ranges.of([(*parse_range(everything), 1)])
    other = "84.128.1.1" if ":" in everything else "2a01:4f8::1"
    hashes = [number_of_hash("0" * 16), number_of_hash("f" * 16)]
    unknown = np.array([0, *hashes, address_of(other)], np.uint64)
    assert not ranges.codes_of(unknown).any()
    assert not NOWHERE.codes_of(unknown).any()


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("192.0.2.77/24", "192.0.2.0/24"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:8000::/65", "2001:db8::/64"),
    ],
)
def test_ranges_that_are_the_same(text: str, same: str) -> None:
    assert parse_range(text) == parse_range(same)


@pytest.mark.parametrize("text", ["fe80::/10", "fc00::1", "::1", "0.0.0.0"])
def test_nobody_sends_from_there(text: str) -> None:
    first, last = parse_range(text)
    assert first > last


@pytest.mark.parametrize("text", ["", "hello", "300.1.1.1", "1.2.3.4-1.2.3.9", "1.2.3.0/33"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ValueError, match="not appear to be"):
        parse_range(text)
