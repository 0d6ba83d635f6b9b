"""Views of a promoter that were not paid, from ClickHouse."""

from collections import Counter
from datetime import datetime
from typing import Any

import msgspec

from schemas.verdicts import Verdict, reason_labels
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
        AND (partition, raw_offset) NOT IN
            (SELECT partition, raw_offset FROM corrections WHERE promoter_id = {promoter:String})
        AND log_time >= {from:DateTime64(3, 'UTC')} AND log_time < {to:DateTime64(3, 'UTC')}
    GROUP BY campaign_id, verdict, reason_names
    ORDER BY campaign_id, verdict, reason_names
"""
_CORRECTED = """
    SELECT campaign_id, verdict, bits, rules, count()
    FROM
    (
        SELECT any(corrections.campaign_id) AS campaign_id,
            argMax((became, became_reasons, why, note), correction_id) AS last,
            last.1 AS verdict, last.2 AS bits,
            -- Where no bit says why, the note has the names of the rules of hindsight.
            if(last.3 = 'hindsight' AND bits = 0, last.4, '') AS rules
        FROM corrections
        WHERE promoter_id = {promoter:String}
            AND log_time >= {from:DateTime64(3, 'UTC')} AND log_time < {to:DateTime64(3, 'UTC')}
        GROUP BY partition, raw_offset
    )
    WHERE verdict != 'valid' GROUP BY campaign_id, verdict, bits, rules
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

    def ask(query: str) -> Any:
        return client.query(query, parameters=parameters).result_rows

    found: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
    for campaign_id, verdict, reasons, views in ask(_NOT_VALID):
        found[campaign_id, verdict, tuple(reasons)] += views
    for campaign_id, verdict, bits, rules, views in ask(_CORRECTED):
        reasons = [*reason_labels(bits), *filter(None, rules.split(", "))]
        found[campaign_id, verdict, tuple(reasons)] += views
    unpaid = [
        Unpaid(campaign_id, verdict, list(reasons), found[campaign_id, verdict, reasons])
        for campaign_id, verdict, reasons in sorted(found, key=_order)
    ]
    return unpaid + [Unpaid(*row) for row in ask(_NOT_ACCEPTED)]


def _order(key: tuple[str, str, tuple[str, ...]]) -> tuple[str, int, tuple[str, ...]]:
    campaign_id, verdict, reasons = key
    return campaign_id, Verdict[verdict.upper()], reasons
