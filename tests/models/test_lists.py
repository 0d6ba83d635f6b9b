import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.traffic import Event, batch_of, view

from models import lists
from models.lists import ListsError, givt_reasons, in_datacenter, load_lists
from schemas.verdicts import Reason, reason_labels


def reasons(**fields: object) -> list[str]:
    batch = batch_of([Event(view(**fields), 1_790_000_000_000, 1_790_000_000_000)])
    return reason_labels(int(givt_reasons(load_lists(), batch)[0]))


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


@given(st.data())
def test_ranges_include_both_ends_and_nothing_more(data: st.DataObject) -> None:
    found = load_lists()
    row = data.draw(st.integers(0, len(found.first) - 1))
    first, last = int(found.first[row]), int(found.last[row])
    edges = np.array([first - 1, first, last, last + 1], np.uint64)
    # Ranges that touch were joined, so next to one is outside.
    assert in_datacenter(found, edges).tolist() == [False, True, True, False]


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
    ],
)
def test_impossible_values(fields: dict, wrong: bool) -> None:
    assert reasons(**fields) == (["impossible_values"] if wrong else [])


def test_reasons_add_up() -> None:
    found = reasons(user_agent="curl/8.0", ip="3.208.0.1", watch_ms=99, duration_ms=1)
    bits = (Reason.DECLARED_BOT, Reason.DATACENTER_ADDRESS, Reason.IMPOSSIBLE_VALUES)
    assert found == [bit.name.lower() for bit in bits]


@pytest.mark.parametrize(
    "content", [None, b"not gzip", gzip.compress(b"5,4\n"), gzip.compress(b"x\n")]
)
def test_a_damaged_list_says_so(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "datacenters.csv.gz"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(lists, "_RANGES", path)
    with pytest.raises(ListsError, match="install viewledger again"):
        load_lists.__wrapped__()
