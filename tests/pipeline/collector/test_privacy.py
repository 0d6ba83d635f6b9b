"""Addresses go in; keyed hashes come out, of this day's salt and no other."""

import asyncio
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collector import privacy as module
from pipeline.collector.privacy import Origin, Privacy
from pipeline.collector.salts import DAY_MS
from schemas.settings import Settings

NOWHERE = Origin(None, None, None, None)
SALTS = {20_000 + day: bytes([day]) * 32 for day in range(3)}
NOW = 20_000 * DAY_MS + 1

addresses = st.ip_addresses(v=4).filter(int) | st.ip_addresses(v=6, network="2000::/3")


def give(privacy: Privacy, salts: dict[int, bytes]) -> None:
    """As if they had come from Postgres."""
    assert privacy._salts is not None
    privacy._salts._by_day = salts


@pytest.fixture(scope="module")
def privacy(tmp_path_factory: pytest.TempPathFactory) -> Privacy:
    found = Privacy(Settings(data=tmp_path_factory.mktemp("data")))
    give(found, SALTS)
    return found


@given(address=addresses)
def test_an_address_is_two_hashes_and_a_class(privacy: Privacy, address: object) -> None:
    origin = privacy.origin_of(str(address), NOW)
    assert origin.ip is None
    assert origin.network in ("datacenter", "other")
    for one in (origin.ip_hash, origin.ip_prefix_hash):
        assert one is not None
        assert len(one) == 16
        assert set(one) <= set("0123456789abcdef")
    assert origin.ip_hash != origin.ip_prefix_hash
    assert privacy.origin_of(str(address), NOW) == origin


@given(one=addresses, other=addresses, near=st.integers(0, 2**80))
def test_hashes_are_equal_where_the_places_are(
    privacy: Privacy, one: object, other: object, near: int
) -> None:
    def place(address: str, v4: int, v6: int) -> object:
        length = v4 if ip_address(address).version == 4 else v6
        return ip_network(f"{address}/{length}", strict=False)

    bits = near % (2**80 if ":" in str(one) else 2**9)
    neighbour = str(ip_address(type(one)(int(one) ^ bits)))  # type: ignore[call-overload]
    for second in (str(other), neighbour):
        if not int(ip_address(second)):
            continue
        a, b = privacy.origin_of(str(one), NOW), privacy.origin_of(second, NOW)
        if None in (a.ip_hash, b.ip_hash):
            continue
        assert (a.ip_hash == b.ip_hash) == (place(str(one), 32, 64) == place(second, 32, 64))
        same = place(str(one), 24, 48) == place(second, 24, 48)
        assert (a.ip_prefix_hash == b.ip_prefix_hash) == same


@given(address=addresses)
def test_another_day_is_another_hash(privacy: Privacy, address: object) -> None:
    days = [privacy.origin_of(str(address), NOW + day * DAY_MS) for day in range(3)]
    assert len({one.ip_hash for one in days}) == len({one.ip_prefix_hash for one in days}) == 3
    assert len({one.network for one in days}) == 1


def test_the_day_begins_at_midnight_utc(privacy: Privacy) -> None:
    midnight = 20_001 * DAY_MS
    before, after = (privacy.origin_of("84.128.1.1", midnight - one).ip_hash for one in (1, 0))
    assert before != after
    assert privacy.origin_of("84.128.1.1", midnight + DAY_MS - 1).ip_hash == after
    assert privacy.origin_of("84.128.1.1", midnight - 2).ip_hash == before


def test_the_hash_is_what_it_was(privacy: Privacy) -> None:
    # Collectors of two versions run side by side while one is rolled out.
    found = privacy.origin_of("84.128.1.1", NOW)
    assert found == Origin(None, "bb96b93c16f85336", "a9d275851083f259", "other")
    assert privacy.origin_of("::ffff:84.128.1.1", NOW) == found


@given(text=st.none() | st.text(max_size=70))
def test_what_is_no_address_is_nowhere(privacy: Privacy, text: str | None) -> None:
    try:
        ip_address(text or "")
    except ValueError:
        assert privacy.origin_of(text, NOW) == NOWHERE


@pytest.mark.parametrize("text", ["84.128.1.1:80", "fe80::1%eth0", "::1", "0.0.0.0", "x" * 60_000])
def test_nor_is_what_only_looks_like_one(text: str, privacy: Privacy) -> None:
    assert privacy.origin_of(text, NOW) == NOWHERE


def test_without_a_salt_there_is_no_hash_and_no_address(privacy: Privacy) -> None:
    unknown_day = NOW + 30 * DAY_MS
    assert privacy.origin_of("84.128.1.1", unknown_day) == Origin(network="other")
    assert privacy.origin_of("3.208.0.1", unknown_day) == Origin(network="datacenter")


def test_raw_is_asked_for_or_not_had(tmp_path: Path) -> None:
    raw = Privacy(Settings(data=tmp_path, address_storage="raw"))
    asyncio.run(raw.refresh())
    assert raw.origin_of("3.208.0.1", NOW) == Origin(ip="3.208.0.1", network="datacenter")
    assert raw.origin_of("nonsense", NOW) == NOWHERE
    assert raw.origin_of(None, NOW) == NOWHERE


def test_what_it_remembers_is_bounded_and_gone_with_the_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CACHED", 10)
    found = Privacy(Settings(data=tmp_path))
    give(found, SALTS)
    for last in range(1, 200):
        found.origin_of(f"84.128.1.{last}", NOW)
    cache = found._today.origin_of
    assert cache.cache_info().currsize == 10  # type: ignore[attr-defined]
    found.origin_of("84.128.1.1", NOW + DAY_MS)
    assert found._today.origin_of.cache_info().currsize == 1  # type: ignore[attr-defined]


def test_a_list_that_changes_is_used_without_a_restart(tmp_path: Path) -> None:
    tor = tmp_path / "tor"
    tor.write_text("203.0.113.5\n")
    found = Privacy(Settings(data=tmp_path, address_storage="raw", tor_list=tor))
    assert found.origin_of("203.0.113.5", NOW).network == "tor"
    tor.write_text("# nobody today\n")
    asyncio.run(found.refresh())
    assert found.origin_of("203.0.113.5", NOW).network == "other"
