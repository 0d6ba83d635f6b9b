"""What erased viewers leave of a message, and whether a redacted topic is what it should be."""

from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import NamedTuple

from pipeline.erase.messages import CopyError, Message, read, without_gaps
from schemas.erased import Erased, only_unlinked, unlink_block
from schemas.fencing import from_headers
from schemas.settings import Settings
from schemas.topics import SCORED

Source = Callable[[int], Iterator[Message]]


def redacted(settings: Settings, topic: str, erased: Erased) -> Source:
    """The messages of a partition without erased viewers.

    Of views.scored all messages in their places, with blocks redacted; of views.rejected those
    of other viewers.

    Raises:
        CopyError: offsets of views.scored have gaps.
    """

    def source(partition: int) -> Iterator[Message]:
        messages = read(settings, topic, partition)
        if topic != SCORED:
            return (m for m in messages if not erased.mentioned(m.key, m.value))
        whole = without_gaps(messages, f"{topic}[{partition}]")
        return (m._replace(value=_unlinked(m, erased)) for m in whole)

    return source


def _unlinked(message: Message, erased: Erased) -> bytes | None:
    if message.value is None or from_headers(message.headers).kind != "block":
        return message.value
    return unlink_block(message.value, erased)


class Checked(NamedTuple):
    """What a check of a copy found."""

    messages: int
    unlinked: int
    """Views of views.scored, messages of views.rejected."""


def check_copy(
    settings: Settings, topic: str, copied: str, partitions: int, erased: Erased
) -> Checked:
    """Compares a redacted copy with what it was made of, column by column.

    Raises:
        CopyError: something but the erased viewers differs; says what and where.
    """
    messages = unlinked = 0
    for partition in range(partitions):
        old = read(settings, topic, partition)
        if topic != SCORED:
            kept: list[bool] = []
            old = _leaving_out(old, erased, kept)
        for before, after in zip_longest(old, read(settings, copied, partition)):
            where = f"{copied}[{partition}], offset {(before or after).offset}"
            if before is None or after is None:
                raise CopyError(f"{where}: one of the two topics ends: somebody writes to {topic}")
            try:
                unlinked += _compare(topic, before, after, erased)
            except ValueError as error:
                raise CopyError(f"{where}: {error}; nothing was changed") from None
            messages += 1
        if topic != SCORED:
            unlinked += kept.count(False)
    return Checked(messages, unlinked)


def _leaving_out(
    messages: Iterator[Message], erased: Erased, kept: list[bool]
) -> Iterator[Message]:
    for message in messages:
        kept.append(not erased.mentioned(message.key, message.value))
        if kept[-1]:
            yield message


def _compare(topic: str, before: Message, after: Message, erased: Erased) -> int:
    if (before.key, before.headers, before.timestamp) != (
        after.key,
        after.headers,
        after.timestamp,
    ):
        raise ValueError("key, headers or time were changed")
    if topic == SCORED and before.offset != after.offset:
        raise ValueError(f"it was at {before.offset}")
    old, new = before.value, after.value
    if topic == SCORED and old and new and from_headers(before.headers).kind == "block":
        return only_unlinked(old, new, erased)
    if old != new:
        raise ValueError("the value was changed")
    return 0
