"""What people decided, as labels for training and evaluation."""

from collections.abc import Iterator
from typing import NamedTuple

from sinks.postgres import Connection

HEADER = ("event_id", "label", "kind")


class Label(NamedTuple):
    """A row of a label file."""

    event_id: str
    label: str
    """`human` or `bot`."""
    kind: str
    """Verdict before the review, and what it became: `held-valid`, `invalid-invalid`."""


def load_labels(conn: Connection) -> Iterator[Label]:
    """The labels of all reviewed views, in the order of the log."""
    rows = conn.execute(
        "SELECT event_id, CASE decided WHEN 'valid' THEN 'human' ELSE 'bot' END,"
        " was || '-' || became FROM view_reviews ORDER BY log_time, partition, raw_offset"
    )
    return (Label(*row) for row in rows)
