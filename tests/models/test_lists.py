import re
from pathlib import Path

import pytest
from support.traffic import Event, batch_of, view

from models import networks
from models.list_files import ListsError
from models.lists import IMPOSSIBLE, Lists, givt_reasons, lists_of, load_lists
from models.networks import Networks
from schemas.verdicts import Reason, reason_labels


def reasons(lists: Lists | None = None, **fields: object) -> list[str]:
    batch = batch_of([Event(view(**fields), 1_790_000_000_000, 1_790_000_000_000)])
    return reason_labels(int(givt_reasons(lists or load_lists(), batch)[0]))


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "python-requests/2.32.0",
        "facebookexternalhit/1.1",
    ],
)
def test_a_declared_bot_is_taken_at_its_word(user_agent: str) -> None:
    assert reasons(user_agent=user_agent) == ["declared_bot"]


@pytest.mark.parametrize(
    "user_agent",
    [
        None,
        "",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) Version/18.6 Safari/604.1",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0",
    ],
)
def test_a_browser_is_no_declared_bot(user_agent: str | None) -> None:
    assert reasons(user_agent=user_agent) == []


@pytest.mark.parametrize(
    ("ip", "found"),
    [
        ("3.208.0.1", ["datacenter_address"]),
        ("::ffff:3.208.0.1", ["datacenter_address"]),
        ("84.128.1.1", []),
        ("0.0.0.0", []),
        ("255.255.255.255", []),
        ("2a01:4f8::1", []),
        ("10.0.0.1", []),
        ("nonsense", []),
        (None, []),
    ],
)
def test_addresses(ip: str | None, found: list[str]) -> None:
    assert reasons(ip=ip) == found


HASH = {"ip_hash": "00112233445566aa", "ip_prefix_hash": "00112233445566bb"}


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        (HASH | {"network": "datacenter"}, ["datacenter_address"]),
        (HASH | {"network": "tor"}, ["tor_address"]),
        (HASH | {"network": "vpn"}, []),
        (HASH | {"network": "other"}, []),
        (HASH, []),
        ({"network": "datacenter"}, ["datacenter_address"]),
        # The same of addresses that were not hashed, as the collector saw them …
        ({"ip": "3.208.0.1", "network": "datacenter"}, ["datacenter_address"]),
        ({"ip": "3.208.0.1", "network": "tor"}, ["tor_address"]),
        ({"ip": "3.208.0.1", "network": "vpn"}, []),
        ({"ip": "84.128.1.1", "network": "tor"}, ["tor_address"]),
        # … or with an older list of data centres than ours.
        ({"ip": "3.208.0.1", "network": "other"}, ["datacenter_address"]),
    ],
)
def test_networks_that_the_collector_looked_up(fields: dict, found: list[str]) -> None:
    assert reasons(**fields) == found


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"watch_ms": 15_000 * 50, "duration_ms": 15_000}, False),
        ({"watch_ms": 15_000 * 50 + 1, "duration_ms": 15_000}, True),
        ({"watch_ms": 9_000, "duration_ms": 0}, False),
        ({"watch_ms": 0, "duration_ms": 0}, False),
        ({"watch_ms": 86_400_001, "duration_ms": 86_400_001}, True),
        ({"watch_ms": 1_000, "interactions": 30}, False),
        ({"watch_ms": 1_000, "interactions": 31}, True),
        ({"occurred_at": 60_000, "sent_at": 0}, False),
        ({"occurred_at": 60_001, "sent_at": 0}, True),
        ({"platform": "tiktok", "screen": "0x0"}, True),
        ({"platform": "instagram", "screen": "390x0"}, True),
        ({"platform": "tiktok", "screen": "0x0", "visible_pct": 0}, False),
        ({"platform": "tiktok", "screen": "390x844"}, False),
        ({"platform": "tiktok", "screen": "unknown"}, False),
        ({"platform": "web", "screen": "0x0"}, False),  # add-ons against fingerprinting say so
        ({"user_agent": "Lynx/2.9.0dev.12 libwww-FM/2.14"}, True),
        ({"user_agent": "Links (2.29; Linux 6.1 x86_64; GNU C 12.2; text)"}, True),
        ({"user_agent": "LinksLike/1.0"}, False),
    ],
)
def test_impossible_values(fields: dict, wrong: bool) -> None:
    assert reasons(**fields) == (["impossible_values"] if wrong else [])


def test_every_impossible_thing_says_why() -> None:
    assert len({rule.why for rule in IMPOSSIBLE}) == len(IMPOSSIBLE) == 6


def test_reasons_add_up() -> None:
    found = reasons(user_agent="curl/8.0", ip="3.208.0.1", watch_ms=99, duration_ms=1)
    bits = (Reason.DECLARED_BOT, Reason.DATACENTER_ADDRESS, Reason.IMPOSSIBLE_VALUES)
    assert found == [bit.name.lower() for bit in bits]


def test_without_ipcat_there_are_no_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "IPCAT", tmp_path / "gone")
    with pytest.raises(ListsError, match="install viewledger again"):
        load_lists.__wrapped__()


def test_networks_of_files_and_more_bots(tmp_path: Path) -> None:
    vpn, tor = tmp_path / "vpn", tmp_path / "tor"
    vpn.write_text("3.208.0.0/24\n")
    tor.write_text("3.208.0.9\n2001:db8::5\n")
    found = lists_of(Networks({"vpn": vpn, "tor": tor}), [re.compile("OurMonitor")], "abc")
    assert re.fullmatch(
        r"crawler-user-agents-[\d.]+\+crawlers-abc\+ipcat-\w{8}\+vpn-\w{8}\+tor-\w{8}",
        found.version,
    )
    for fields, expected in (
        ({"ip": "3.208.1.1"}, ["datacenter_address"]),
        ({"ip": "3.208.0.1"}, []),
        ({"ip": "3.208.0.1", "network": "datacenter"}, []),
        ({"ip": "3.208.0.9"}, ["tor_address"]),
        ({"ip": "3.208.0.9", "network": "vpn"}, ["tor_address"]),
        ({"ip": "2001:db8::5"}, ["tor_address"]),
        ({"ip": "2001:db8:0:1::5"}, []),
        ({"user_agent": "OurMonitor/1"}, ["declared_bot"]),
        ({"user_agent": "curl/8.0"}, ["declared_bot"]),
    ):
        assert reasons(found, **fields) == expected, fields
