"""Known, running, in time."""

from datetime import UTC, datetime
from typing import Any

import pytest
from support.events import NOW, encode, record

from pipeline.score.admit import Clock, admit, times_of
from pipeline.score.decode import decode
from schemas.catalogue import Campaign, Catalogue, Promoter
from schemas.verdicts import Refusal

HOUR = 3_600_000
CLOCK = Clock(late_ms=24 * HOUR, future_ms=5 * 60_000)


def _at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _campaign(campaign_id: str, status: Any = "active", **changes: Any) -> Campaign:
    dates = {"starts_at": _at(NOW - 100 * HOUR), "ends_at": _at(NOW + 100 * HOUR)}
    return Campaign(
        campaign_id=campaign_id,
        currency="EUR",
        rate_micros=1_000,
        budget_micros=10,
        status=status,
        **(dates | changes),
    )


CATALOGUE = Catalogue(
    version=1,
    campaigns={
        "c-1": _campaign("c-1"),
        "paused": _campaign("paused", "paused"),
        "ended": _campaign("ended", "ended"),
        "past": _campaign("past", ends_at=_at(NOW)),
        "future": _campaign("future", starts_at=_at(NOW + 1)),
    },
    promoters={
        "p-1": Promoter(promoter_id="p-1", status="active"),
        "bad": Promoter(promoter_id="bad", status="suspended"),
    },
)


def _refusal(headers: Any = (), timestamp: int = NOW, **changes: Any) -> Refusal | None:
    records = [record(encode(**changes), timestamp=timestamp, headers=headers)]
    views, kept, refused = decode(records)
    assert not refused
    mask, refused = admit(views, kept, times_of(views, kept), CATALOGUE, CLOCK)
    assert mask.tolist() == [not refused]
    return refused[0].refusal if refused else None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"campaign_id": "c-9"}, Refusal.UNKNOWN_CAMPAIGN),
        ({"promoter_id": "p-9"}, Refusal.UNKNOWN_PROMOTER),
        ({"campaign_id": "paused"}, Refusal.CAMPAIGN_PAUSED),
        ({"campaign_id": "ended"}, Refusal.CAMPAIGN_ENDED),
        ({"campaign_id": "past"}, Refusal.CAMPAIGN_ENDED),
        ({"campaign_id": "past", "occurred_at": NOW - 1}, None),
        ({"campaign_id": "future"}, Refusal.CAMPAIGN_NOT_STARTED),
        ({"campaign_id": "future", "occurred_at": NOW + 1}, None),
        ({"promoter_id": "bad"}, Refusal.PROMOTER_SUSPENDED),
        ({"occurred_at": NOW - 24 * HOUR}, None),
        ({"occurred_at": NOW - 24 * HOUR - 1}, Refusal.TOO_LATE),
        ({"occurred_at": NOW + 5 * 60_000}, None),
        ({"occurred_at": NOW + 5 * 60_000 + 1}, Refusal.IN_FUTURE),
    ],
)
def test_refusals(changes: dict[str, Any], expected: Refusal | None) -> None:
    assert _refusal(**changes) == expected


def test_a_wrong_client_clock_is_corrected() -> None:
    skew = 90 * 24 * HOUR
    changes = {"occurred_at": NOW - HOUR - skew, "sent_at": NOW - skew, "received_at": NOW}
    assert _refusal(**changes) is None
    assert _refusal(**changes | {"received_at": ...}) is None


def test_a_scorer_that_was_down_for_days_judges_by_log_time() -> None:
    assert _refusal(timestamp=NOW + 23 * HOUR, received_at=NOW) is None
    assert _refusal(timestamp=NOW + 25 * HOUR, received_at=NOW) is Refusal.TOO_LATE


def test_a_replay_is_judged_by_the_log_time_of_its_first_attempt() -> None:
    week = 7 * 24 * HOUR
    first = (("replay_log_time", str(NOW).encode()),)
    assert _refusal(timestamp=NOW + week, received_at=NOW) is Refusal.TOO_LATE
    assert _refusal(timestamp=NOW + week, headers=first) is None
    assert _refusal(timestamp=NOW + week, headers=first, received_at=NOW) is None


@pytest.mark.parametrize(
    "value", [None, b"9" * 5_000, b"", b"-1", b"soon", str(NOW + 9 * HOUR).encode()]
)
def test_a_replay_header_cannot_claim_the_future(value: bytes | None) -> None:
    assert _refusal(headers=(("replay_log_time", value),)) is None
    late = NOW - 25 * HOUR
    assert _refusal(headers=(("replay_log_time", value),), occurred_at=late) is Refusal.TOO_LATE
