"""Reads whatever file a bank sent."""

from sinks.bank_answers.bank_file import AnswerError, BankFile
from sinks.bank_answers.camt053 import read as read_camt053
from sinks.bank_answers.iso20022 import parse
from sinks.bank_answers.nacha_returns import read as read_nacha
from sinks.bank_answers.pain002 import read as read_pain002

_XML = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<\x00", b"\xfe\xff\x00<")


def read_answers(content: bytes) -> BankFile:
    """Tells pain.002, camt.053 and NACHA returns apart by their content, and reads them.

    Raises:
        AnswerError: it is none of them, or damaged; nothing of it counts then.
    """
    content = content.lstrip(b" \t\r\n")
    if not content:
        raise AnswerError("the file is empty")
    if content.startswith(_XML):
        kind, root = parse(content)
        if kind == "pain.002":
            return read_pain002(root)
        if kind == "camt.053":
            return read_camt053(root)
        raise AnswerError(f"it is a {kind}; expected pain.002, camt.053 or NACHA returns")
    if content.startswith(b"101"):
        return read_nacha(content)
    raise AnswerError(
        f"it begins with {content[:12]!r}; expected XML (pain.002, camt.053) or NACHA (101...)"
    )
