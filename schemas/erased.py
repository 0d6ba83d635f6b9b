"""Viewers who were erased: whose they are is replaced, what was watched stays.

A viewer is known by a keyed hash of the id. In a view `viewer_id` and `session_id` become the
pseudonym of the erasure, and what says something about the person or the device becomes null.
Everything that counts, pays or proves stays: offsets, times, event id, post, verdict, rate.
"""

from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.view import View

NAMES = ("viewer_id", "session_id")
"""Columns that become the pseudonym."""
PERSONAL = (
    "ip", "ip_hash", "ip_prefix_hash", "network", "user_agent", "client_hints", "consent",
    "screen", "language", "tz_offset_min", "referrer", "attrs", "features",
)  # fmt: skip
"""Columns that become null."""
IMPERSONAL = (
    "raw_offset", "log_time", "viewed_at", "event_id", "campaign_id", "promoter_id", "post_id",
    "platform", "occurred_at", "sent_at", "received_at", "watch_ms", "duration_ms", "visible_pct",
    "interactions", "muted", "autoplay", "currency", "rate_micros", "verdict", "reasons", "score",
    "collector", "shadow_scores",
)  # fmt: skip
"""All other columns of `schemas.block.ACCEPTED`: they stay."""

Bools = npt.NDArray[np.bool_]


class _Named(msgspec.Struct):
    viewer_id: str


class Erased(NamedTuple):
    """Who was erased."""

    secret: bytes = b""
    pseudonyms: Mapping[bytes, str] = MappingProxyType({})
    """By `digest` of the viewer id."""

    def pseudonym_of(self, viewer_id: bytes) -> str | None:
        """The pseudonym of an erased viewer, None of any other."""
        return self.pseudonyms.get(digest(self.secret, viewer_id))

    def mentioned(self, key: bytes | None, value: bytes | None) -> bool:
        """Whether an event as it was sent is of an erased viewer, as far as it can be read."""
        if not self.pseudonyms:
            return False
        if key is not None and self.pseudonym_of(key):
            return True
        try:
            named = msgspec.json.decode(value or b"", type=_Named).viewer_id
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        return self.pseudonym_of(named.encode()) is not None


def digest(secret: bytes, viewer_id: bytes) -> bytes:
    """What an erased viewer is known by; ClickHouse says `SHA256(concat(secret, viewer_id))`."""
    return sha256(secret + viewer_id).digest()


def rename_views(views: list[View], erased: Erased) -> tuple[list[View], Bools | None]:
    """The views, those of erased viewers renamed; and which these are, None for none of them.

    What else says who it was stays until they are judged; see `clear`.
    """
    if not erased.pseudonyms:
        return views, None
    secret, known = erased  # as `pseudonym_of`, spelled out because it runs per event
    found = [known.get(sha256(secret + view.viewer_id.encode()).digest()) for view in views]
    if not any(found):
        return views, None
    renamed = [
        view
        if pseudonym is None
        else msgspec.structs.replace(view, viewer_id=pseudonym, session_id=pseudonym)
        for view, pseudonym in zip(views, found, strict=True)
    ]
    return renamed, np.array([pseudonym is not None for pseudonym in found], np.bool_)


def clear(columns: Mapping[str, pa.Array], mask: Bools) -> dict[str, pa.Array]:
    """The columns with null in the personal ones where the mask is set, bool[n]."""
    return {
        name: pc.if_else(pa.array(~mask), column, pa.scalar(None, column.type))
        if name in PERSONAL
        else column
        for name, column in columns.items()
    }


def unlink_rows(rows: pa.Table, erased: Erased) -> pa.Table:
    """Accepted rows of a block, those of erased viewers under their pseudonym.

    The very same table where there are none.
    """
    if not erased.pseudonyms or not len(rows):
        return rows
    viewers = rows["viewer_id"].combine_chunks().dictionary_encode()
    found = [erased.pseudonym_of(viewer.encode()) for viewer in viewers.dictionary.to_pylist()]
    if not any(found):
        return rows
    pseudonym = pa.array(found, pa.string()).take(viewers.indices)
    columns = dict(zip(rows.column_names, rows.columns, strict=True))
    columns |= {name: pc.coalesce(pseudonym, columns[name]) for name in NAMES}
    mask = pseudonym.is_valid().to_numpy(zero_copy_only=False)
    return pa.table(clear(columns, mask), schema=rows.schema)


def unlink_block(value: bytes, erased: Erased) -> bytes:
    """The value of a block message without erased viewers: the same bytes where there are none.

    Raises:
        pa.ArrowInvalid, OSError: not a block.
    """
    accepted, refused = _parts(value)
    unlinked = unlink_rows(accepted, erased)
    if unlinked is accepted:
        return value
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=1))
    for table in (unlinked, refused):
        with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
            writer.write_table(table.combine_chunks())
    return bytes(sink.getvalue())


def only_unlinked(before: bytes, after: bytes, erased: Erased) -> int:
    """How many views of a block were unlinked, when nothing else in it was changed.

    Says what `unlink_block` should have done in other words, to check it.

    Raises:
        ValueError: something else was changed, or not all was unlinked; says what.
    """
    if before == after:
        old, new = (
            pa.ipc.open_stream(pa.BufferReader(value)).read_all() for value in (before,) * 2
        )
    else:
        (old, refused), (new, refused_after) = _parts(before), _parts(after)
        if not refused.equals(refused_after, check_metadata=True):
            raise ValueError("refused rows were changed")
    if not old.schema.equals(new.schema, check_metadata=True) or len(old) != len(new):
        raise ValueError("the schema, its versions or the number of rows were changed")
    stays = [name for name in old.column_names if name in IMPERSONAL]
    if not old.select(stays).equals(new.select(stays)):
        raise ValueError("columns that count were changed")
    pseudonyms = [erased.pseudonym_of(one.encode()) for one in old["viewer_id"].to_pylist()]
    mine = pa.array([one is not None for one in pseudonyms], pa.bool_())
    if not old.filter(pc.invert(mine)).equals(new.filter(pc.invert(mine))):
        raise ValueError("views of other viewers were changed")
    unlinked = new.filter(mine)
    wanted = [one for one in pseudonyms if one is not None]
    if any(unlinked[name].to_pylist() != wanted for name in NAMES):
        raise ValueError("an erased viewer is still named")
    left = [name for name in PERSONAL if name in new.column_names]
    if any(unlinked[name].null_count != len(unlinked) for name in left):
        raise ValueError("something about an erased viewer is still there")
    return len(wanted)


def _parts(value: bytes) -> tuple[pa.Table, pa.Table]:
    """The two streams of a block as they are: `decode_block` may add columns to old ones."""
    source = pa.BufferReader(value)
    return pa.ipc.open_stream(source).read_all(), pa.ipc.open_stream(source).read_all()
