import ipaddress

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.address import address_of, is_v4, number_of_hash, places_of, prefix_of


@given(st.ip_addresses(v=4))
def test_ipv4_is_its_number(address: ipaddress.IPv4Address) -> None:
    assert address_of(str(address)) == int(address)
    assert prefix_of(np.array([int(address)], np.uint64)) == int(address) >> 8


@given(st.ip_addresses(v=6, network="2000::/3"))
def test_ipv6_is_its_network(address: ipaddress.IPv6Address) -> None:
    number = address_of(str(address))
    assert number == int(address) >> 64
    column = np.array([number], np.uint64)
    assert prefix_of(column) == int(address) >> 80
    assert not is_v4(column).any()


def test_ipv4_in_ipv6_is_ipv4() -> None:
    assert address_of("::ffff:84.128.1.1") == address_of("84.128.1.1")


@given(st.text(max_size=64))
def test_any_text_is_an_address_or_unknown(text: str) -> None:
    assert 0 <= address_of(text) < 2**64


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "1.2.3", "1.2.3.4.5", "999.1.1.1", "::1", "a\0b", "fe80::1%eth0", "\ud800"],
)
def test_what_is_no_address_of_the_internet_is_unknown(text: str) -> None:
    assert address_of(text) == 0


hashes = st.text("0123456789abcdef", min_size=16, max_size=16)


@given(hashes, hashes)
def test_a_hash_is_a_number_of_its_own(one: str, other: str) -> None:
    number = number_of_hash(one)
    assert 2**63 <= number < 2**64
    assert not is_v4(np.array([number], np.uint64)).any()
    # Of the 64 bits 63 are left.
    same = int(one, 16) % 2**63 == int(other, 16) % 2**63
    assert (number == number_of_hash(other)) == same


@given(hashes, st.ip_addresses(v=4) | st.ip_addresses(v=6, network="2000::/3"))
def test_a_hash_is_never_the_number_of_an_address(
    one: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    assert number_of_hash(one) != address_of(str(address))


@given(st.text(max_size=20) | st.text("-+_0x1 ", max_size=20))
def test_any_text_is_a_hash_or_unknown(text: str) -> None:
    assert number_of_hash(text) == 0 or 2**63 <= number_of_hash(text) < 2**64


def test_places_are_those_of_the_address_else_of_its_hashes() -> None:
    ip = pa.array(["84.128.1.1", None, "nonsense", None, None], pa.string())
    hashed = pa.array(["00" * 8, "00" * 8, "ff" * 8, "not sixteen hex!", None], pa.string())
    prefix_hashed = pa.array(["01" * 8, "02" * 8, "03" * 8, "04" * 8, None], pa.string())
    address, prefix = places_of(ip, hashed, prefix_hashed)
    top = 1 << 63
    assert address.tolist() == [address_of("84.128.1.1"), top, 2**64 - 1, 0, 0]
    assert prefix.tolist()[:3] == [
        address_of("84.128.1.1") >> 8,
        0x0202020202020202 | top,
        0x0303030303030303 | top,
    ]
    assert prefix[4] == 0
    nothing = pa.nulls(5, pa.string())
    address, prefix = places_of(ip, nothing, nothing)
    assert address.tolist() == [address_of("84.128.1.1"), 0, 0, 0, 0]
