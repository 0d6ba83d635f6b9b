"""The formats a batch can be exported in, and what each of them cannot carry."""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import NamedTuple

from schemas.payout import BankDetails, BatchFile, Transfer
from sinks.bank_files import csv_files, nacha, pain001
from sinks.bank_files.checks import Refusal


class Format(NamedTuple):
    """One kind of file."""

    suffix: str
    """Of the file's name, with the dot."""
    details: tuple[type[BankDetails], ...]
    """The kinds of account it pays to."""
    currencies: Collection[str] | None
    """None: any."""
    refusal: Refusal
    """Why it cannot carry a transfer; None: it can."""
    write: Callable[[BatchFile], list[bytes]]
    """One file, or several where the format limits their length.

    Raises ValueError: no transfers, one that is refused, or a payer who cannot pay this way.
    """


def _one(write: Callable[[BatchFile], bytes]) -> Callable[[BatchFile], list[bytes]]:
    return lambda file: [write(file)]


_PAIN = Format(".xml", pain001.DETAILS, None, pain001.refusal, _one(pain001.pain_001))
_PAIN_03 = _one(partial(pain001.pain_001, version="03"))
_NACHA = Format(
    ".ach",
    nacha.DETAILS,
    nacha.CURRENCIES,
    nacha.refusal,
    _one(partial(nacha.nacha, balanced=True)),
)
_UNBALANCED = _one(partial(nacha.nacha, balanced=False))

FORMATS = {
    "pain.001.001.09": _PAIN,
    "pain.001.001.03": _PAIN._replace(write=_PAIN_03),
    "nacha": _NACHA,
    "nacha-unbalanced": _NACHA._replace(write=_UNBALANCED),
    "paypal": Format(
        ".csv",
        csv_files.PAYPAL_DETAILS,
        csv_files.PAYPAL_CURRENCIES,
        csv_files.paypal_refusal,
        csv_files.paypal_csv,
    ),
    "csv": Format(
        ".csv",
        csv_files.ANY_DETAILS,
        None,
        csv_files.general_refusal,
        _one(csv_files.general_csv),
    ),
}


def refusals(name: str, transfers: Iterable[Transfer]) -> dict[int, str]:
    """The line ids that a format cannot carry, each with the reason; without bank details.

    Raises:
        ValueError: no such format.
    """
    if name not in FORMATS:
        raise ValueError(f"no format {name!r}; there are {', '.join(FORMATS)}")
    refusal = FORMATS[name].refusal
    return {each.line_id: why for each in transfers if (why := refusal(each))}
