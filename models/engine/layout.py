"""What goes to Redis for one family, and how `merge.lua` reads it."""

import numpy as np
import numpy.typing as npt

from models.engine.families import Family
from models.engine.state import Summaries, absolute, state_type

Records = npt.NDArray[np.void]
"""Records of `record_type`, one per entity of a block."""

_CODES = {"<i8": "i8", "<u4": "I4"}


def record_type(family: Family) -> np.dtype[np.void]:
    """What a block says of one entity."""
    state = state_type(family)
    return np.dtype(
        [
            ("fresh", state),  # what is known of it if nothing was
            ("begin", "<i8"),
            ("newest", "<i8"),  # time of the last view, ms
            ("anew", "<u4"),
            ("rest", "<u4", state["count"].shape),
            ("rest_bits", "<u8", state["bits"].shape),
        ]
    )


def records_of(family: Family, summaries: Summaries) -> Records:
    """One record per summary, [e]."""
    made = np.zeros(len(summaries), record_type(family))
    for name in made["fresh"].dtype.names or ():
        made["fresh"][name] = summaries[name]
    made["newest"] = absolute(summaries["times"][:, -1:], summaries["seen"])[:, 0]
    for name in ("begin", "anew", "rest", "rest_bits"):
        made[name] = summaries[name]
    return made


def layout_of(family: Family) -> dict[str, object]:
    """What `merge.lua` has to know of a family."""
    of_each = 1 + family.counts_new
    return {
        "state": format_of(state_type(family)),
        "record": format_of(record_type(family)),
        "tail": family.tail,
        "watches": family.watches,
        "counts": [ms for ms in family.windows for _ in range(of_each)],
        "sets": [ms for _, ms in family.distinct],
        "keep_ms": family.keep_ms,
        # Log time of a late partition may be behind that of the clock by so much again.
        "expire_ms": 2 * family.keep_ms,
    }


def format_of(record: np.dtype[np.void]) -> str:
    """A record in the words of Lua's `struct`; sets of 64 bits as two halves."""
    return "<" + _format(record)


def _format(record: np.dtype[np.void]) -> str:
    text, at = "", 0
    for name in record.names or ():
        kind, offset = record.fields[name][:2]  # type: ignore[index]
        text += "x" * (offset - at)
        base, count = kind.base, int(np.prod(kind.shape))
        if base.names:
            text += _format(base) * count
        elif base == np.dtype("<u8"):
            text += "I4" * (2 * count)
        else:
            text += _CODES[base.str] * count
        at = offset + kind.itemsize
    return text + "x" * (record.itemsize - at)
