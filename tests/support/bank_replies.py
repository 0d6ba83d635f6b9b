"""What banks send, small: templates of pain.002 and camt.053, and NACHA returns by columns."""

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def status_report(group: str = "", payments: str = "", version: str = "03") -> bytes:
    """A pain.002 about the file VLB7; `group` and `payments` are put in."""
    return f"""{HEAD}<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.{version}">
 <CstmrPmtStsRpt>
  <GrpHdr><MsgId>STS-1</MsgId><CreDtTm>2026-11-23T10:00:00Z</CreDtTm></GrpHdr>
  <OrgnlGrpInfAndSts>
   <OrgnlMsgId>VLB7</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>{group}
  </OrgnlGrpInfAndSts>
  {payments}
 </CstmrPmtStsRpt>
</Document>""".encode()


def payment_status(inside: str, number: int = 1) -> str:
    return (
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>VLB7-{number}</OrgnlPmtInfId>{inside}"
        "</OrgnlPmtInfAndSts>"
    )


def transfer_status(reference: str, status: str, more: str = "") -> str:
    told = f"<TxSts>{status}</TxSts>" if status else ""
    return f"<TxInfAndSts><OrgnlEndToEndId>{reference}</OrgnlEndToEndId>{told}{more}</TxInfAndSts>"


def statement(*entries: str, version: str = "08") -> bytes:
    """A camt.053 with one statement."""
    return f"""{HEAD}<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version}">
 <BkToCstmrStmt>
  <GrpHdr><MsgId>STMT-1</MsgId><CreDtTm>2026-11-24T06:00:00Z</CreDtTm></GrpHdr>
  <Stmt><Id>2026-228</Id><Acct><Id><IBAN>DE89370400440532013000</IBAN></Id></Acct>
   {"".join(entries)}
  </Stmt>
 </BkToCstmrStmt>
</Document>""".encode()


def booking(
    amount: str,
    details: str = "",
    *,
    direction: str = "DBIT",
    status: str = "<Cd>BOOK</Cd>",
    more: str = "",
    currency: str = "EUR",
) -> str:
    inside = f"<NtryDtls>{details}</NtryDtls>" if details else ""
    return f"""<Ntry><Amt Ccy="{currency}">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>{more}
<Sts>{status}</Sts><BookgDt><Dt>2026-11-24</Dt></BookgDt>{inside}</Ntry>"""


def detail(reference: str, more: str = "") -> str:
    return f"<TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs>{more}</TxDtls>"


def ach_entry(
    reference: str,
    amount: int,
    *,
    code: int = 21,
    addenda: str = "99R03",
    information: str = "",
    routing: str = "02100002",
) -> list[str]:
    """An entry detail record and its addenda record; `addenda` empty: none."""
    flag = 1 if addenda else 0
    trace = "091000019900001"
    entry = (
        f"6{code}{routing}1{'123456789':17}{amount:010}{reference:15}{'JANE DOE':22}  {flag}{trace}"
    )
    if not addenda:
        return [entry]
    return [entry, f"7{addenda}091000010000012{'':6}{'02100002'}{information:44}{trace}"]


def ach_file(*batches: tuple[str, list[list[str]]]) -> bytes:
    """Batches of (entry class, entries), with their controls counted anew, in blocks of ten."""
    lines = [f"101 021000021 0910000192611241030A094101{'VIEWLEDGER':23}{'SOME BANK':23}{'':8}"]
    all_entries: list[str] = []
    records = 0
    for number, (entry_class, entries) in enumerate(batches, start=1):
        ends = f"09100001{number:07}"
        flat = [record for entry in entries for record in entry]
        names = f"{'VIEWLEDGER':16}{'':20}{'1234567890'}{entry_class}{'PAYOUT':10}"
        lines.append(f"5200{names}2611232611243281{ends}")
        lines += flat
        details = [record for record in flat if record[0] == "6"]
        lines.append(f"8200{_control(len(flat), details, 6)}{'1234567890'}{'':25}{ends}")
        all_entries += details
        records += len(flat)
    blocks = -(-(len(lines) + 1) // 10)
    lines.append(f"9{len(batches):06}{blocks:06}{_control(records, all_entries, 8)}{'':39}")
    lines += ["9" * 94] * (blocks * 10 - len(lines))
    assert {len(line) for line in lines} == {94}, [len(line) for line in lines]
    return "".join(f"{line}\n" for line in lines).encode()


def _control(count: int, entries: list[str], width: int) -> str:
    hashed = sum(int(entry[3:11]) for entry in entries) % 10**10
    debit = sum(int(entry[29:39]) for entry in entries if entry[1:3] in ("26", "27", "36", "37"))
    credit = sum(int(entry[29:39]) for entry in entries) - debit
    return f"{count:0{width}}{hashed:010}{debit:012}{credit:012}"
