import ipaddress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.address import address_of, is_v4, prefix_of


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
