"""The Kafka topics and their settings."""

from typing import NamedTuple

RAW = "views.raw"
SCORED = "views.scored"
REJECTED = "views.rejected"
CORRECTIONS = "views.corrections"

_DAY_MS = 24 * 3600 * 1000


def rewriting(topic: str) -> str:
    """The copy of a topic that is there while it is written anew."""
    return f"{topic}.rewriting"


class Topic(NamedTuple):
    """A topic as it is created: same partition count for all, fixed for good."""

    name: str
    config: dict[str, str]


TOPICS = (
    Topic(
        RAW,
        {
            # Keys repeat: compaction would take what nobody has judged, or counted.
            "cleanup.policy": "delete",
            # The broker's clock decides what is late: nobody can forge it.
            "message.timestamp.type": "LogAppendTime",
            # A value that is too large must get in, to be rejected with its reason.
            "max.message.bytes": str(16 * 1024 * 1024),
            "retention.ms": str(7 * _DAY_MS),
            # Whole segments age out, counted from their last message.
            "segment.ms": str(_DAY_MS),
        },
    ),
    Topic(
        SCORED,
        {
            "cleanup.policy": "delete",
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(16 * 1024 * 1024),
            # The single record of what was accepted: never deleted by itself.
            "retention.ms": "-1",
            "retention.bytes": "-1",
        },
    ),
    Topic(
        REJECTED,
        {
            "cleanup.policy": "delete",
            "max.message.bytes": str(20 * 1024 * 1024),
            "retention.ms": str(90 * _DAY_MS),
            "segment.ms": str(_DAY_MS),
            "compression.type": "zstd",
        },
    ),
    Topic(
        CORRECTIONS,
        {
            "cleanup.policy": "delete",
            # What was corrected stays so: the ledger has it for ever, too.
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "compression.type": "zstd",
        },
    ),
)
