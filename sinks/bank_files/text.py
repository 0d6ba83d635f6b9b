"""What people typed, in the characters that banks take."""

import re

from anyascii import anyascii

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_NOT_SEPA = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""Tabs and line ends at the beginning would count too, but `plain_text` leaves none."""
_NEAREST = str.maketrans('&_;|\\[]{}<>"`', "+-,//()()()''")


def plain_text(text: str) -> str:
    """Without control characters, and without spaces at the ends or twice in a row."""
    return " ".join(_CONTROLS.sub(" ", text).split())


def csv_text(text: str) -> str:
    """As `plain_text`; what a spreadsheet would run as a formula begins with an apostrophe."""
    plain = plain_text(text)
    return f"'{plain}" if plain.startswith(_FORMULA) else plain


def ascii_text(text: str, limit: int) -> str:
    """Printable ASCII (`Łódź` → `Lodz`) of at most `limit` characters."""
    return plain_text(anyascii(plain_text(text)))[:limit].rstrip()


def sepa_text(text: str, limit: int) -> str:
    """The characters every SEPA bank takes, at most `limit`; what has no likeness becomes a dot."""
    nearest = ascii_text(text, limit).translate(_NEAREST)
    return _NOT_SEPA.sub(".", nearest)
