"""Attacks, damage, and chance: nothing but AnswerError comes out."""

import http.server
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bank_replies import (
    HEAD,
    ach_entry,
    ach_file,
    booking,
    detail,
    payment_status,
    statement,
    status_report,
    transfer_status,
)
from support.payments import batch, transfer

from sinks.bank_answers import iso20022
from sinks.bank_answers.bank_file import AnswerError
from sinks.bank_answers.read import read_answers
from sinks.bank_files.pain001 import pain_001

VALID = [
    status_report("<GrpSts>PART</GrpSts>", payment_status(transfer_status("VL1", "RJCT"))),
    statement(booking("10.50", detail("VL1")), booking("3", direction="CRDT")),
    ach_file(("PPD", [ach_entry("VL1", 5), ach_entry("VL2", 6)])),
]
REPORT = status_report("<GrpSts>&x;</GrpSts>").decode().removeprefix(HEAD)
REFUSED = r"brings a DTD|not well-formed"
LAUGHS = "".join(
    f'<!ENTITY x{n} "{f"&x{n - 1};" * 10}">' if n else '<!ENTITY x0 "lol">' for n in range(10)
)


@pytest.mark.parametrize(
    "content",
    [
        f"<!DOCTYPE Document [{LAUGHS}]>{REPORT.replace('&x;', '&x9;')}",
        f"<!DOCTYPE Document [{LAUGHS}]>" + REPORT.replace("<GrpHdr", '<GrpHdr a="&x9;"'),
        f'<!DOCTYPE Document [<!ENTITY x "RJCT">]>{REPORT}',
        f"<!DOCTYPE Document>{REPORT.replace('&x;', 'RJCT')}",
        f"<!-- harmless --><!DOCTYPE Document>{REPORT.replace('&x;', 'RJCT')}",
        REPORT,
    ],
    ids=["laughs", "laughs in an attribute", "entity", "empty DTD", "after a comment", "unknown"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_and_dtds_are_refused(content: str, encoding: str) -> None:
    with pytest.raises(AnswerError, match=REFUSED):
        read_answers(content.encode(encoding))


def test_no_file_and_no_host_is_read(tmp_path: Path) -> None:
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    secret = tmp_path / "secret"
    secret.write_text("RJCT")
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for place in (secret.as_uri(), f"http://127.0.0.1:{server.server_port}/x"):
                for dtd in (
                    f'[<!ENTITY x SYSTEM "{place}">]',
                    f'[<!ENTITY % p SYSTEM "{place}"> %p; <!ENTITY x "RJCT">]',
                    f'SYSTEM "{place}"',
                ):
                    with pytest.raises(AnswerError, match=REFUSED) as refused:
                        read_answers(f"<!DOCTYPE Document {dtd}>{REPORT}".encode())
                    assert "RJCT" not in str(refused.value)
        finally:
            server.shutdown()
            thread.join()
    assert asked == []


def test_xinclude_is_only_an_element(tmp_path: Path) -> None:
    place = (tmp_path / "secret").as_uri()
    include = f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{place}"/>'
    with pytest.raises(AnswerError, match="no status"):
        read_answers(status_report(f"<GrpSts>{include}</GrpSts>"))


def test_too_large_or_too_deep(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnswerError, match="not well-formed"):
        read_answers(b"<a>" * 100_000)
    monkeypatch.setattr(iso20022, "MAX_BYTES", 100)
    with pytest.raises(AnswerError, match="at most 100"):
        read_answers(VALID[0])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"line_id,status\n1,paid\n", "begins with b'line_id,stat'; expected XML"),
        (b"%PDF-1.7", "expected XML"),
        (b"<html/>", "line 1: <html>"),
        (pain_001(batch(transfer(1))), "it is a pain.001; expected pain.002"),
        (VALID[1].replace(b"camt.053", b"camt.054"), "it is a camt.054"),
        (VALID[0][:-20], "not well-formed XML"),
    ],
)
def test_other_files(content: bytes, says: str) -> None:
    with pytest.raises(AnswerError, match=says):
        read_answers(content)


@pytest.mark.parametrize("valid", VALID[:2])
def test_encodings_comments_and_blanks(valid: bytes) -> None:
    text = valid.decode()
    expected = read_answers(valid)
    assert read_answers(text.removeprefix(HEAD).encode("utf-16")) == expected
    assert read_answers(b"\xef\xbb\xbf" + valid) == expected
    assert read_answers(b"\n " + valid) == expected
    assert read_answers(text.replace("VL1", "V<!-- x -->L<?y?>1").encode()) == expected
    assert read_answers(text.replace("VL1", "<![CDATA[VL1]]>").encode()) == expected
    prefixed = text.replace("xmlns=", "xmlns:p=").replace("</", "</p:")
    assert read_answers(_prefix_opening(prefixed).encode()) == expected


def _prefix_opening(text: str) -> str:
    head, _, body = text.partition("\n")
    return head + "\n" + body.replace("<", "<p:").replace("<p:/p:", "</p:")


@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    refused_or_read(content)


@given(
    st.sampled_from(VALID),
    st.lists(
        st.tuples(st.integers(0, 2000), st.integers(0, 40), st.binary(max_size=8)),
        min_size=1,
        max_size=4,
    ),
)
def test_damaged_files(content: bytes, cuts: list[tuple[int, int, bytes]]) -> None:
    for at, length, instead in cuts:
        at %= len(content) + 1
        content = content[:at] + instead + content[at + length :]
    refused_or_read(content)


@given(
    st.sampled_from(VALID[:2]),
    st.sampled_from(["VL1", "RJCT", "10.50", "EUR", "DBIT", "BOOK", "MsgId", "Amt", "NtryDtls"]),
    st.text(max_size=12),
)
def test_any_text_for_a_word(content: bytes, word: str, instead: str) -> None:
    refused_or_read(content.decode().replace(word, instead).encode("utf-8", "replace"))


@given(st.sampled_from(VALID), st.integers(0, 3000))
def test_a_file_cut_short_is_refused(content: bytes, at: int) -> None:
    # Of NACHA the filler lines may be missing, and the blanks before them.
    needed = len(content.rstrip(b"\n9").rstrip(b" "))
    with pytest.raises(AnswerError):
        read_answers(content[: at % needed])


def refused_or_read(content: bytes) -> None:
    try:
        found = read_answers(content)
    except AnswerError:
        return
    assert all(answer.reference for answer in found.answers)
    assert all((answer.amount_minor or 0) >= 0 for answer in found.answers)
