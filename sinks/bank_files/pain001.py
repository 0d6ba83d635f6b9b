"""ISO 20022 pain.001: credit transfers to accounts by IBAN, as XML."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Literal

from lxml import etree
from lxml.builder import ElementMaker
from schwifty import IBAN

from schemas.money import minor_decimal
from schemas.payout import Address, BatchFile, Iban, Payer, Transfer
from sinks.bank_files.checks import check, common_refusal, message_id
from sinks.bank_files.text import sepa_text

Version = Literal["09", "03"]

DETAILS = (Iban,)
MAX_SEPA_MINOR = 99_999_999_999
"""999,999,999.99 EUR: the scheme's limit."""
MAX_MINOR = 10**14 - 1
"""What fits into the messages between banks outside SEPA."""

_IBAN = re.compile("[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_BIC = re.compile("[A-Z]{6}[A-Z2-9][A-NP-Z0-9]([A-Z0-9]{3})?")
_MORE_SEPA = frozenset({"AL", "GI", "MD", "ME", "MK", "RS", "SM", "VA"})
"""In SEPA, though the IBAN registry that schwifty follows does not say so."""
_COUNTRY = re.compile("[A-Z]{2}")
_ADDRESS = (
    ("StrtNm", "street", 70),
    ("BldgNb", "building", 16),
    ("PstCd", "postcode", 16),
    ("TwnNm", "town", 35),
    ("CtrySubDvsn", "region", 35),
    ("Ctry", "country", 2),
)


def pain_001(file: BatchFile, version: Version = "09") -> bytes:
    """The message `VLB<batch_id>`, valid by its schema.

    Euros between accounts in SEPA are one block of SEPA transfers, costs by the scheme (SLEV);
    everything else is a block per currency of plain credit transfers with shared costs.

    Raises:
        ValueError: no transfers, one that is refused, or a payer who cannot pay this way.
    """
    check(file, refusal)
    payer = file.payer
    if why := _account_refusal(payer.details) or _party_refusal(payer.name, payer.address):
        raise ValueError(f"the payer cannot pay by pain.001: {why}")
    namespace = f"urn:iso:std:iso:20022:tech:xsd:pain.001.001.{version}"
    e = ElementMaker(namespace=namespace, nsmap={None: namespace})
    blocks: dict[tuple[bool, str], list[Transfer]] = {}
    for transfer in file.transfers:
        sepa = _in_sepa(transfer.currency, transfer.details) and _in_sepa("EUR", payer.details)
        blocks.setdefault((sepa, transfer.currency), []).append(transfer)
    created = datetime.fromtimestamp(file.created_at_ms // 1000, UTC)
    header = e.GrpHdr(
        e.MsgId(message_id(file.batch_id)),
        e.CreDtTm(created.strftime("%Y-%m-%dT%H:%M:%SZ")),
        *_totals(e, file.transfers),
        e.InitgPty(e.Nm(sepa_text(payer.name, 70))),
    )
    payments = [
        _payment(e, version, file, number, sepa, transfers)
        for number, ((sepa, _), transfers) in enumerate(blocks.items(), start=1)
    ]
    document = e.Document(e.CstmrCdtTrfInitn(header, *payments))
    _validate(document, version)
    return etree.tostring(document, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def refusal(transfer: Transfer) -> str | None:
    """Why pain.001 cannot carry a transfer; None: it can."""
    if why := common_refusal(transfer, DETAILS):
        return why
    if why := _account_refusal(transfer.details):
        return why
    if why := _party_refusal(transfer.name, transfer.address):
        return why
    sepa = _in_sepa(transfer.currency, transfer.details)
    if transfer.amount_minor > (MAX_SEPA_MINOR if sepa else MAX_MINOR):
        return "the amount is beyond what one transfer may carry; pay it in parts"
    if not sepa and isinstance(transfer.details, Iban) and not transfer.details.bic:
        return "outside SEPA, or in another currency than EUR, the bank's BIC is needed"
    return None


def _account_refusal(details: object) -> str | None:
    if not isinstance(details, Iban):
        return "no account by IBAN"
    if not _IBAN.fullmatch(details.iban) or not IBAN(details.iban, allow_invalid=True).is_valid:
        return "the IBAN is not valid"
    if details.bic and not _BIC.fullmatch(details.bic):
        return "the BIC is not valid"
    return None


def _party_refusal(name: str, address: Address) -> str | None:
    if not sepa_text(name, 70):
        return "the name is empty"
    if not sepa_text(address.town, 35):
        return "the address has no town, which banks insist on"
    if not _COUNTRY.fullmatch(address.country):
        return f"the address's country is {address.country!r}, not two letters of ISO 3166"
    return None


def _in_sepa(currency: str, details: object) -> bool:
    if currency != "EUR" or not isinstance(details, Iban):
        return False
    return details.iban[:2] in _MORE_SEPA or IBAN(details.iban).in_sepa_zone


def _totals(e: ElementMaker, transfers: list[Transfer]) -> list[etree._Element]:
    # ISO 20022 adds the bare numbers up, whatever their currencies.
    total = sum((minor_decimal(t.amount_minor, t.currency) for t in transfers), Decimal())
    return [e.NbOfTxs(str(len(transfers))), e.CtrlSum(f"{total:f}")]


def _payment(
    e: ElementMaker,
    version: Version,
    file: BatchFile,
    number: int,
    sepa: bool,
    transfers: list[Transfer],
) -> etree._Element:
    day = file.execution_date.isoformat()
    return e.PmtInf(
        e.PmtInfId(f"{message_id(file.batch_id)}-{number}"),
        e.PmtMtd("TRF"),
        *_totals(e, transfers),
        e.PmtTpInf(e.SvcLvl(e.Cd("SEPA" if sepa else "NURG"))),
        e.ReqdExctnDt(day) if version == "03" else e.ReqdExctnDt(e.Dt(day)),
        e.Dbtr(*_party(e, file.payer)),
        e.DbtrAcct(_account(e, file.payer)),
        e.DbtrAgt(_bank(e, version, file.payer)),
        e.ChrgBr("SLEV" if sepa else "SHAR"),
        *(_transfer(e, version, transfer) for transfer in transfers),
    )


def _transfer(e: ElementMaker, version: Version, transfer: Transfer) -> etree._Element:
    amount = f"{minor_decimal(transfer.amount_minor, transfer.currency):f}"
    bank = _bank(e, version, transfer)
    remittance = sepa_text(transfer.remittance, 140)
    return e.CdtTrfTxInf(
        e.PmtId(e.EndToEndId(transfer.end_to_end_id)),
        e.Amt(e.InstdAmt(amount, Ccy=transfer.currency)),
        *([e.CdtrAgt(bank)] if isinstance(transfer.details, Iban) and transfer.details.bic else []),
        e.Cdtr(*_party(e, transfer)),
        e.CdtrAcct(_account(e, transfer)),
        *([e.RmtInf(e.Ustrd(remittance))] if remittance else []),
    )


def _party(e: ElementMaker, party: Payer | Transfer) -> list[etree._Element]:
    parts = [(tag, sepa_text(getattr(party.address, f), limit)) for tag, f, limit in _ADDRESS]
    address = e.PstlAdr(*(e(tag, text) for tag, text in parts if text))
    return [e.Nm(sepa_text(party.name, 70)), address]


def _account(e: ElementMaker, party: Payer | Transfer) -> etree._Element:
    assert isinstance(party.details, Iban)
    return e.Id(e.IBAN(party.details.iban))


def _bank(e: ElementMaker, version: Version, party: Payer | Transfer) -> etree._Element:
    assert isinstance(party.details, Iban)
    if not party.details.bic:  # the debtor's bank is mandatory; the IBAN says which it is
        return e.FinInstnId(e.Othr(e.Id("NOTPROVIDED")))
    tag = "BIC" if version == "03" else "BICFI"
    return e.FinInstnId(e(tag, party.details.bic))


@cache
def _schema(version: Version) -> etree.XMLSchema:
    # sepaxml ships the schemas; it cannot write yen, dinars or the same bytes twice.
    path = files("sepaxml") / "schemas" / f"pain.001.001.{version}.xsd"
    return etree.XMLSchema(etree.fromstring(path.read_bytes()))


def _validate(document: etree._Element, version: Version) -> None:
    schema = _schema(version)
    if schema.validate(document):
        return
    # lxml's own message would show the value, which may be somebody's account.
    tree = document.getroottree()
    [element] = tree.xpath(schema.error_log[0].path or "/*")
    where = tree.getelementpath(element).replace(f"{{{document.nsmap[None]}}}", "")
    raise ValueError(f"the file is not valid pain.001.001.{version}; the fault is in {where}")
