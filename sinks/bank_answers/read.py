"""Reads whatever file a bank sent."""

from sinks.bank_answers import camt053, nacha_returns, pain002
from sinks.bank_answers.bank_file import AnswerError, BankFile
from sinks.bank_answers.iso20022 import parse

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
            return pain002.read(root)
        if kind == "camt.053":
            return camt053.read(root)
        raise AnswerError(f"it is a {kind}; expected pain.002, camt.053 or NACHA returns")
    if content.startswith(b"101"):
        return nacha_returns.read(content)
    raise AnswerError(
        f"it begins with {content[:12]!r}; expected XML (pain.002, camt.053) or NACHA (101...)"
    )
