import subprocess
import sys
from datetime import date
from pathlib import Path

from support.payees import IBAN
from support.payouts import PAYER

from pipeline.simulate.bank import bank_answers
from pipeline.simulate.payees import payee_lines
from schemas.payout import Address, BatchFile, Iban, Transfer
from sinks.bank_answers.read import read_answers
from sinks.bank_files.pain001 import pain_001
from sinks.payee_file import read_payees


def test_payees_of_simulated_promoters_are_fine_and_always_the_same(tmp_path: Path) -> None:
    promoters = [f"p-{n:02}" for n in range(40)]
    file = tmp_path / "payees.jsonl"
    file.write_bytes(b"\n".join(payee_lines(promoters)))
    found = read_payees(file)
    assert [payee.promoter_id for payee in found.payees] == promoters
    assert found.warnings == []
    accounts = {payee.details.iban for payee in found.payees if isinstance(payee.details, Iban)}
    assert len(accounts) == 40
    assert list(payee_lines(promoters)) == list(payee_lines(reversed(promoters)))


def test_the_bank_rejects_one_and_books_the_others(tmp_path: Path) -> None:
    transfers = [
        Transfer(
            line_id=number,
            end_to_end_id=f"VL{number}",
            promoter_id="p",
            name="Ada",
            address=Address(town="Berlin", country="DE"),
            details=Iban(IBAN, "COBADEFFXXX"),
            amount_minor=100 * number,
            currency="EUR",
            remittance="r",
        )
        for number in (1, 2, 3)
    ]
    content = pain_001(
        BatchFile(
            batch_id=7,
            created_at_ms=1_790_000_000_000,
            execution_date=date(2026, 11, 23),
            payer=PAYER,
            transfers=transfers,
        )
    )
    rejected, booked = map(read_answers, bank_answers(content))
    assert [(a.reference, a.outcome, a.code) for a in rejected.answers] == [
        ("VL1", "failed", "AC04")
    ]
    assert [(a.reference, a.outcome, a.amount_minor) for a in booked.answers] == [
        ("VL2", "settled", 200),
        ("VL3", "settled", 300),
    ]
    file = tmp_path / "payout.xml"
    file.write_bytes(content)
    command = [sys.executable, "-m", "pipeline.simulate.bank", str(file), str(tmp_path / "bank")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert read_answers(Path(said.splitlines()[1]).read_bytes()) == booked
