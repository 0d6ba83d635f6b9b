"""Step 5: accepted views and refused events to the two Arrow batches of a block."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from models.judge import Judged
from pipeline.score.admit import Times
from pipeline.score.decode import Refused
from schemas.block import ACCEPTED, REFUSED
from schemas.catalogue import Catalogue
from schemas.view import View


def accepted_batch(
    views: Sequence[View],
    records: Sequence[Any],
    times: Times,
    judged: Judged,
    catalogue: Catalogue,
) -> pa.RecordBatch:
    """n accepted views with their verdicts and prices, by the schema `ACCEPTED`."""
    campaigns = [catalogue.campaigns[view.campaign_id] for view in views]
    made: dict[str, Any] = {
        "raw_offset": [record.offset for record in records],
        "log_time": times.log_time,
        "viewed_at": times.viewed_at,
        "received_at": times.received_at,
        "attrs": _attrs(views),
        "currency": [campaign.currency for campaign in campaigns],
        "rate_micros": [campaign.rate_micros for campaign in campaigns],
        "verdict": judged.verdict,
        "reasons": judged.reasons,
        # NaN is how "not judged" travels through numpy; in the log it is null.
        "score": pa.array(judged.score, pa.float32(), from_pandas=True),
    }
    arrays = []
    for field in ACCEPTED:
        column = made.get(field.name)
        if column is None:
            column = list(map(_COLUMN[field.name], views))
        arrays.append(column if isinstance(column, pa.Array) else pa.array(column, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=ACCEPTED)


def refused_batch(refused: Sequence[Refused]) -> pa.RecordBatch:
    """The refused events by the schema `REFUSED`, in the order of their offsets."""
    ordered = sorted(refused, key=lambda one: one.record.offset)
    columns: list[Any] = [
        [one.record.offset for one in ordered],
        [one.record.timestamp for one in ordered],
        np.array([one.refusal for one in ordered], np.uint8),
        [one.event_id for one in ordered],
        [one.campaign_id for one in ordered],
        [one.promoter_id for one in ordered],
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, REFUSED, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=REFUSED)


def _attrs(views: Sequence[View]) -> pa.Array:
    texts = [
        None if view.attrs is msgspec.UNSET else msgspec.json.encode(view.attrs) for view in views
    ]
    return pa.array(texts, pa.binary()).cast(pa.string())


_COLUMN = {name: attrgetter(name) for name in View.__struct_fields__ if name in ACCEPTED.names}
