"""Promoters whose traffic looks bad beside that of everybody else, by the evidence of some days."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

import msgspec

from schemas.verdicts import Reason
from sinks.clickhouse import Client
from sinks.postgres import Connection
from sinks.review_queue import ListedView, listed

LEAST_VIEWS = 20
"""Of one kind of evidence: fewer say nothing."""
TIMES = 3
"""As much as everybody else's share: what is at least this bad is listed."""
NEAR = 0.5
"""From this part of a model's threshold on, a paid view is near it."""
_Z = 1.96

Kind = Literal["near", "model", "hindsight"]
Thresholds = Mapping[str, float]
"""By model version."""

_NEAR = f"""
    verdict = 'valid' AND score >= {NEAR} * transform(toString(model_version),
        {{versions:Array(String)}}, {{thresholds:Array(Float64)}}, 2.)
"""
_PERIOD = "log_time >= {since:DateTime64(3, 'UTC')} AND log_time < {until:DateTime64(3, 'UTC')}"
_EVIDENCE = f"""
    SELECT promoter_id, count(), countIf({_NEAR}), countIf(bitAnd(reasons, {{model:UInt32}}) != 0),
        countIf((partition, raw_offset) IN
            (SELECT partition, raw_offset FROM corrections
             WHERE why = 'hindsight' AND was = 'valid' AND became = 'invalid' AND {_PERIOD}))
    FROM views WHERE {_PERIOD} GROUP BY promoter_id
"""  # noqa: S608 - text of ours
_VIEWS = f"""
    SELECT event_id, log_time, campaign_id, promoter_id, toString(verdict), reasons, score,
        currency, rate_micros, toString(platform), watch_ms, partition, raw_offset
    FROM views
    WHERE promoter_id = {{promoter:String}} AND {_PERIOD} AND {_NEAR}
        AND (partition, raw_offset) NOT IN (SELECT partition, raw_offset FROM corrections)
    ORDER BY score DESC, log_time LIMIT {{most:UInt64}}
"""  # noqa: S608 - text of ours


class Evidence(msgspec.Struct, frozen=True):
    """Of one kind against a promoter."""

    kind: Kind
    """`near`: paid, with a score near the threshold. `model`: invalid by the model. `hindsight`:
    paid at first and taken back by settlement."""
    views: int
    share: float
    """Of the promoter's accepted views."""
    at_least: float
    """Where the 95 % interval of the share begins."""
    others: float
    """The share of all other promoters together."""
    listed: bool
    """Whether this puts a promoter on the list."""


class Suspect(msgspec.Struct, frozen=True):
    """A promoter, and what speaks against him."""

    promoter_id: str
    views: int
    """Accepted in the period."""
    excess: float
    """Views of the evidence beyond what others' shares would give."""
    evidence: list[Evidence]
    unpaid_micros: dict[str, int]
    """By currency: pending and payable."""
    reviewed: int
    """Views that people decided, ever."""
    found_invalid: int


def find_suspects(
    client: Client, conn: Connection, since: datetime, until: datetime, thresholds: Thresholds
) -> list[Suspect]:
    """Promoters under suspicion, the one with the most views beyond what is usual first.

    A promoter is listed by any kind of evidence of which he has `LEAST_VIEWS`, and whose share of
    his views is, at the lower end of its 95 % interval (Wilson's), over `TIMES` that of all
    others together.

    Args:
        since: of the log time, as is `until`, which is left out itself.
        thresholds: of the models that judged; without, nothing is near.
    """
    rows = client.query(_EVIDENCE, parameters=_parameters(since, until, thresholds)).result_rows
    totals = [sum(int(row[at]) for row in rows) for at in range(1, 5)]
    found = []
    for promoter, views, *counts in rows:
        evidence = [
            _weigh(kind, count, views, all_counts - count, totals[0] - views)
            for kind, count, all_counts in zip(get_args(Kind), counts, totals[1:], strict=True)
        ]
        against = [one for one in evidence if one.listed]
        if against:
            excess = sum(one.views - one.others * views for one in against)
            found.append((promoter, views, excess, evidence))
    found.sort(key=lambda one: (-one[2], one[0]))
    money, reviewed = _money(conn, found), _reviewed(conn, found)
    return [Suspect(*one, money.get(one[0], {}), *reviewed.get(one[0], (0, 0))) for one in found]


def near_views(
    client: Client,
    conn: Connection,
    promoter_id: str,
    since: datetime,
    until: datetime,
    thresholds: Thresholds,
    most: int,
) -> list[ListedView]:
    """Paid views of a promoter that nobody reviewed, those nearest to the threshold first."""
    reviewed = set(
        conn.execute(
            "SELECT partition, raw_offset FROM view_reviews WHERE promoter_id = %s", (promoter_id,)
        ).fetchall()
    )
    parameters = _parameters(since, until, thresholds)
    parameters |= {"promoter": promoter_id, "most": most + len(reviewed)}
    rows = client.query(_VIEWS, parameters=parameters, tz_mode="aware").result_rows
    return [listed(row[:-2]) for row in rows if tuple(row[-2:]) not in reviewed][:most]


def _parameters(since: datetime, until: datetime, thresholds: Thresholds) -> dict[str, Any]:
    known = {"": 2.0, **thresholds}  # never without any
    return {
        "since": since,
        "until": until,
        "model": Reason.MODEL_SCORE.bit,
        "versions": list(known),
        "thresholds": list(known.values()),
    }


def _weigh(kind: Kind, count: int, views: int, others: int, views_of_others: int) -> Evidence:
    usual = others / views_of_others if views_of_others else 0.0
    least = wilson(count, views)
    return Evidence(
        kind, count, count / views, least, usual, count >= LEAST_VIEWS and least > TIMES * usual
    )


def wilson(count: int, views: int) -> float:
    """Where the 95 % interval of the share `count / views` begins."""
    share, z2 = count / views, _Z * _Z
    middle = share + z2 / (2 * views)
    width = _Z * math.sqrt(share * (1 - share) / views + z2 / (4 * views * views))
    return max(0.0, (middle - width) / (1 + z2 / views))


def _money(conn: Connection, found: Sequence[tuple[Any, ...]]) -> dict[str, dict[str, int]]:
    rows = conn.execute(
        "SELECT owner_id, currency, sum(balance_micros)::bigint"
        " FROM accounts JOIN balances USING (account_id)"
        " WHERE kind IN ('promoter_pending', 'promoter_payable') AND owner_id = ANY (%s)"
        " GROUP BY owner_id, currency ORDER BY owner_id, currency",
        ([one[0] for one in found],),
    )
    money: dict[str, dict[str, int]] = {}
    for owner, currency, micros in rows:
        money.setdefault(owner, {})[currency] = micros
    return money


def _reviewed(conn: Connection, found: Sequence[tuple[Any, ...]]) -> dict[str, tuple[int, int]]:
    rows = conn.execute(
        "SELECT promoter_id, count(*), count(*) FILTER (WHERE decided = 'invalid')"
        " FROM view_reviews WHERE promoter_id = ANY (%s) GROUP BY promoter_id",
        ([one[0] for one in found],),
    )
    return {promoter: (views, invalid) for promoter, views, invalid in rows}
