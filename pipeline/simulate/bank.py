"""A stand-in for the bank: answers a pain.001 with a pain.002 and a camt.053.

`python -m pipeline.simulate.bank payout-1.xml FOLDER`: the first transfer is rejected, because
the account is closed; the others are booked the same day.
"""

import sys
from pathlib import Path
from typing import NamedTuple

from lxml import etree

_ISO = "urn:iso:std:iso:20022:tech:xsd"


class BankAnswers(NamedTuple):
    """Two files."""

    pain_002: bytes
    camt_053: bytes


def bank_answers(pain_001: bytes) -> BankAnswers:
    """What a bank might say to a file of transfers in one currency."""
    root = etree.fromstring(pain_001, etree.XMLParser(resolve_entities=False, no_network=True))
    message_id, created = root.findtext(".//{*}MsgId"), root.findtext(".//{*}CreDtTm") or ""
    payments = [
        (payment.findtext("{*}PmtInfId"), *_transfer(transfer))
        for payment in root.iterfind(".//{*}PmtInf")
        for transfer in payment.iterfind("{*}CdtTrfTxInf")
    ]
    rejected_in, rejected, _, _ = payments[0]
    status = f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="{_ISO}:pain.002.001.10"><CstmrPmtStsRpt>
 <GrpHdr><MsgId>STATUS-{message_id}</MsgId><CreDtTm>{created}</CreDtTm></GrpHdr>
 <OrgnlGrpInfAndSts><OrgnlMsgId>{message_id}</OrgnlMsgId>
  <OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId><GrpSts>PART</GrpSts></OrgnlGrpInfAndSts>
 <OrgnlPmtInfAndSts><OrgnlPmtInfId>{rejected_in}</OrgnlPmtInfId><TxInfAndSts>
  <OrgnlEndToEndId>{rejected}</OrgnlEndToEndId><TxSts>RJCT</TxSts>
  <StsRsnInf><Rsn><Cd>AC04</Cd></Rsn><AddtlInf>account closed</AddtlInf></StsRsnInf>
 </TxInfAndSts></OrgnlPmtInfAndSts>
</CstmrPmtStsRpt></Document>
"""
    booked = "".join(
        f"""
  <Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>
   <BookgDt><Dt>{created[:10]}</Dt></BookgDt><NtryDtls><TxDtls><Refs>
   <EndToEndId>{reference}</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>"""
        for _, reference, amount, currency in payments[1:]
    )
    statement = f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="{_ISO}:camt.053.001.08"><BkToCstmrStmt>
 <GrpHdr><MsgId>STATEMENT-{message_id}</MsgId><CreDtTm>{created}</CreDtTm></GrpHdr>
 <Stmt><Id>1</Id><Acct><Id><IBAN>{root.findtext(".//{*}DbtrAcct//{*}IBAN")}</IBAN></Id></Acct>
  {booked}
 </Stmt></BkToCstmrStmt></Document>
"""
    return BankAnswers(status.encode(), statement.encode())


def _transfer(transfer: etree._Element) -> tuple[str, str, str]:
    amount = transfer.find(".//{*}InstdAmt")
    assert amount is not None
    reference = transfer.findtext(".//{*}EndToEndId")
    return str(reference), str(amount.text), str(amount.get("Ccy"))


def main() -> None:
    """Writes both answers into a folder."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m pipeline.simulate.bank PAIN_001_FILE FOLDER")
    try:
        answers = bank_answers(Path(sys.argv[1]).read_bytes())
    except (OSError, etree.XMLSyntaxError) as error:
        sys.exit(f"{sys.argv[1]} is no file of pain.001: {error}")
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip(("pain.002.xml", "camt.053.xml"), answers, strict=True):
        (folder / name).write_bytes(content)
        sys.stdout.write(f"{folder / name}\n")


if __name__ == "__main__":
    main()
