"""Which views would be paid a second time for the same viewer, post and day."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from pipeline.score.policy import days_of
from pipeline.settlement.read import Views
from sinks.clickhouse import Client

# What became invalid later still counts here: its viewer is paid for nothing else that day.
_PAID = """
    SELECT viewer_id, post_id, toUInt32(intDiv(toUnixTimestamp64Milli(viewed_at), 86400000))
    FROM views
    WHERE log_time >= {first:DateTime64(3, 'UTC')} AND log_time < {last:DateTime64(3, 'UTC')}
        AND (verdict = 'valid' OR (partition, raw_offset) IN
            (SELECT partition, raw_offset FROM corrections WHERE became = 'valid'))
        AND (viewer_id, post_id) IN
        (
            SELECT viewer_id, post_id FROM views WHERE verdict = 'held'
                AND log_time >= {start:DateTime64(3, 'UTC')}
                AND log_time < {end:DateTime64(3, 'UTC')}
        )
"""

_DECIDED = """
    SELECT partition, raw_offset FROM corrections WHERE was = 'held'
        AND log_time >= {start:DateTime64(3, 'UTC')} AND log_time < {end:DateTime64(3, 'UTC')}
"""

_CORRECTED = """
    SELECT viewer_id, post_id, toUInt32(intDiv(toUnixTimestamp64Milli(viewed_at), 86400000)),
        partition, raw_offset
    FROM views
    WHERE log_time >= {first:DateTime64(3, 'UTC')} AND log_time < {last:DateTime64(3, 'UTC')}
        AND (partition, raw_offset) IN
            (SELECT partition, raw_offset FROM corrections WHERE became = 'valid'
                AND log_time >= {first:DateTime64(3, 'UTC')}
                AND log_time < {last:DateTime64(3, 'UTC')})
"""


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
    parameters = {"start": start, "end": end, "first": start - reach, "last": end + reach}
    seen = set(map(tuple, client.query(_PAID, parameters=parameters).result_rows))
    # What a person decided is in there if it is paid, and stands in nobody's place if it is not.
    decided = set(map(tuple, client.query(_DECIDED, parameters=parameters).result_rows))
    viewers, posts = views.rows["viewer_id"], views.rows["post_id"]
    partitions, offsets = views.rows["partition"], views.rows["raw_offset"]
    days = days_of(np.asarray(views.batch.viewed_at)).tolist()
    found = set()
    for row in rows:
        if (partitions[row].as_py(), offsets[row].as_py()) in decided:
            continue
        key = (viewers[row].as_py(), posts[row].as_py(), days[row])
        if key in seen:
            found.add(row)
        seen.add(key)
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
    paid: dict[tuple[object, ...], set[tuple[object, ...]]] = defaultdict(set)
    for *slot, partition, offset in client.query(_CORRECTED, parameters=parameters).result_rows:
        paid[tuple(slot)].add((partition, offset))
    if not paid:
        return set()
    viewers, posts, partitions, offsets = (
        views.rows[name].take(pa.array(rows, pa.int64())).to_pylist()
        for name in ("viewer_id", "post_id", "partition", "raw_offset")
    )
    days = days_of(np.asarray(views.batch.viewed_at))[rows].tolist()
    slots = zip(viewers, posts, days, strict=True)
    places = zip(partitions, offsets, strict=True)
    return {
        row
        for row, slot, place in zip(rows, slots, places, strict=True)
        if slot in paid and place not in paid[slot]
    }
