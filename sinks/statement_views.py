"""Views of a promoter that were not paid, from ClickHouse."""

from datetime import datetime

import msgspec

from sinks.clickhouse import Client


class Unpaid(msgspec.Struct, frozen=True):
    """Views that came in during the period and were not paid."""

    campaign_id: str
    """Empty where the event could not be read so far."""
    verdict: str
    """`unqualified`, `invalid`, `held`; `rejected` or `duplicate` where it was not accepted."""
    reasons: list[str]
    """All of them; a view is counted once."""
    views: int


_NOT_VALID = """
    SELECT campaign_id, verdict, reason_names, count()
    FROM views
    WHERE promoter_id = {promoter:String} AND verdict != 'valid'
        AND log_time >= {from:DateTime64(3, 'UTC')} AND log_time < {to:DateTime64(3, 'UTC')}
    GROUP BY campaign_id, verdict, reason_names
    ORDER BY campaign_id, verdict, reason_names
"""
_NOT_ACCEPTED = """
    SELECT ifNull(campaign_id, '') AS campaign,
        if(reason = 'duplicate', 'duplicate', 'rejected') AS verdict,
        if(reason = 'duplicate', [], [toString(reason)]) AS reasons, count()
    FROM views_rejected
    WHERE promoter_id = {promoter:String}
        AND log_time >= {from:DateTime64(3, 'UTC')} AND log_time < {to:DateTime64(3, 'UTC')}
    GROUP BY campaign, verdict, reasons ORDER BY campaign, verdict, reasons
"""


def load_unpaid(client: Client, promoter_id: str, from_: datetime, to: datetime) -> list[Unpaid]:
    """By campaign, verdict and reasons; log time in `[from_, to)`, to the millisecond."""
    parameters = {"promoter": promoter_id, "from": from_, "to": to}
    return [
        Unpaid(*row)
        for query in (_NOT_VALID, _NOT_ACCEPTED)
        for row in client.query(query, parameters=parameters).result_rows
    ]
