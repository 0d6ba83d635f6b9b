"""Views of ClickHouse in the order of the log, as the columns that judging takes."""

from datetime import datetime
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from models.batch import Batch, batch_of_columns
from schemas.block import ACCEPTED
from sinks.clickhouse import Client

_LEFT_OUT = {"verdict", "reasons", "score", "attrs", "referrer", "features", "shadow_scores"}
_FIELDS = [field for field in ACCEPTED if field.name not in _LEFT_OUT]
_PLACE = "toUInt16(partition) AS partition, toUInt64(scored_offset) AS scored_offset"


class Views(NamedTuple):
    """n views in the order of log time, partition and offset."""

    rows: pa.Table
    """Columns of `schemas.block.ACCEPTED`, with `partition`, `scored_offset`, `verdict`,
    `reasons`."""
    batch: Batch

    @property
    def verdict(self) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
        """`schemas.verdicts.Verdict`, int8[n], as judged when they came in."""
        found: np.ndarray[tuple[int], np.dtype[np.int8]] = self.rows["verdict"].to_numpy()
        return found


def read_views(client: Client, start: datetime, end: datetime) -> Views:
    """All views with a log time in `[start, end)`."""
    columns = ", ".join(_expression(field) for field in _FIELDS)
    rows = client.query_arrow(
        f"SELECT {_PLACE}, toInt8(verdict) AS verdict, toUInt32(reasons) AS reasons, {columns}"  # noqa: S608
        " FROM views WHERE views.log_time >= {start:DateTime64(3, 'UTC')}"
        " AND views.log_time < {end:DateTime64(3, 'UTC')}"
        " ORDER BY views.log_time, views.partition, views.raw_offset",
        parameters={"start": start, "end": end},
    )
    for place, name in enumerate(rows.column_names):
        if name in ACCEPTED.names and name not in _LEFT_OUT:
            kind = ACCEPTED.field(name).type
            rows = rows.set_column(place, name, rows[name].cast(kind))
    rows = rows.combine_chunks()
    arrays = {name: _whole(rows[name]) for name in rows.column_names}
    return Views(rows, batch_of_columns(arrays))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _expression(field: pa.Field) -> str:
    name = f"views.{field.name}"
    if field.name in ("log_time", "viewed_at", "occurred_at", "sent_at", "received_at"):
        return f"toUnixTimestamp64Milli({name}) AS {field.name}"
    if pa.types.is_string(field.type):
        kind = "Nullable(String)" if field.nullable else "String"
        return f"CAST({name}, '{kind}') AS {field.name}"
    return f"{name} AS {field.name}"
