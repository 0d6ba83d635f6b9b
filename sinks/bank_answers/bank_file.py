"""A bank's file once it has been read, and how it is refused."""

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from schemas.payout import Answer

_LINE = re.compile(r"VL[0-9]{1,18}")
_BATCH = re.compile(r"(VLB[0-9]{1,18})(-[0-9]{1,4})?")


class AnswerError(ValueError):
    """The file is not what it should be; says on which line, and what was expected."""


class BankFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a bank."""

    kind: Literal["pain.002", "camt.053", "nacha"]
    message_id: str
    """Given by the bank; of NACHA put together from the file header."""
    answers: list[Answer]
    """In the order of the file."""
    unrelated: int
    """How many entries are none of ours."""


def is_line(reference: str) -> bool:
    """Whether it is an end-to-end id that we gave: `VL<line_id>`."""
    return _LINE.fullmatch(reference) is not None


def batch_of(reference: str) -> str:
    """`VLB7` of a message id `VLB7` or of a payment within it, `VLB7-1`; else empty."""
    found = _BATCH.fullmatch(reference)
    return found[1] if found else ""


def refuse_repeated(answers: Iterable[Answer]) -> None:
    """Two answers of one file to the same transfer, or to the same whole file.

    Raises:
        AnswerError: there are such answers; which of the two counts, only the bank knows.
    """
    seen: set[tuple[str, bool]] = set()
    for answer in answers:
        key = (answer.reference, answer.whole_file)
        if key in seen and (is_line(answer.reference) or batch_of(answer.reference)):
            raise AnswerError(
                f"{answer.reference} is answered twice in this file; ask the bank which one counts"
            )
        seen.add(key)
