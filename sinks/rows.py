"""A block of `views.scored` as rows of the ClickHouse tables."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.block import VERSION_KEYS, Block
from schemas.fencing import Stamp
from schemas.verdicts import Refusal, Verdict

_TIMES = ("log_time", "viewed_at", "occurred_at", "sent_at", "received_at")
_MS = pa.timestamp("ms", "UTC")
_LABELS = pa.array([""] + [refusal.label for refusal in Refusal])
_COUNTS = pa.map_(pa.string(), pa.uint32())
_FLOATS = ("features", "shadow_scores")


class Counts(NamedTuple):
    """What became of the events of one block."""

    accepted: int
    duplicates: int
    rejected: int


def count(block: Block) -> Counts:
    """Accepted, duplicates and rejected of a block."""
    duplicates = _tally(block.refused["refusal"]).get(Refusal.DUPLICATE, 0)
    return Counts(len(block.accepted), duplicates, len(block.refused) - duplicates)


def view_rows(partition: int, scored_offset: int, block: Block) -> pa.Table:
    """Rows of the table `views`, one per accepted view."""
    columns = _columns(block.accepted)
    columns["verdict"] = columns["verdict"].cast(pa.int8())
    columns |= {name: _unpacked(columns[name]) for name in _FLOATS}
    for key in VERSION_KEYS:
        columns[key] = pa.repeat(block.versions[key], len(block.accepted))
    return _located(partition, scored_offset, columns)


def rejected_rows(partition: int, scored_offset: int, block: Block) -> pa.Table:
    """Rows of the table `views_rejected`, one per event that was not accepted."""
    columns = _columns(block.refused)
    columns["reason"] = pa.DictionaryArray.from_arrays(
        columns.pop("refusal").cast(pa.int32()), _LABELS
    )
    return _located(partition, scored_offset, columns)


def block_row(
    partition: int, scored_offset: int, scored_time_ms: int, stamp: Stamp, block: Block
) -> pa.Table:
    """The row of the table `blocks`."""
    verdicts = _tally(block.accepted["verdict"])
    refusals = _tally(block.refused["refusal"])
    row = {
        "epoch": stamp.epoch,
        "writer": stamp.writer,
        "raw_from": stamp.raw_from,
        "raw_next": stamp.raw_next,
        "holes": stamp.holes,
        "scored_time": pa.scalar(scored_time_ms, pa.int64()).cast(_MS),
        **count(block)._asdict(),
        "verdicts": pa.scalar([(Verdict(v).name.lower(), n) for v, n in verdicts.items()], _COUNTS),
        "refusals": pa.scalar([(Refusal(r).label, n) for r, n in refusals.items()], _COUNTS),
        "features_digest": block.features_digest,
        "shadows": pa.scalar([one.version for one in block.shadows], pa.list_(pa.string())),
        "shadow_thresholds": pa.scalar(
            [one.threshold for one in block.shadows], pa.list_(pa.float32())
        ),
    }
    return _located(partition, scored_offset, {name: pa.repeat(v, 1) for name, v in row.items()})


def _columns(table: pa.Table) -> dict[str, pa.Array]:
    """One array per column, times as timestamps: nothing is copied where it need not be."""
    batch = table.combine_chunks().to_batches()[0] if len(table) else None
    columns = {} if batch is None else dict(zip(table.column_names, batch.columns, strict=True))
    if batch is None:
        columns = {field.name: pa.array([], field.type) for field in table.schema}
    return {
        name: column.view(_MS) if name in _TIMES else column for name, column in columns.items()
    }


def _unpacked(column: pa.Array) -> pa.Array:
    """Binary rows of float32 as lists of them, an empty one for null."""
    if column.null_count:
        column = pc.fill_null(column, b"")
    _, ends, data = column.buffers()
    offsets = np.frombuffer(ends or bytes(4), np.int32)[column.offset :][: len(column) + 1] // 4
    values = pa.array(np.frombuffer(data or b"", "<f4"))
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _located(partition: int, scored_offset: int, columns: dict[str, pa.Array]) -> pa.Table:
    rows = len(next(iter(columns.values())))
    return pa.table(
        {
            "partition": pa.repeat(pa.scalar(partition, pa.uint16()), rows),
            "scored_offset": pa.repeat(pa.scalar(scored_offset, pa.uint64()), rows),
            **columns,
        }
    )


def _tally(column: pa.ChunkedArray) -> dict[int, int]:
    counted = pc.value_counts(column).to_pylist()
    return {
        entry["values"]: entry["counts"] for entry in sorted(counted, key=lambda e: e["values"])
    }
