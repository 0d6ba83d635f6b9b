"""What of an event can be put on the operator's lists."""

import pyarrow as pa

from models.batch import devices_of
from schemas.operator_lists import Entity
from schemas.settings import Settings
from sinks import clickhouse

_EVENT = """
    SELECT ip, viewer_id, promoter_id, user_agent, screen, language, tz_offset_min
    FROM views WHERE event_id = {event:String} LIMIT 1
"""


def entities_of(settings: Settings, event_id: str) -> dict[Entity, str | None] | None:
    """The entities of a view, None for each that is not known; None where there is no such view.

    An address that was hashed by the collector is not known.

    Raises:
        clickhouse_connect.driver.exceptions.Error: ClickHouse does not answer.
    """
    client = clickhouse.connect(settings.url("clickhouse"))
    rows = client.query(_EVENT, parameters={"event": event_id}).result_rows
    if not rows:
        return None
    ip, viewer_id, promoter_id, *looks, tz = rows[0]
    agent, screen, language = (pa.array([one], pa.string()) for one in looks)
    device = int(devices_of(agent, screen, language, pa.array([tz], pa.int16()))[0])
    return {
        "ip": ip,
        "device": f"{device:016x}" if device else None,
        "viewer": viewer_id,
        "promoter": promoter_id,
    }
