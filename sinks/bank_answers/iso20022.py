"""ISO 20022 messages from outside: parsed safely, read by path, refused by line."""

import re
from decimal import Decimal

from lxml import etree

from schemas.money import exponent
from sinks.bank_answers.bank_file import AnswerError

MAX_BYTES = 64 * 1024 * 1024
_NAMESPACE = re.compile(r"urn:iso:std:iso:20022:tech:xsd:([a-z]{4}\.\d{3})\.\d{3}\.\d{2}")
# 18 digits with at most 5 decimals is what the standard allows
_AMOUNT = re.compile(r"[0-9]{1,18}(\.[0-9]{1,5})?")
_LONGEST = 140


def parse(content: bytes) -> tuple[str, etree._Element]:
    """The message's kind (`camt.053`) and its root.

    Neither a DTD nor entities nor the network are used; a file that asks for them is refused.

    Raises:
        AnswerError: too large, not well-formed, with a DTD, or not an ISO 20022 message.
    """
    if len(content) > MAX_BYTES:
        raise AnswerError(f"{len(content)} bytes; a bank's message has at most {MAX_BYTES}")
    parser = etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise AnswerError(f"not well-formed XML: {error}") from None
    if root.getroottree().docinfo.doctype:
        raise AnswerError("it brings a DTD (<!DOCTYPE ...>); a bank's message has none: refused")
    namespace = etree.QName(root).namespace or ""
    known = _NAMESPACE.fullmatch(namespace)
    if known is None:
        raise AnswerError(
            f"line {root.sourceline}: <{_name(root)}> of namespace {namespace[:_LONGEST]!r};"
            " expected <Document> of urn:iso:std:iso:20022:tech:xsd:pain.002... or camt.053..."
        )
    return known[1], root


def children(element: etree._Element, path: str) -> list[etree._Element]:
    """The elements at `path` (`NtryDtls/TxDtls`), whatever the version of the namespace."""
    return element.findall("/".join(f"{{*}}{step}" for step in path.split("/")))


def text(element: etree._Element, path: str) -> str:
    """The text at `path` on one line; empty if there is none.

    Raises:
        AnswerError: longer than any text of the standard that is read here.
    """
    found = children(element, path)
    value = " ".join((found[0].text or "").split()) if found else ""
    if len(value) > _LONGEST:
        raise AnswerError(f"{where(found[0])} has {len(value)} characters, at most {_LONGEST}")
    return value


def required(element: etree._Element, path: str) -> str:
    """Like `text`.

    Raises:
        AnswerError: missing or empty.
    """
    value = text(element, path)
    if not value:
        raise AnswerError(f"{where(element)} has no {path}")
    return value


def only(element: etree._Element, path: str) -> etree._Element:
    """The one element at `path`.

    Raises:
        AnswerError: none, or several.
    """
    found = children(element, path)
    if len(found) != 1:
        raise AnswerError(f"{where(element)} has {len(found)} times {path}; expected once")
    return found[0]


def amount(element: etree._Element) -> tuple[int, str]:
    """An amount with its `Ccy` as (minor units, currency).

    Raises:
        AnswerError: negative, not a number, no currency, or finer than its minor units.
    """
    value = (element.text or "").strip()
    if _AMOUNT.fullmatch(value) is None:
        raise AnswerError(
            f"{where(element)} is {value[:40]!r}; expected an amount like 12.34, never negative"
        )
    currency = str(element.get("Ccy", ""))
    try:
        minor = Decimal(value).scaleb(exponent(currency))
    except ValueError as error:
        raise AnswerError(f"{where(element)}: {error}") from None
    if minor != int(minor):
        raise AnswerError(f"{where(element)} is {value} {currency}, finer than {currency} has")
    return int(minor), currency


def reason(element: etree._Element, path: str) -> tuple[str, str]:
    """The reason at `path` (`StsRsnInf`, `RtrInf`) as (code, text); both may be empty.

    Of several reasons the first gives the code, the others go into the text.
    """
    code, parts = "", []
    for info in children(element, path):
        found = text(info, "Rsn/Cd") or text(info, "Rsn/Prtry")
        if code and found:
            parts.append(found)
        code = code or found
        parts += [" ".join((line.text or "").split()) for line in children(info, "AddtlInf")]
    joined = " ".join(part for part in parts if part)
    return code, joined if len(joined) <= 500 else joined[:499] + "…"


def where(element: etree._Element) -> str:
    """`line 12: <TxSts>`."""
    return f"line {element.sourceline}: <{_name(element)}>"


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname[:_LONGEST]
