"""A month of finance in a minute: the second half of `viewledger demo`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.simulate.bank import bank_answers
from pipeline.simulate.payees import write_payees
from schemas.payout import Address, Iban, Payer
from schemas.seal_keys import Keys
from sinks.payee_file import read_payees
from sinks.payees import save_payees, verify_payee
from sinks.payouts.answers import import_answers
from sinks.payouts.approve import approve
from sinks.payouts.batch import Batch, PayoutError, load_batch
from sinks.payouts.draft import draft
from sinks.payouts.export import ExportedFile, export
from sinks.postgres import Connection
from sinks.settle import Settled, settle

CURRENCY = "EUR"
MINIMUM_MICROS = 1_000_000
FORMAT = "pain.001.001.09"

PAYER = Payer(
    name="Viewledger Demo Ltd",
    address=Address(
        town="Berlin", country="DE", postcode="10117", street="Friedrichstraße", building="1"
    ),
    details=Iban("DE75512108001245126199", "SOGEDEFF"),
)


class Finance(NamedTuple):
    """What finance did, step by step."""

    settled: list[Settled]
    payees: int
    drafted: Batch
    left: int
    """Promoters with less than the minimum."""
    file: ExportedFile
    answered: Batch
    """After the bank's answers."""


def run_finance(conn: Connection, keys: Keys, catalogue: Path, folder: Path) -> Finance:
    """Settles, pays and hears from the bank; files go to `folder`.

    Anna drafts, Ben approves, as the database wants it.
    """
    settled = settle(conn)
    payees = folder / "payees.jsonl"
    write_payees(catalogue, payees)
    found = read_payees(payees).payees
    save_payees(conn, keys, found, actor="anna")
    for payee in found:
        verify_payee(conn, payee.promoter_id, actor="ben")
    made = draft(conn, CURRENCY, None, MINIMUM_MICROS, actor="anna", key="demo")
    if made.batch is None:
        raise PayoutError("the promoters of the demo earned too little to be paid: more --events")
    number = made.batch.batch_id
    approve(conn, number, actor="ben")
    (folder / "payer.json").write_bytes(msgspec.json.format(msgspec.json.encode(PAYER)))
    today = datetime.now(UTC).date()
    (file,) = export(conn, keys, PAYER, number, FORMAT, today, actor="ben")
    (folder / file.name).write_bytes(file.content)
    for name, content in bank_answers(file.content)._asdict().items():
        (folder / f"{name.replace('_', '.')}.xml").write_bytes(content)
        import_answers(conn, name, content, actor="anna")
    return Finance(settled, len(found), made.batch, len(made.left), file, load_batch(conn, number))
