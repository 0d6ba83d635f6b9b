"""Views as they are by now, and which of them would be paid a second time."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from schemas.verdicts import Verdict
from sinks.clickhouse import Client

Slot = tuple[str, str, int]
"""Viewer, post and UTC day: of these one view is paid."""


class Subject(NamedTuple):
    """A view that somebody decides."""

    partition: int
    raw_offset: int
    scored_offset: int
    event_id: str
    log_time: int
    """ms."""
    campaign_id: str
    promoter_id: str
    currency: str
    rate_micros: int
    slot: Slot
    first: Verdict
    """When it came in."""
    verdict: Verdict
    """By now, as are the reasons."""
    reasons: int
    gained: bool
    """A correction has made it valid, whatever became of it since."""


class Held(NamedTuple):
    """Which held views are meant."""

    promoter_id: str
    campaign_id: str | None
    since: datetime
    until: datetime
    """Of the log time; left out itself."""


_EVENTS = "event_id IN {events:Array(String)}"
_HELD = """
    promoter_id = {promoter_id:String}
    AND campaign_id = ifNull({campaign_id:Nullable(String)}, campaign_id)
    AND log_time >= {since:DateTime64(3, 'UTC')} AND log_time < {until:DateTime64(3, 'UTC')}
"""
_DAY = "toUInt32(intDiv(toUnixTimestamp64Milli(viewed_at), 86400000))"
# What is meant is said of views and of corrections alike.
_SUBJECTS = """
    SELECT views.partition, views.raw_offset, scored_offset, event_id,
        toUnixTimestamp64Milli(log_time), campaign_id, promoter_id, currency, rate_micros,
        viewer_id, post_id, {day}, toString(verdict), reasons, last_became, last_reasons, gained
    FROM views
    LEFT JOIN
    (
        SELECT partition, raw_offset, argMax(became, correction_id) AS last_became,
            argMax(became_reasons, correction_id) AS last_reasons, max(became = 'valid') AS gained
        FROM corrections WHERE {meant} GROUP BY partition, raw_offset
    ) AS later ON later.partition = views.partition AND later.raw_offset = views.raw_offset
    WHERE {meant} {still}
    ORDER BY log_time, views.partition, views.raw_offset {limit}
"""
# What became invalid later still counts here: its viewer is paid for nothing else that day.
_CLAIMS = f"""
    SELECT viewer_id, post_id, {_DAY}, partition, raw_offset, verdict = 'valid', gained
    FROM
    (
        SELECT viewer_id, post_id, viewed_at, partition, raw_offset, verdict,
            (partition, raw_offset) IN
                (SELECT partition, raw_offset FROM corrections WHERE became = 'valid') AS gained
        FROM views
        WHERE log_time >= {{first:DateTime64(3, 'UTC')}}
            AND (viewer_id, post_id) IN
            (
                SELECT viewer_id, post_id FROM views
                WHERE log_time >= {{start:DateTime64(3, 'UTC')}}
                    AND log_time <= {{end:DateTime64(3, 'UTC')}} AND {_EVENTS}
            )
    )
    WHERE verdict = 'valid' OR gained
"""  # noqa: S608 - text of ours


def find_events(client: Client, event_ids: Sequence[str]) -> list[Subject]:
    """The views with these event ids, in the order of the log."""
    return _subjects(client, _EVENTS, {"events": list(event_ids)})


def find_held(client: Client, held: Held, most: int) -> list[Subject]:
    """The first ones that are held by now, in the order of the log."""
    still = "AND verdict = 'held' AND last_became = ''"
    return _subjects(client, _HELD, held._asdict(), still, f"LIMIT {most}")


def _subjects(
    client: Client, meant: str, parameters: dict[str, Any], still: str = "", limit: str = ""
) -> list[Subject]:
    query = _SUBJECTS.format(day=_DAY, meant=meant, still=still, limit=limit)
    found = []
    for row in client.query(query, parameters=parameters).result_rows:
        *place, viewer, post, day, first, reasons, became, later, gained = row
        found.append(
            Subject._make(
                (
                    *place,
                    (viewer, post, day),
                    Verdict[first.upper()],
                    Verdict[(became or first).upper()],
                    later if became else reasons,
                    bool(gained),
                )
            )
        )
    return found


def find_repeats(client: Client, subjects: Sequence[Subject], reach: timedelta) -> set[Subject]:
    """Those that must not be paid, because another view of their viewer, post and day was.

    A view that came in as valid goes before those that only a correction made valid, except where
    that was done without knowing of it; of several subjects the first one is paid.

    Args:
        subjects: in the order of the log.
        reach: log time within which views of one day can come in; replays come in later.
    """
    if not subjects:
        return set()
    start, end = (datetime.fromtimestamp(subjects[at].log_time / 1e3, UTC) for at in (0, -1))
    first_day = datetime.fromtimestamp(min(one.slot[2] for one in subjects) * 86_400, UTC)
    rows = client.query(
        _CLAIMS,
        parameters={
            "events": [one.event_id for one in subjects],
            "start": start,
            "end": end,
            "first": min(start, first_day) - reach,
        },
    ).result_rows
    claims: dict[Slot, list[tuple[int, int, bool, bool]]] = defaultdict(list)
    for viewer, post, day, *claim in rows:
        claims[viewer, post, day].append(tuple(claim))
    found: set[Subject] = set()
    taken: set[Slot] = set()
    for one in subjects:
        if one.gained:
            continue
        came_valid = one.first == Verdict.VALID
        others = [claim for claim in claims[one.slot] if claim[:2] != one[:2]]
        paid = any(gained or (valid and not came_valid) for *_, valid, gained in others)
        if paid or (one.slot in taken and not came_valid):
            found.add(one)
        taken.add(one.slot)
    return found
