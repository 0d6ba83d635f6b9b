"""Held views, judged by what was missing then: the features anew, from the log itself.

The engine of the stream is fed with all views from three days before the day on. What it counts
reaches back a day; how long a viewer is known, and the last views of who comes seldom, end there,
for every hour of a day at the same place, wherever a settlement began. All partitions come in the
order of their log time here, and all of it is remembered here: there is no Redis that could be
missing.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.engine.view import columns_of_batch
from models.features import Matrix, new_engine
from models.judge import Judge
from pipeline.score.policy import qualify
from pipeline.settlement.read import Views, read_views
from schemas.verdicts import Verdict
from sinks.clickhouse import Client

WARM_UP = timedelta(hours=72)
_HOUR = timedelta(hours=1)


class Verdicts(NamedTuple):
    """Of n views."""

    verdict: npt.NDArray[np.uint8]
    reasons: npt.NDArray[np.uint32]


class Features:
    """Features of all views of hours of the log, in their order."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._engine = new_engine()
        self._begin = self._at = datetime.min.replace(tzinfo=UTC)

    def of_hour(self, hour: datetime, views: Views) -> Matrix:
        """The features of the views of an hour, UTC; hours are asked for in their order."""
        begin = hour.replace(hour=0) - WARM_UP
        if begin != self._begin:
            self._engine, self._begin, self._at = new_engine(), begin, begin
        while self._at < hour:
            before = read_views(self._client, self._at, self._at + _HOUR)
            if len(before.rows):
                self._take(before)
            self._at += _HOUR
        self._at = hour + _HOUR
        return self._take(views)

    def _take(self, views: Views) -> Matrix:
        return self._engine.observe(columns_of_batch(views.batch))


def judge_held(judge: Judge, views: Views, features: Matrix) -> Verdicts:
    """The verdicts on all views of an hour, as the stream would give them with all at hand."""
    judged = judge.judge(views.batch, features, qualify(views.batch), velocity_up=True)
    assert not (judged.verdict == Verdict.HELD).any()
    return Verdicts(judged.verdict, judged.reasons)
