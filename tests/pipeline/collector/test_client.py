"""Nobody but a trusted proxy has a say in whose request it is."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collector.client import client_address, networks_of

TRUSTED = networks_of("10.0.0.0/8, 192.0.2.7,2001:db8:aaaa::/48")
XFF, RFC7239 = "x-forwarded-for", "forwarded"

addresses = st.ip_addresses().filter(
    lambda one: not any(one in net for net in TRUSTED) and getattr(one, "ipv4_mapped", None) is None
)
proxies = st.sampled_from(["10.0.0.1", "10.255.1.2", "192.0.2.7", "2001:db8:aaaa::5"])
# What a header may hold, and above all what could fool whoever reads it.
texts = st.text(st.sampled_from('",;=[]: \t\\%abcfor.0129FOR_-'), max_size=60) | st.text(
    st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40
)
spoofs = st.one_of(
    texts,
    addresses.map(str),
    st.tuples(addresses, addresses).map(lambda two: f"{two[0]}, {two[1]}"),
    addresses.map(lambda one: f'for="{one}'),
    addresses.map(lambda one: f'for="[{one}]:80", for={one}, for="'),
    proxies,
)


def through(sent: str | None, hops: list[str], header: str, quoted: bool) -> str:
    """The header as it arrives: each proxy appends by whom it was called."""
    parts = [] if sent is None else [sent]
    for hop in hops:
        node = f"[{hop}]:4711" if ":" in hop else hop
        if header == XFF:
            parts.append(hop if quoted else node)
        else:
            quote = '"' if quoted or ":" in hop else ""
            parts.append(f"by=_gate;FOR={quote}{node}{quote};proto=https")
    return ", ".join(parts)


@given(
    addresses,
    st.lists(proxies, min_size=1, max_size=3),
    st.none() | spoofs,
    spoofs,
    st.sampled_from([XFF, RFC7239]),
    st.booleans(),
)
def test_a_client_behind_proxies_is_itself_whatever_it_sends(
    client: IPv4Address | IPv6Address,
    path: list[str],
    sent: str | None,
    other: str,
    header: str,
    quoted: bool,
) -> None:
    *before, peer = path
    headers = {
        header: through(sent, [str(client), *before], header, quoted),
        {XFF: RFC7239, RFC7239: XFF}[header]: other,
    }
    assert client_address(peer, headers, TRUSTED, header) == str(client)


@given(addresses, spoofs | addresses.map(lambda one: f"a;for={one}"))
def test_a_host_that_the_client_made_up_is_not_its_address(
    client: IPv4Address | IPv6Address, host: str
) -> None:
    """Some proxies write it, quoted, before the address that they were called from."""
    quoted = re.sub(r'(["\\])', r"\\\1", host)
    node = f'"[{client}]"' if client.version == 6 else str(client)
    said = f'proto=https;host="{quoted}";for={node}'
    found = client_address("10.0.0.1", {RFC7239: said}, TRUSTED, RFC7239)
    assert found == str(client) or ('"' in host and found is None)


@given(addresses, spoofs, spoofs, st.sampled_from([XFF, RFC7239]))
def test_a_client_without_proxies_is_itself_whatever_it_sends(
    client: IPv4Address | IPv6Address, sent: str, other: str, header: str
) -> None:
    headers = {XFF: sent, RFC7239: other, "x-real-ip": other, "cf-connecting-ip": sent}
    assert client_address(str(client), headers, TRUSTED, header) == str(client)
    assert client_address(str(client), headers, (), header) == str(client)


@given(texts, texts, st.sampled_from([XFF, RFC7239]), st.sampled_from(["10.0.0.1", "", "unix:"]))
def test_garbage_is_an_address_or_nobody(peer: str, said: str, header: str, other: str) -> None:
    for connection in (peer, other):
        found = client_address(connection, {header: said}, TRUSTED, header)
        assert found is None or str(ip_address(found)) == found


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("203.0.113.9", "203.0.113.9"),
        (" 203.0.113.9 ", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[fe80::1%eth0]:4711", "fe80::1"),
        ("fe80::1%25eth0", "fe80::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("1.1.1.1, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("1.1.1.1,10.1.1.1", "1.1.1.1"),
        # All of them are proxies: the one that is farthest away asked.
        ("10.1.1.1, 10.1.1.2", "10.1.1.1"),
        ("", "10.0.0.1"),
        # What a trusted proxy does not say, nobody knows.
        ("1.1.1.1, unknown", None),
        ("1.1.1.1, ", None),
        ("1.1.1.1, 203.0.113.999", None),
        ("1.1.1.1, 203.0.113.9; DROP TABLE", None),
    ],
)
def test_entries_of_x_forwarded_for(said: str, found: str | None) -> None:
    assert client_address("10.0.0.1", {XFF: said}, TRUSTED) == found


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("for=203.0.113.9", "203.0.113.9"),
        ("For=203.0.113.9;proto=http;by=10.0.0.1", "203.0.113.9"),
        ('proto=http; for="203.0.113.9:4711"', "203.0.113.9"),
        ('for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
        ("for=1.1.1.1, for=203.0.113.9", "203.0.113.9"),
        ('for=1.1.1.1,for=203.0.113.9,for="10.1.1.1:80"', "203.0.113.9"),
        ("for=1.1.1.1, for=unknown", None),
        ("for=1.1.1.1, for=_hidden", None),
        ("for=1.1.1.1, by=10.0.0.9", None),
        ("for=1.1.1.1, before=203.0.113.9", None),
        ('for=1.1.1.1, for="203.0.113.9', None),
        ("", "10.0.0.1"),
    ],
)
def test_elements_of_forwarded(said: str, found: str | None) -> None:
    assert client_address("10.0.0.1", {RFC7239: said}, TRUSTED, RFC7239) == found


def test_a_peer_in_mapped_form_is_a_trusted_proxy() -> None:
    assert client_address("::ffff:10.0.0.1", {XFF: "203.0.113.9"}, TRUSTED) == "203.0.113.9"


def test_a_header_as_long_as_may_be_is_read() -> None:
    said = '"' * 20_001 + "," * 20_000 + 'for="'
    for header in (XFF, RFC7239):
        assert client_address("10.0.0.1", {header: said}, TRUSTED, header) is None
    many = ", ".join(["10.0.0.1"] * 5_000)
    assert client_address("10.0.0.1", {XFF: many}, TRUSTED) == "10.0.0.1"
