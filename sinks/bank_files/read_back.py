"""What a bank file of ours pays: read again from its bytes, by another way than it was written."""

import csv
from collections.abc import Iterator
from decimal import Decimal

from lxml import etree

from schemas.money import exponent

_DEBITS = ("27", "37")
_REFERENCE, _AMOUNT = slice(39, 54), slice(29, 39)
"""Where they are in an entry of NACHA."""


def read_transfers(format_name: str, content: bytes) -> list[tuple[str, int, str]]:
    """End-to-end id, minor units and currency of each transfer, in order.

    Raises:
        ValueError: it is not a file of this format.
    """
    try:
        if format_name.startswith("pain.001"):
            return list(_pain_001(content))
        if format_name.startswith("nacha"):
            return list(_nacha(content.decode("ascii")))
        rows = csv.reader(content.decode().splitlines(keepends=True))
        return list(_paypal(rows) if format_name == "paypal" else _general(rows))
    except (etree.XMLSyntaxError, ArithmeticError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"it is no file of the format {format_name}: {error}") from None


def _pain_001(content: bytes) -> Iterator[tuple[str, int, str]]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    for transfer in etree.fromstring(content, parser).iter("{*}CdtTrfTxInf"):
        reference = transfer.findtext("{*}PmtId/{*}EndToEndId") or ""
        (amount,) = transfer.findall("{*}Amt/{*}InstdAmt")
        currency = str(amount.attrib["Ccy"])
        yield reference, _minor(amount.text or "", currency), currency


def _nacha(text: str) -> Iterator[tuple[str, int, str]]:
    for record in text.splitlines():
        if record.startswith("6") and record[1:3] not in _DEBITS:
            yield record[_REFERENCE].strip(), int(record[_AMOUNT]), "USD"


def _paypal(rows: Iterator[list[str]]) -> Iterator[tuple[str, int, str]]:
    for _, amount, currency, reference, *_ in rows:
        yield reference, _minor(amount, currency), currency


def _general(rows: Iterator[list[str]]) -> Iterator[tuple[str, int, str]]:
    header = next(rows, [])
    for values in rows:
        row = dict(zip(header, values, strict=True))
        yield row["end_to_end_id"], _minor(row["amount"], row["currency"]), row["currency"]


def _minor(amount: str, currency: str) -> int:
    return int(Decimal(amount).scaleb(exponent(currency)))
