"""What becomes of the views of one hour of the log when they are judged again."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from models.batch import Batch
from models.hindsight import flags
from models.judge import Judge
from pipeline.settlement.held import Features, judge_held
from pipeline.settlement.read import Views, read_views
from pipeline.settlement.repeats import repeats, repeats_of_corrected, repeats_of_forgotten
from schemas.verdicts import Reason, Verdict
from sinks.clickhouse import Client
from sinks.correct_types import Change

HOUR = timedelta(hours=1)
LOOK_BACK = timedelta(hours=6)


def judge_hour(
    client: Client,
    judge: Judge,
    features: Features,
    hour: datetime,
    look_ahead: timedelta,
    reach: timedelta,
) -> list[Change]:
    """The changes of verdict, in the order of the log; a function of the log and the models.

    Args:
        features: for the held ones.
        look_ahead: how much of what came in after the hour is looked at.
        reach: how far around it other views of the same day are looked for.
    """
    end = hour + HOUR
    around = read_views(client, hour - LOOK_BACK, end + look_ahead)
    times = around.batch.log_time
    first, last = np.searchsorted(times, [_ms(hour), _ms(end)]).tolist()
    views = Views(around.rows.slice(first, last - first), _cut(around, first, last))
    became, reasons = views.verdict.astype(np.uint8), views.rows["reasons"].to_numpy().copy()
    held = became == Verdict.HELD
    if held.any():
        judged = judge_held(judge, views, features.of_hour(hour, views))
        became[held], reasons[held] = judged.verdict[held], judged.reasons[held]
    against: dict[int, list[str]] = {}
    for name, flagged in flags(around.batch).items():
        for row in np.flatnonzero(flagged[first:last] & (became == Verdict.VALID)).tolist():
            against.setdefault(row, []).append(name)
    became[list(against)] = Verdict.INVALID
    again: set[int] = set()
    if held.any():
        rows = np.flatnonzero(held & (became == Verdict.VALID)).tolist()
        again = repeats(client, views, rows, hour, end, reach)
    valid = np.flatnonzero((views.verdict == Verdict.VALID) & (became == Verdict.VALID)).tolist()
    again |= repeats_of_corrected(client, views, valid, hour, end, reach)
    again |= repeats_of_forgotten(client, views, valid, hour, end, reach)
    for row in again:
        became[row] = Verdict.UNQUALIFIED
        reasons[row] |= Reason.REPEAT_VIEW.bit
    changed = np.flatnonzero(became != views.verdict).tolist()
    return list(_changes(views, changed, became.tolist(), reasons.tolist(), against))


def _changes(
    views: Views,
    changed: list[int],
    became: list[int],
    reasons: list[int],
    against: dict[int, list[str]],
) -> Iterator[Change]:
    rows = views.rows.take(pa.array(changed, pa.int64())).to_pylist()  # also where none is
    for place, row in zip(changed, rows, strict=True):
        yield Change(
            row["partition"],
            row["raw_offset"],
            row["scored_offset"],
            row["event_id"],
            row["log_time"],
            row["campaign_id"],
            row["promoter_id"],
            row["currency"],
            row["rate_micros"],
            Verdict(row["verdict"]),
            row["reasons"],
            Verdict(became[place]),
            reasons[place],
            ", ".join(against.get(place, [])),
        )


def _ms(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _cut(views: Views, first: int, last: int) -> Batch:
    columns = (column[first:last] for column in views.batch)
    return Batch(*columns)  # type: ignore[arg-type]
