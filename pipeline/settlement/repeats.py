"""Which views would be paid a second time for the same viewer, post and day.

The stream remembers what it paid for as long as views of a day come in, and some time more. What
comes in still later is a replay of what was refused once, and is looked for here.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.score.policy import days_of
from pipeline.settlement.read import Views
from sinks.clickhouse import Client

Ints = npt.NDArray[np.int64]
Slot = tuple[str, str, int]
"""Viewer, post and day."""

_SLOT = "viewer_id, post_id, toUInt32(intDiv(toUnixTimestamp64Milli(viewed_at), 86400000))"
_PLACE = "toUnixTimestamp64Milli(log_time), partition, raw_offset"
_AROUND = "log_time >= {first:DateTime64(3, 'UTC')} AND log_time < {last:DateTime64(3, 'UTC')}"
_WITHIN = "log_time >= {start:DateTime64(3, 'UTC')} AND log_time < {end:DateTime64(3, 'UTC')}"
_GAINED = """(partition, raw_offset) IN
    (SELECT partition, raw_offset FROM corrections WHERE became = 'valid')"""

# What became invalid later still counts here: its viewer is paid for nothing else that day.
_PAID = f"""
    SELECT {_SLOT} FROM views
    WHERE {_AROUND} AND (verdict = 'valid' OR {_GAINED})
        AND (viewer_id, post_id) IN
            (SELECT viewer_id, post_id FROM views WHERE verdict = 'held' AND {_WITHIN})
"""  # noqa: S608 - text of ours

_DECIDED = f"SELECT partition, raw_offset FROM corrections WHERE was = 'held' AND {_WITHIN}"  # noqa: S608

_CORRECTED = f"""
    SELECT {_SLOT}, partition, raw_offset FROM views
    WHERE {_AROUND} AND (partition, raw_offset) IN
        (SELECT partition, raw_offset FROM corrections WHERE became = 'valid' AND {_AROUND})
"""  # noqa: S608

_FIRST = f"""
    SELECT {_SLOT}, min(({_PLACE})) FROM views
    WHERE {_AROUND} AND (verdict = 'valid' OR {_GAINED})
        AND (viewer_id, post_id) IN
        (
            SELECT viewer_id, post_id FROM views WHERE {_WITHIN} AND verdict = 'valid'
                AND viewed_at < log_time - toIntervalMillisecond({{reach_ms:Int64}})
        )
    GROUP BY ALL
"""  # noqa: S608


def repeats(
    client: Client,
    views: Views,
    rows: Sequence[int],
    start: datetime,
    end: datetime,
    reach: timedelta,
) -> set[int]:
    """Those of `rows` that are not the first valid view of their viewer, post and day.

    Args:
        views: of the stretch `[start, end)` of the log.
        rows: held ones that have nothing else against them, in the order of the log.
        reach: of log time around it, within which views of the same day can come in.
    """
    parameters = {
        "start": start,
        "end": end,
        "first": _oldest(views, rows, start) - reach,
        "last": end + reach,
    }
    seen = set(map(tuple, client.query(_PAID, parameters=parameters).result_rows))
    # What a person decided is in there if it is paid, and stands in nobody's place if it is not.
    decided = set(map(tuple, client.query(_DECIDED, parameters=parameters).result_rows))
    found = set()
    for row, slot, (_, *place) in _placed(views, rows):
        if tuple(place) in decided:
            continue
        if slot in seen:
            found.add(row)
        seen.add(slot)
    return found


def repeats_of_corrected(
    client: Client,
    views: Views,
    rows: Sequence[int],
    start: datetime,
    end: datetime,
    reach: timedelta,
) -> set[int]:
    """Those of `rows` that the stream paid, not knowing of a view that a correction made valid.

    Args:
        views: of the stretch `[start, end)` of the log.
        rows: valid ones.
        reach: as for `repeats`.
    """
    parameters = {"first": start - reach, "last": end + reach}
    paid: dict[Slot, set[tuple[int, int]]] = defaultdict(set)
    for *slot, partition, offset in client.query(_CORRECTED, parameters=parameters).result_rows:
        paid[tuple(slot)].add((partition, offset))
    if not paid:
        return set()
    return {
        row
        for row, slot, (_, *place) in _placed(views, rows)
        if slot in paid and tuple(place) not in paid[slot]
    }


def repeats_of_forgotten(
    client: Client,
    views: Views,
    rows: Sequence[int],
    start: datetime,
    end: datetime,
    reach: timedelta,
) -> set[int]:
    """Those of `rows` that the stream paid so late that it had forgotten an earlier one.

    Args:
        views: of the stretch `[start, end)` of the log.
        rows: valid ones.
        reach: as for `repeats`; the stream forgets nothing of a view that came in sooner after.
    """
    reach_ms = reach // timedelta(milliseconds=1)
    late = views.batch.log_time - views.batch.viewed_at > reach_ms
    rows = [row for row in rows if late[row]]
    if not rows:
        return set()
    parameters = {
        "start": start,
        "end": end,
        "first": _oldest(views, rows, start) - reach,
        "last": end,
        "reach_ms": reach_ms,
    }
    found = client.query(_FIRST, parameters=parameters).result_rows
    first = {tuple(slot): tuple(place) for *slot, place in found}
    return {row for row, slot, place in _placed(views, rows) if first.get(slot, place) < place}


def _placed(views: Views, rows: Sequence[int]) -> Iterator[tuple[int, Slot, tuple[int, int, int]]]:
    """Each row with its slot and its place: log time in ms, partition, offset."""
    names = ("viewer_id", "post_id", "log_time", "partition", "raw_offset")
    at = pa.array(rows, pa.int64())
    viewers, posts, *places = (views.rows[name].take(at).to_pylist() for name in names)
    slots = zip(viewers, posts, days_of(_viewed_at(views, rows)).tolist(), strict=True)
    return zip(rows, slots, zip(*places, strict=True), strict=True)


def _oldest(views: Views, rows: Sequence[int], start: datetime) -> datetime:
    """When the oldest of these views was viewed, or the start of the stretch if that is earlier."""
    oldest = _viewed_at(views, rows).min(initial=int(start.timestamp() * 1000))
    return datetime.fromtimestamp(oldest / 1e3, UTC)


def _viewed_at(views: Views, rows: Sequence[int]) -> Ints:
    return views.batch.viewed_at[np.array(rows, np.int64)]
