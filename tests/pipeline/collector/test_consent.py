"""What is kept of whom: the table of docs/privacy.md."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from support.events import event

from models import lists, networks
from pipeline.collector import consent
from pipeline.collector.consent import policy, strip
from schemas.settings import Settings
from schemas.view import View

WISHES = ("ignore", "strip", "drop")
MEANS = {"ignore": "keep", "strip": "strip", "drop": "drop"}
wishes = st.sampled_from(WISHES)


@given(wishes, wishes, st.booleans())
def test_who_agreed_is_kept(no_consent: Any, do_not_track: Any, flag: bool) -> None:
    found = Settings(no_consent=no_consent, do_not_track=do_not_track)
    assert policy("granted", flag, found) == "keep"
    assert policy(None, False, found) == "keep"


@given(wishes, wishes)
def test_each_wish_has_its_setting_and_of_two_the_stricter_counts(
    no_consent: Any, do_not_track: Any
) -> None:
    found = Settings(no_consent=no_consent, do_not_track=do_not_track)
    assert policy("denied", False, found) == MEANS[no_consent]
    assert policy(None, True, found) == MEANS[do_not_track]
    stricter = max(no_consent, do_not_track, key=WISHES.index)
    assert policy("denied", True, found) == MEANS[stricter]


FULL: dict[str, Any] = {
    "ip": "84.128.1.1",
    "ip_hash": "00112233445566aa",
    "ip_prefix_hash": "00112233445566bb",
    "network": "datacenter",
    "user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) Safari/604.1",
    "client_hints": 'platform="iOS"',
    "received_at": 1_790_000_000_000,
    "interactions": 3,
    "muted": True,
    "autoplay": False,
    "screen": "390x844",
    "language": "de",
    "tz_offset_min": 60,
    "referrer": "https://example.com/?who=me",
    "attrs": {"who": "me"},
    "collector": "collector-1",
    "consent": "denied",
}
STAYS = {"network", "received_at", "interactions", "muted", "autoplay", "collector", "consent"}


def stripped(**changes: Any) -> dict[str, Any]:
    found = View(**event(**FULL | changes))
    strip(found)
    return {name: getattr(found, name) for name in View.__struct_fields__}


def test_what_tells_people_apart_is_gone_and_the_view_still_counts() -> None:
    left = stripped()
    assert {name for name in FULL if left[name] == FULL[name]} == STAYS
    assert {left[name] for name in FULL.keys() - STAYS - {"attrs"}} == {None}
    assert left["attrs"] is UNSET
    assert {name: left[name] for name in event()} == event()


def test_a_new_field_is_thought_of() -> None:
    assert {*FULL, *event()} == set(View.__struct_fields__)


def test_a_declared_bot_does_not_hide_behind_a_flag() -> None:
    assert stripped(user_agent="Googlebot/2.1")["user_agent"] == "Googlebot/2.1"
    assert stripped(user_agent=None)["user_agent"] is None


def test_without_the_list_of_bots_nobody_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "IPCAT", tmp_path / "gone")
    monkeypatch.setattr(consent, "load_lists", lists.load_lists.__wrapped__)
    assert stripped(user_agent="Googlebot/2.1")["user_agent"] is None
