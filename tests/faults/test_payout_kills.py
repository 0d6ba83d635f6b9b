"""Whatever is killed while finance works: nobody is paid twice, and nothing is lost.

One seed again: pytest tests/faults/test_payout_kills.py --seed 17
"""

import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import msgspec
import pytest
from support.bank import Bank
from support.databases import with_database
from support.finance import Finance, owner
from support.finance_child import FEES_BP, RATES, keep_booking, views_at
from support.ledger import name, new_partition
from support.payees import key
from support.payouts import PAYER, earn, money, new_campaign, new_promoter
from support.stacks import kill

from pipeline.embedded.stack import start_services
from schemas.money import to_micros
from schemas.seal_keys import Keys, parse_keys
from schemas.settings import Settings
from sinks.book import load_progress
from sinks.chain import verify_chain
from sinks.ledger import AccountKind, Owner, open_accounts
from sinks.ledger_verify import verify_ledger
from sinks.migrate import migrate_up
from sinks.payouts import draft, export
from sinks.payouts.batch import load_batch
from sinks.postgres import Connection

MONTHS = 4
PROMOTERS = 24
BLOCKS_A_MONTH = 60
KINDS = ("promoter_pending", "promoter_payable", "promoter_debt", "payout_clearing")
GIVEN_BACK = ("failed", "returned", "cancelled")
PAUSE_S = 0.02
"""Between two blocks that are booked."""

pytestmark = [pytest.mark.services, pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """An embedded Postgres, for these tests alone because they kill it, and nothing else."""
    nowhere = "127.0.0.1:9"
    found = Settings(
        data=tmp_path_factory.mktemp("payouts") / "data",
        kafka=f"kafka://{nowhere}",
        clickhouse=f"http://{nowhere}",
        redis=f"redis://{nowhere}/0",
    )
    try:
        start_services(found)
        yield found
    finally:
        kill(found)


@pytest.fixture
def postgres(server: Settings) -> Settings:
    """A database for one test."""
    url = with_database(server.url("postgres"), name("payouts"))
    found = server.model_copy(update={"postgres": url})
    owner(server).close()
    migrate_up(found, ["postgres"])
    return found


class Company(NamedTuple):
    """Campaigns, promoters that are paid, and where their views are booked."""

    campaigns: list[str]
    promoters: list[str]
    partition: int
    env: dict[str, str]


@pytest.fixture
def company(postgres: Settings, tmp_path: Path) -> Company:
    """New in every test."""
    payer = tmp_path / "payer.json"
    payer.write_bytes(msgspec.json.encode(PAYER))
    env = {"VIEWLEDGER_PAYEE_KEYS": key(), "VIEWLEDGER_PAYER": str(payer)}
    keys = parse_keys(env["VIEWLEDGER_PAYEE_KEYS"])
    with owner(postgres) as conn:
        campaigns = [
            new_campaign(conn, rate_micros=rate, fee_bp=fee)
            for rate, fee in zip(RATES, FEES_BP, strict=True)
        ]
        promoters = sorted(name("p") for _ in range(PROMOTERS))  # as lines are
        for promoter in promoters:
            new_promoter(
                conn,
                keys,
                promoter_id=promoter,
                legal_name=promoter,
                backup_withholding=promoter == promoters[-1],
            )
    return Company(campaigns, promoters, new_partition(), env)


def test_nobody_is_paid_twice(
    postgres: Settings, company: Company, tmp_path: Path, fault_seed: int
) -> None:
    finance = Finance(postgres, company.env, tmp_path, fault_seed)
    bank = Bank(tmp_path / "bank", fault_seed)
    try:
        corrected = work(finance, bank, company, fault_seed, MONTHS)
    finally:
        print(f"seed {fault_seed}: " + ", ".join(finance.story))
    with owner(postgres) as conn:
        assert wrong(conn, bank, company, fault_seed, corrected) == []
        assert verify_ledger(conn) == []
        assert verify_chain(conn).tampered == []
        paid = conn.execute(
            "SELECT count(*) FROM payout_lines WHERE status = 'settled' AND promoter_id = ANY (%s)",
            (company.promoters,),
        ).fetchone()
    assert paid
    assert paid[0] > PROMOTERS


@pytest.mark.parametrize("broken", ["draft", "export"])
def test_paying_twice_would_be_seen(
    postgres: Settings, company: Company, tmp_path: Path, broken: str
) -> None:
    finance = Finance(postgres, company.env, tmp_path, 1)
    finance.broken = {"draft": draft_without_taking, "export": export_anew}[broken]
    bank = Bank(tmp_path / "bank", 1)
    corrected = work(finance, bank, company, 1, 2)
    with owner(postgres) as conn:
        found = wrong(conn, bank, company, 1, corrected)
    said = {"draft": "has .* micros instead of", "export": "is in two files"}[broken]
    assert [each for each in found if re.search(said, each)]


def draft_without_taking() -> None:
    """A draft leaves payable what it pays: the money comes from outside, so nothing stops it."""

    def wrong(conn: Connection, kind: AccountKind, owners: list[Owner]) -> dict[Owner, int]:
        return open_accounts(
            conn, "campaign_funding" if kind == "promoter_payable" else kind, owners
        )

    patch.object(draft, "open_accounts", wrong).start()


def export_anew() -> None:
    """An export that is repeated makes the file anew, with another time in it."""

    def wrong(conn: Connection, keys: Keys, batch_id: int) -> list[export.ExportedFile]:
        batch = load_batch(conn, batch_id)
        lines = [line for line in batch.lines if line.status != "cancelled"]
        assert batch.format
        assert batch.execution_date
        return export._make(conn, keys, PAYER, batch, lines, batch.format, batch.execution_date)

    patch.object(export, "stored_files", wrong).start()


def work(finance: Finance, bank: Bank, company: Company, seed: int, months: int) -> "Counter[str]":
    """Months of finance, beside booking that is killed as well; what was taken back, micros."""
    chance = finance.random
    corrected: Counter[str] = Counter()
    beside = (company.partition, seed, company.campaigns, company.promoters, PAUSE_S)
    kill_booking = finance.beside(keep_booking, *beside)
    try:
        for month in range(months):
            _wait_for_views(finance, company, (month + 1) * BLOCKS_A_MONTH)
            finance.harmed("settle")
            for n in range(2):
                _correct(finance, company, f"{seed}-{name()}-{month}-{n}", corrected)
            batch = _draft(finance)
            kill_booking()
            kill_booking = finance.beside(keep_booking, *beside)
            if batch is None:
                continue
            assert "somebody else has to" in finance.refused(
                "payouts", "approve", batch, "--actor", "Anna"
            )
            if chance.random() < 0.2:
                finance.harmed("payouts", "cancel", batch, "--actor", "ben")
                batch = _draft(finance)
            with owner(finance.settings) as conn:
                lines = conn.execute(
                    "SELECT line_id FROM payout_lines WHERE batch_id = %s", (batch,)
                ).fetchall()
            (line,) = chance.choice(lines)
            finance.harmed("payouts", "cancel", batch, "--line", line, "--actor", "ben")
            finance.harmed("payouts", "approve", batch, "--actor", "ben")
            sent = _export(finance, bank, f"{batch}")
            _correct(finance, company, f"{seed}-{name()}-{month}", corrected)
            for answer in bank.answers(sent):
                finance.harmed("payouts", "import", answer, "--actor", "carl")
                if chance.random() < 0.5:
                    said = finance.harmed("payouts", "import", answer, "--actor", "dora")
                    assert "was imported before" in said
            _export(finance, bank, f"{batch}")
    finally:
        kill_booking()
    return corrected


def _wait_for_views(finance: Finance, company: Company, blocks: int) -> None:
    deadline = time.monotonic() + 60
    with owner(finance.settings) as conn:
        while True:
            at = load_progress(conn).get(company.partition)
            if at and at.next_scored >= blocks:
                return
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _draft(finance: Finance) -> int | None:
    words = ("payouts", "draft", "--currency", "EUR", "--actor", "anna", "--min", "0.05")
    said = finance.harmed(*words, "--key", name("key"))
    found = re.search(r"^Batch (\d+) is draft", said, re.MULTILINE)
    assert found or "no batch was made" in said
    return int(found[1]) if found else None


def _export(finance: Finance, bank: Bank, batch: str) -> list[str]:
    """Exports twice; the bank gets whatever is in a folder, also while the command runs."""
    new = []
    for folder in (finance.folder / name("out"), finance.folder / name("out")):
        command = ("payouts", "export", batch, "--actor", "ben", "--out", folder)
        finance.harmed(*command, after=lambda: new.extend(_carry(folder, bank)))  # noqa: B023
    return new


def _carry(folder: Path, bank: Bank) -> list[str]:
    found = []
    for path in folder.glob("payout-*.xml"):
        assert path.stat().st_mode & 0o777 == 0o600
        found += bank.take(path.read_bytes())
    return found


def _correct(
    finance: Finance, company: Company, correction: str, corrected: "Counter[str]"
) -> None:
    with owner(finance.settings) as conn:
        found = conn.execute(
            "SELECT accrual_id, promoter_id, rate_micros, fee_bp, views - coalesce((SELECT"
            " sum(views) FROM corrections AS c WHERE c.accrual_id = a.accrual_id), 0)::bigint"
            " FROM accruals AS a WHERE promoter_id = ANY (%s) AND journal_id IS NOT NULL"
            " ORDER BY accrual_id",
            (company.promoters,),
        ).fetchall()
    accrual, promoter, rate, fee, left = finance.random.choice(found)
    if not left:
        return
    views = finance.random.randint(1, left)
    finance.harmed("correct", accrual, views, correction)
    corrected[promoter] += views * net(rate, fee)


def net(rate_micros: int, fee_bp: int) -> int:
    return rate_micros - rate_micros * fee_bp // 10_000


def wrong(
    conn: Connection, bank: Bank, company: Company, seed: int, corrected: "Counter[str]"
) -> list[str]:
    """What the bank paid and what is left, against what was earned; to the micro."""
    found = [f"{reference} is in two files" for reference in bank.twice]
    earned = _earned(conn, company, seed)
    for promoter in company.promoters:
        rows = conn.execute(
            "SELECT status, amount_micros, withheld_micros, became.times FROM payout_lines"
            " CROSS JOIN LATERAL (SELECT count(*) AS times FROM payout_events WHERE"
            " payout_events.line_id = payout_lines.line_id AND became = 'settled') AS became"
            " WHERE promoter_id = %s",
            (promoter,),
        ).fetchall()
        settled = [row for row in rows if row[0] == "settled"]
        if any(times > 1 for *_, times in rows):
            found.append(f"a line of {promoter} was settled more than once")
        got = sum(amount for _, amount, _, _ in settled)
        withheld = sum(row[2] for row in rows if row[0] not in GIVEN_BACK)
        if got != to_micros(bank.paid[promoter], "EUR"):
            found.append(f"{promoter} got {bank.paid[promoter]} cents of the bank, here {got}")
        balances = money(conn, promoter)
        has = got + withheld + sum(balances.get(kind, 0) for kind in KINDS)
        due = earned[promoter] - corrected[promoter]
        if has != due:
            found.append(f"{promoter} has {has} micros instead of {due}")
        if got > earned[promoter]:
            found.append(f"{promoter} got {got} micros and earned {earned[promoter]}")
    return found


def _earned(conn: Connection, company: Company, seed: int) -> "Counter[str]":
    """What the log says, up to where it is booked."""
    of = {
        campaign: net(rate, fee)
        for campaign, rate, fee in zip(company.campaigns, RATES, FEES_BP, strict=True)
    }
    earned: Counter[str] = Counter()
    at, end = 0, load_progress(conn)[company.partition].position.next_raw
    while at < end:
        views = views_at(at, seed, company.campaigns, company.promoters)
        earned[views[0].promoter_id] += len(views) * of[views[0].campaign_id]
        at += len(views)
    assert at == end
    return earned


def test_killed_at_every_statement(postgres: Settings, company: Company, tmp_path: Path) -> None:
    finance = Finance(postgres, company.env, tmp_path)
    bank = Bank(tmp_path / "bank", 0)
    promoters = company.promoters[:4]
    with owner(postgres) as conn:
        accruals = [earn(conn, company.campaigns[0], promoter, 1235) for promoter in promoters]
    kills: Counter[str] = Counter()

    def run(*words: object) -> str:
        said, times = finance.at_every_statement(*words, check=sound)
        kills[str(words[words[0] == "payouts"])] += times
        return said

    def sound() -> None:
        with owner(postgres) as conn:
            assert verify_ledger(conn) == []

    run("correct", accruals[0], 1, name("key"))
    run("settle")
    run("correct", accruals[1], 1, name("key"))
    draft_words = ("payouts", "draft", "--currency", "EUR", "--actor", "anna", "--key", name("key"))
    found = re.search(r"^Batch (\d+) is draft: 4 lines", run(*draft_words), re.MULTILINE)
    assert found
    batch = found[1]
    with owner(finance.settings) as conn:
        lines = [
            f"VL{line}"
            for (line,) in conn.execute(
                "SELECT line_id FROM payout_lines WHERE batch_id = %s ORDER BY line_id", (batch,)
            )
        ]
    run("payouts", "cancel", batch, "--line", lines[3][2:], "--actor", "ben")
    run("payouts", "approve", batch, "--actor", "ben")
    run("payouts", "export", batch, "--actor", "ben", "--out", tmp_path / "out")
    assert sorted(_carry(tmp_path / "out", bank)) == sorted(lines[:3])
    for answer in bank.answers(lines[:3], "pbr"):
        run("payouts", "import", answer, "--actor", "carl")
    # Becomes a debt, which the next draft nets.
    run("correct", accruals[0], 1000, name("key"))
    with owner(postgres) as conn:
        earn(conn, company.campaigns[0], promoters[0], 1500)
    run("settle")
    run(*draft_words[:-1], name("key"))
    sound()
    with owner(postgres) as conn:
        left = [money(conn, promoter) for promoter in promoters]
    assert left[0] == {"payout_clearing": 500_000, "promoter_payable": 4_000}
    print(f"killed {dict(kills)}")
    assert min(kills.values()) > 10
