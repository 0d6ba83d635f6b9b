"""The scored block: one message of `views.scored`, all that one raw range came to.

The value is two Arrow IPC streams, one after the other, compressed with zstd: the accepted
views (`ACCEPTED`) and the refused events (`REFUSED`). Every raw offset of the range
`[raw_from, raw_next)` that held an event is in exactly one of them, in ascending order.
What is the same for all rows (model, policy, lists) stands in the metadata of the first
stream. The headers are those of `schemas.fencing`.

`features` and `shadow_scores` are rows of little-endian float32: NaN in them is a value like any
other, and what was written is compared byte by byte.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

_MS = pa.int64()

ACCEPTED = pa.schema(
    [
        pa.field("raw_offset", pa.int64(), nullable=False),
        pa.field("log_time", _MS, nullable=False),  # ms, stamped by the broker
        pa.field("viewed_at", _MS, nullable=False),  # ms, occurred_at with the clock corrected
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("campaign_id", pa.string(), nullable=False),
        pa.field("promoter_id", pa.string(), nullable=False),
        pa.field("post_id", pa.string(), nullable=False),
        pa.field("platform", pa.string(), nullable=False),
        pa.field("viewer_id", pa.string(), nullable=False),
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("occurred_at", _MS, nullable=False),
        pa.field("sent_at", _MS, nullable=False),
        pa.field("received_at", _MS, nullable=False),
        pa.field("ip", pa.string()),
        pa.field("user_agent", pa.string()),
        pa.field("watch_ms", pa.int32(), nullable=False),
        pa.field("duration_ms", pa.int32(), nullable=False),
        pa.field("visible_pct", pa.float32(), nullable=False),
        pa.field("interactions", pa.int32()),
        pa.field("muted", pa.bool_()),
        pa.field("autoplay", pa.bool_()),
        pa.field("screen", pa.string()),
        pa.field("language", pa.string()),
        pa.field("tz_offset_min", pa.int16()),
        pa.field("referrer", pa.string()),
        pa.field("attrs", pa.string()),  # JSON object, or null
        pa.field("currency", pa.string(), nullable=False),
        pa.field("rate_micros", pa.int64(), nullable=False),  # the price at viewed_at
        pa.field("verdict", pa.uint8(), nullable=False),  # schemas.verdicts.Verdict
        pa.field("reasons", pa.uint32(), nullable=False),  # bits of schemas.verdicts.Reason
        pa.field("score", pa.float32()),  # probability of a bot; null where not judged
        # New fields come last and may be null: blocks from before them are read for ever.
        pa.field("ip_hash", pa.string()),
        pa.field("ip_prefix_hash", pa.string()),
        pa.field("network", pa.string()),
        pa.field("client_hints", pa.string()),
        pa.field("consent", pa.string()),
        pa.field("collector", pa.string()),
        pa.field("features", pa.binary()),  # float32[F], by which the model judged
        pa.field("shadow_scores", pa.binary()),  # float32, one for each of the block's shadows
    ]
)

_NEWER = frozenset(
    {
        "ip_hash",
        "ip_prefix_hash",
        "network",
        "client_hints",
        "consent",
        "collector",
        "features",
        "shadow_scores",
    }
)

REFUSED = pa.schema(
    [
        pa.field("raw_offset", pa.int64(), nullable=False),
        pa.field("log_time", _MS, nullable=False),
        pa.field("refusal", pa.uint8(), nullable=False),  # schemas.verdicts.Refusal
        pa.field("event_id", pa.string()),  # null where it could not be read
        pa.field("campaign_id", pa.string()),
        pa.field("promoter_id", pa.string()),
    ]
)

VERSION_KEYS = ("model_version", "policy_version", "lists_version")
FEATURES_KEY, SHADOWS_KEY = "features_digest", "shadows"
"""May be missing: the digest of what `features` mean, and the `Shadow`s as JSON."""


class Shadow(NamedTuple):
    """A model that scored the rows beside the one that judged them."""

    version: str
    threshold: float
    """From this score on it takes a view for a bot's."""


class Block(NamedTuple):
    """A decoded block."""

    accepted: pa.Table
    refused: pa.Table
    versions: Mapping[str, str]
    """`model_version`, `policy_version`, `lists_version` of every accepted row."""

    @property
    def features_digest(self) -> str:
        """What `features` mean; empty where the block has none."""
        return self.versions.get(FEATURES_KEY, "")

    @property
    def shadows(self) -> list[Shadow]:
        """Whose scores `shadow_scores` are, in their order."""
        text = self.versions.get(SHADOWS_KEY, "[]")
        return msgspec.json.decode(text, type=list[Shadow])


def packed(rows: npt.NDArray[np.float64 | np.float32]) -> pa.Array:
    """The rows of a matrix [n, k] as n values of k float32 each."""
    n, k = rows.shape
    data = np.ascontiguousarray(rows, "<f4")
    ends = np.arange(n + 1, dtype=np.int32) * np.int32(4 * k)
    return pa.Array.from_buffers(pa.binary(), n, [None, pa.py_buffer(ends), pa.py_buffer(data)])


def _write(
    sink: pa.BufferOutputStream, table: pa.Table | pa.RecordBatch, schema: pa.Schema
) -> None:
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1))
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        writer.write(table)


def encode_block(
    accepted: pa.RecordBatch, refused: pa.RecordBatch, versions: Mapping[str, str]
) -> bytes:
    """The value of a block message.

    Raises:
        KeyError: a version of `VERSION_KEYS` is missing.
        pa.ArrowInvalid: a batch does not have its schema.
    """
    metadata = {key: versions[key] for key in VERSION_KEYS}
    metadata |= {key: versions[key] for key in (FEATURES_KEY, SHADOWS_KEY) if key in versions}
    schema = ACCEPTED.with_metadata(metadata)
    sink = pa.BufferOutputStream()
    _write(sink, accepted.replace_schema_metadata(metadata), schema)
    _write(sink, refused, REFUSED)
    return bytes(sink.getvalue())


def _read(source: pa.BufferReader, options: pa.ipc.IpcReadOptions | None = None) -> pa.Table:
    try:
        return pa.ipc.open_stream(source, options=options).read_all()
    except OSError as error:
        # Arrow's name for bytes that are none of its own; to a sink it would look like a network.
        raise pa.ArrowInvalid(f"not a block: {error}") from error


def _completed(table: pa.Table) -> pa.Table:
    """With nulls in the columns that the block is too old to have."""
    for field in list(ACCEPTED)[table.num_columns :]:
        table = table.append_column(field, pa.nulls(len(table), field.type))
    return table


def decode_accepted(value: bytes, columns: list[str] | None = None) -> pa.Table:
    """Only the accepted views of a block, and of these only `columns` where given.

    A column that the block is too old to have is null.

    Raises:
        pa.ArrowInvalid: not a block.
    """
    if columns is None:
        return _completed(_read(pa.BufferReader(value)))
    if not _NEWER.isdisjoint(columns):
        return decode_accepted(value).select(columns)
    places = [ACCEPTED.get_field_index(name) for name in columns]
    return _read(pa.BufferReader(value), pa.ipc.IpcReadOptions(included_fields=places))


def decode_block(value: bytes) -> Block:
    """Both parts of a block.

    Raises:
        pa.ArrowInvalid: not a block.
    """
    source = pa.BufferReader(value)
    accepted, refused = _completed(_read(source)), _read(source)
    metadata = accepted.schema.metadata or {}
    versions = {key.decode(): text.decode() for key, text in metadata.items()}
    return Block(accepted, refused, versions)
