"""Step 6: accepted views and refused events to the two Arrow batches of a block."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from models.features import Matrix
from models.judge import Judged, Watched
from pipeline.score.refuse import Refused
from schemas.block import ACCEPTED, REFUSED, packed


class Opinion(NamedTuple):
    """What became of n views, and by what."""

    judged: Judged
    features: Matrix
    """float64[n, F], by which they were judged; a block keeps them as float32."""
    watched: Watched
    versions: dict[str, str]
    """As `schemas.block.encode_block` takes them."""


def judged_columns(opinion: Opinion) -> dict[str, pa.Array]:
    """The columns of `ACCEPTED` that judging adds to n views."""
    judged, shadow_scores = opinion.judged, opinion.watched.scores
    n = len(judged.verdict)
    return {
        "verdict": pa.array(judged.verdict),
        "reasons": pa.array(judged.reasons),
        # NaN is how "not judged" travels through numpy; in the log it is null.
        "score": pa.array(judged.score, pa.float32(), from_pandas=True),
        "features": packed(opinion.features),
        "shadow_scores": pa.nulls(n, pa.binary())
        if shadow_scores is None
        else packed(shadow_scores),
    }


def accepted_batch(columns: Mapping[str, pa.Array]) -> pa.RecordBatch:
    """n accepted views with their verdicts, by the schema `ACCEPTED`."""
    return _batch(columns, ACCEPTED)


def refused_batch(refused: Sequence[Refused]) -> pa.RecordBatch:
    """The refused events by the schema `REFUSED`, in the order of their offsets."""
    ordered = sorted(refused, key=lambda one: one.record.offset)
    made = {
        "raw_offset": [one.record.offset for one in ordered],
        "log_time": [one.record.timestamp for one in ordered],
        "refusal": np.array([one.refusal for one in ordered], np.uint8),
        "event_id": [one.event_id for one in ordered],
        "campaign_id": [one.campaign_id for one in ordered],
        "promoter_id": [one.promoter_id for one in ordered],
    }
    return _batch(made, REFUSED)


def _batch(made: Mapping[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, field.type)
        for field, column in ((field, made[field.name]) for field in schema)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
