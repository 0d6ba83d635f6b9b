"""What becomes of events on their way: latency, offline queues, retries, broken clocks."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.simulate.catalogue import Posts
from pipeline.simulate.traffic import DELIVERY_SPAN_MS, Floats, Ints, Label, Views
from schemas.verdicts import Refusal

RETRIED = 0.03
"""Copies of events already delivered, as a share of all lines."""
_OFFLINE = 0.025
_TOO_LATE = 0.002
_IN_FUTURE = 0.001
_HOUR_MS = 3_600_000
_SLOWEST_MS = 3_000


class Delivered(NamedTuple):
    """One row per line of the file, in order of `received_at`; times in ms after START_MS."""

    event: Ints
    """Row of the view."""
    sent_at: Ints
    """True time of sending, before the client's clock makes it wrong."""
    received_at: Ints
    duplicate: npt.NDArray[np.bool_]
    """Whether an earlier line has the same event."""
    refusal: npt.NDArray[np.uint8]
    """`schemas.verdicts.Refusal` that it should get, 0 where it should be accepted."""
    malformed: Ints
    """Number of the malformed line, -1 where the line is sound."""

    def slice(self, start: int, stop: int) -> "Delivered":
        """Some of the lines."""
        return Delivered._make(column[start:stop] for column in self)


def deliver(
    rng: np.random.Generator, views: Views, posts: Posts, lines: int, malformed: int
) -> Delivered:
    """Delivers every view once, and copies of some until there are `lines`.

    Changes `views["at"]` of those that are too late or in the future.
    """
    n, copies = len(views), lines - len(views)
    refusal = posts.refusal[views["post"]]
    ordinary = np.flatnonzero((views["label"] == Label.HUMAN) & (refusal == 0))
    ordinary = rng.permutation(ordinary)
    bad, ordinary = ordinary[:malformed], ordinary[malformed:]
    late, ordinary = np.split(ordinary, [round(_TOO_LATE * lines)])
    future = ordinary[: round(_IN_FUTURE * lines)]

    offline = (rng.random(n) < _OFFLINE) & (views["label"] == Label.HUMAN)
    waited = rng.exponential(900, n) + offline * rng.exponential(0.7 * _HOUR_MS, n)
    first_sent = views["at"] + waited
    sound = np.ones(n, bool)
    sound[bad] = False
    again = rng.choice(np.flatnonzero(sound), copies)
    event = np.concatenate([np.arange(n), again])
    sent = np.concatenate([first_sent, first_sent[again] + _backoff(rng, copies)])
    sent = np.minimum(sent, DELIVERY_SPAN_MS - 2 * _SLOWEST_MS + rng.uniform(0, 2_900, lines))
    latency = np.minimum(rng.lognormal(np.log(120), 0.7, lines), _SLOWEST_MS)
    received = (sent + latency).astype(np.int64)

    # Days in an offline queue, or a clock that was set back between the view and its sending:
    # far enough to be told apart whenever the file is replayed.
    views["at"][late] -= rng.integers(26 * _HOUR_MS, 96 * _HOUR_MS, len(late))
    views["at"][future] += rng.integers(60 * _HOUR_MS, 240 * _HOUR_MS, len(future))
    refusal[late], refusal[future] = Refusal.TOO_LATE, Refusal.IN_FUTURE

    order = np.argsort(received, kind="stable")
    event = event[order]
    duplicate = np.ones(lines, bool)
    duplicate[np.unique(event, return_index=True)[1]] = False
    number = np.full(n, -1)
    number[bad] = np.arange(len(bad))
    return Delivered(
        event=event,
        sent_at=sent[order].astype(np.int64),
        received_at=received[order],
        duplicate=duplicate,
        refusal=np.where(duplicate & (refusal[event] == 0), Refusal.DUPLICATE, refusal[event]),
        malformed=number[event],
    )


def _backoff(rng: np.random.Generator, n: int) -> Floats:
    """After how many ms an event is sent again: mostly seconds, at times the next app start."""
    attempt = rng.geometric(0.6, n)
    seconds = 2.0 ** np.minimum(attempt, 8) * rng.uniform(0.8, 1.2, n) * 1_000
    restart = rng.random(n) < 0.06
    return np.where(restart, rng.exponential(_HOUR_MS, n), seconds)
