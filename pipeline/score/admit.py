"""Step 2: which views may be judged: known, running, in time.

Every check compares columns; only a refused event is touched by itself.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.score.refuse import Refused, refuse_view
from schemas.catalogue import Campaign, Catalogue
from schemas.verdicts import Refusal
from schemas.view import View

Millis = npt.NDArray[np.int64]
_HEADERS = attrgetter("headers")
REPLAY_HEADER = "replay_log_time"
_DIGITS = 18


class Clock(NamedTuple):
    """The accept window."""

    late_ms: int
    future_ms: int


class Times(NamedTuple):
    """The times of n views, each int64 ms, shape (n,)."""

    log_time: Millis
    """When the broker wrote this message."""
    judged_at: Millis
    """The log time that lateness is measured by: of the first attempt, if this is a replay."""
    viewed_at: Millis
    """`occurred_at` with the client's clock corrected by `received_at - sent_at`."""
    received_at: Millis


def times_of(views: Sequence[View], records: Sequence[Any]) -> Times:
    """Corrects the client clocks."""
    log_time = np.array([record.timestamp for record in records], np.int64)
    judged_at = log_time
    if any(map(_HEADERS, records)):
        judged_at = np.array([first_attempt(record) for record in records], np.int64)
    occurred_at = np.array([view.occurred_at for view in views], np.int64)
    sent_at = np.array([view.sent_at for view in views], np.int64)
    # 0 is no time that a collector could have stamped, so it can stand for "not set".
    received_at = np.array([view.received_at or 0 for view in views], np.int64)
    received_at = np.where(received_at == 0, judged_at, received_at)
    return Times(log_time, judged_at, occurred_at + (received_at - sent_at), received_at)


def first_attempt(record: Any) -> int:
    """The log time, ms, of the first attempt of a replay; of anything else its own."""
    for name, value in record.headers or ():
        # Kafka lets a header be null, or as long as it likes.
        if name == REPLAY_HEADER and value and len(value) <= _DIGITS and value.isdigit():
            return min(int(value), int(record.timestamp))
    return int(record.timestamp)


def admit(
    views: Sequence[View],
    records: Sequence[Any],
    times: Times,
    catalogue: Catalogue,
    clock: Clock,
) -> tuple[npt.NDArray[np.bool_], list[Refused]]:
    """Which of n views may be judged (bool, shape (n,)), and the others with their reasons."""
    n = len(views)
    refusals = np.zeros(n, np.uint8)

    def refuse(where: npt.NDArray[np.bool_], refusal: Refusal) -> None:
        refusals[where & (refusals == 0)] = refusal

    _check_promoters(views, catalogue, refuse)
    _check_campaigns(views, times.viewed_at, catalogue, refuse)
    refuse(times.viewed_at < times.judged_at - clock.late_ms, Refusal.TOO_LATE)
    refuse(times.viewed_at > times.judged_at + clock.future_ms, Refusal.IN_FUTURE)
    refused = [
        refuse_view(views[i], records[i], Refusal(refusals[i]), _DETAIL[Refusal(refusals[i])])
        for i in np.flatnonzero(refusals).tolist()
    ]
    return refusals == 0, refused


def _check_promoters(views: Sequence[View], catalogue: Catalogue, refuse: Any) -> None:
    codes = _PROMOTER_CODES
    known = catalogue.promoters
    status = {
        promoter_id: codes[known[promoter_id].status] if promoter_id in known else 0
        for promoter_id in {view.promoter_id for view in views}
    }
    states = np.array([status[view.promoter_id] for view in views], np.uint8)
    refuse(states == 0, Refusal.UNKNOWN_PROMOTER)
    refuse(states == codes["suspended"], Refusal.PROMOTER_SUSPENDED)


def _check_campaigns(
    views: Sequence[View], viewed_at: Millis, catalogue: Catalogue, refuse: Any
) -> None:
    number: dict[str, int] = {}
    rows = np.array([number.setdefault(view.campaign_id, len(number)) for view in views], np.int64)
    found = [catalogue.campaigns.get(campaign_id) for campaign_id in number]
    known = np.array([campaign is not None for campaign in found], np.bool_)
    status = np.array(["" if campaign is None else campaign.status for campaign in found])
    starts = np.array([_millis(campaign, "starts_at") for campaign in found], np.int64)
    ends = np.array([_millis(campaign, "ends_at") for campaign in found], np.int64)
    if not len(rows):
        return
    refuse(~known[rows], Refusal.UNKNOWN_CAMPAIGN)
    refuse(viewed_at < starts[rows], Refusal.CAMPAIGN_NOT_STARTED)
    refuse((viewed_at >= ends[rows]) | (status == "ended")[rows], Refusal.CAMPAIGN_ENDED)
    refuse((status == "paused")[rows], Refusal.CAMPAIGN_PAUSED)


def _millis(campaign: Campaign | None, name: str) -> int:
    if campaign is None:
        return 0
    at: datetime = getattr(campaign, name)
    return int((at - _EPOCH).total_seconds() * 1000)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROMOTER_CODES = {"active": 1, "suspended": 2}
_DETAIL = {
    Refusal.UNKNOWN_CAMPAIGN: "campaign_id is not in the catalogue",
    Refusal.UNKNOWN_PROMOTER: "promoter_id is not in the catalogue",
    Refusal.CAMPAIGN_NOT_STARTED: "viewed before the campaign's starts_at",
    Refusal.CAMPAIGN_ENDED: "viewed at or after the campaign's ends_at, or its status is ended",
    Refusal.CAMPAIGN_PAUSED: "the campaign's status is paused",
    Refusal.PROMOTER_SUSPENDED: "the promoter's status is suspended",
    Refusal.TOO_LATE: "viewed longer before its log time than the accept window",
    Refusal.IN_FUTURE: "viewed later than its log time: the client's clock is wrong",
}
