"""Hypothesis strategies of small, awkward traffic: few viewers, long gaps, late and missing."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from support.events import NOW, event

from models.batch import Batch, batch_of_views
from schemas.view import View

_HOUR = 3_600_000


class Event(NamedTuple):
    """A view and its log time, ms."""

    view: View
    log_time: int
    viewed_at: int


def batch_of(events: list[Event]) -> Batch:
    """The events as one block."""
    log_time = np.array([one.log_time for one in events], np.int64)
    viewed_at = np.array([one.viewed_at for one in events], np.int64)
    return batch_of_views([one.view for one in events], log_time, viewed_at, log_time)


_STEPS = st.tuples(
    st.sampled_from([0, 0, 1_000, 9_000, 300_000, _HOUR, 13 * _HOUR, 25 * _HOUR, -2_000]),
    st.sampled_from([0, 0, 0, 700, -240_000, _HOUR, 20 * _HOUR]),
    st.fixed_dictionaries(
        {
            "viewer_id": st.sampled_from(["viewer-000a", "viewer-000b", "viewer-000c"]),
            "promoter_id": st.sampled_from(["p-1", "p-2"]),
            "ip": st.sampled_from(["84.128.1.1", "84.128.1.2", "2a01::1", "nonsense", None]),
            "user_agent": st.sampled_from(["Mozilla/5.0", "curl/8.0", None]),
            "watch_ms": st.sampled_from([0, 2_500, 2_505, 9_000, 60_000]),
            "duration_ms": st.sampled_from([0, 15_000]),
            "interactions": st.sampled_from([None, 0, 3]),
            "tz_offset_min": st.sampled_from([None, -300, 60]),
        }
    ),
)


@st.composite
def traffic(draw: st.DrawFn, max_size: int = 60) -> list[Event]:
    """Events in log order; now and then the broker's clock steps back."""
    now = NOW
    events = []
    for step, late, fields in draw(st.lists(_STEPS, min_size=1, max_size=max_size)):
        now += step
        events.append(Event(view(**fields), now, now - late))
    return events


def view(**changes: Any) -> View:
    """A valid view with changes."""
    return View(**event(**changes))


@st.composite
def cut(draw: st.DrawFn, events: list[Event]) -> list[list[Event]]:
    """The same events in blocks of any sizes."""
    places = draw(st.sets(st.integers(1, max(1, len(events) - 1)), max_size=8))
    edges = [0, *sorted(places), len(events)]
    blocks = [events[a:b] for a, b in pairwise(edges)]
    return [block for block in blocks if block]
