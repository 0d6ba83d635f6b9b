"""What a shadow would have paid otherwise, in views and in money."""

from datetime import datetime

import msgspec

from schemas.verdicts import Reason
from sinks.clickhouse import Client

# What the champion's score decides is taken away from the reasons; what is left binds the shadow
# as well. A repeat is one only beside a view that is paid, so the shadow has its own repeats.
_DIFFERENCE = """
WITH
    judged AS
    (
        SELECT partition, raw_offset, log_time, promoter_id, currency, rate_micros, viewer_id,
            post_id, toDate(viewed_at) AS day, verdict = 'valid' AS paid,
            bitAnd(reasons, {others:UInt32}) = 0
                AND shadow_scores[at] < thresholds[at] AS payable
        FROM views
        INNER JOIN
        (
            SELECT partition, scored_offset, shadow_thresholds AS thresholds,
                indexOf(shadows, {version:String}) AS at
            FROM blocks WHERE has(shadows, {version:String})
        ) AS watched USING (partition, scored_offset)
        WHERE log_time >= {since:DateTime64(3, 'UTC')} AND log_time < {until:DateTime64(3, 'UTC')}
            AND length(shadow_scores) >= at
    ),
    would AS
    (
        SELECT partition, raw_offset FROM judged WHERE payable
        ORDER BY log_time, raw_offset LIMIT 1 BY viewer_id, post_id, day
    )
SELECT promoter_id, currency, count() AS rows,
    sum(paid) AS champion_views,
    sum(pays) AS shadow_views,
    sum(paid AND NOT pays) AS denied_views,
    sumIf(rate_micros, paid AND NOT pays) AS denied_micros,
    sum(pays AND NOT paid) AS granted_views,
    sumIf(rate_micros, pays AND NOT paid) AS granted_micros
FROM
(
    SELECT *, (partition, raw_offset) IN (SELECT partition, raw_offset FROM would) AS pays
    FROM judged
)
GROUP BY promoter_id, currency
ORDER BY denied_micros + granted_micros DESC, promoter_id, currency
"""
_OTHERS = 0xFFFFFFFF & ~(Reason.MODEL_SCORE.bit | Reason.REPEAT_VIEW.bit)


class Difference(msgspec.Struct, frozen=True):
    """Of one promoter in one currency."""

    promoter_id: str
    currency: str
    views: int
    """That both have scored."""
    champion_views: int
    """Paid by the champion."""
    shadow_views: int
    """That the shadow would have paid."""
    denied_views: int
    """Paid by the champion, and the shadow would not have."""
    denied_micros: int
    granted_views: int
    """The other way round."""
    granted_micros: int

    @property
    def moved_micros(self) -> int:
        """Money that would have gone another way."""
        return self.denied_micros + self.granted_micros


def shadow_versions(client: Client, since: datetime, until: datetime) -> list[str]:
    """The shadows that scored anything in a period."""
    rows = client.query(
        "SELECT DISTINCT arrayJoin(shadows) AS shadow FROM blocks"
        " WHERE scored_time >= {since:DateTime64(3, 'UTC')}"
        " AND scored_time < {until:DateTime64(3, 'UTC')} ORDER BY shadow",
        parameters={"since": since, "until": until},
    ).result_rows
    return [row[0] for row in rows]


def shadow_report(
    client: Client, version: str, since: datetime, until: datetime
) -> list[Difference]:
    """The difference to a shadow, per promoter and currency, the most money first.

    Counts the views that both have scored. Budgets are not looked at: what is beyond them is
    paid by nobody.

    Args:
        version: as the shadow's card has it.
        since: of the log time, as is `until`, which is left out itself.
    """
    rows = client.query(
        _DIFFERENCE,
        parameters={"version": version, "since": since, "until": until, "others": _OTHERS},
    ).result_rows
    return [Difference(*row) for row in rows]
