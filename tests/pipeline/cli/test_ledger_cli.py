import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
from support.ledger import name
from support.payouts import earn, new_campaign
from support.stores import catch_up, empty_store
from typer.testing import CliRunner, Result

from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from schemas.settings import Settings, settings
from sinks.postgres import Connection, connect

pytestmark = pytest.mark.services

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def books(stack: Settings) -> Settings:
    """Settings whose databases are used by no other tests."""
    return empty_store(stack, "clickhouse", "postgres")


@pytest.fixture
def conn(books: Settings) -> Iterator[Connection]:
    with connect(books) as conn:
        yield conn


@pytest.fixture
def run(books: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs `viewledger …` on these books."""
    monkeypatch.setenv("VIEWLEDGER_DATA", str(books.data))
    monkeypatch.setenv("VIEWLEDGER_POSTGRES", books.url("postgres"))
    monkeypatch.setenv("VIEWLEDGER_CLICKHOUSE", books.url("clickhouse"))
    settings.cache_clear()
    yield lambda *words: CliRunner().invoke(app, list(map(str, words)))
    settings.cache_clear()


@pytest.fixture
def accrual(conn: Connection) -> int:
    return earn(conn, new_campaign(conn), name("p"), 100)


def owner_of(conn: Connection, accrual: int) -> str:
    row = conn.execute(
        "SELECT promoter_id FROM accruals WHERE accrual_id = %s", (accrual,)
    ).fetchone()
    assert row is not None
    return row[0]


def test_settle_says_first_and_then_does_it_once(
    run: Run, books: Settings, conn: Connection, accrual: int
) -> None:
    catch_up(books, "store")  # what other tests sent
    said = run("settle", "--dry-run").stdout
    assert said.startswith("Due: ")
    assert run("settle").stdout == said.replace("Due", "Settled")
    assert run("settle").stdout == "Nothing is due.\n"
    balances = json.loads(
        run("ledger", "balance", "--owner", owner_of(conn, accrual), "--json").stdout
    )
    assert {row["kind"]: row["balance_micros"] for row in balances} == {
        "promoter_payable": 100_000,
        "promoter_pending": 0,
    }


def test_a_correction_is_done_once_and_shown_with_its_journals(
    run: Run, conn: Connection, accrual: int
) -> None:
    words = ("--views", 7, "--reason", "bots", "--actor", "fred", "--key", name("key"))
    done = run("ledger", "correct", accrual, *words)
    assert "7 views; 0.007000 EUR taken from the promoter, of it 0.000000 EUR" in done.stdout
    assert run("ledger", "correct", accrual, *words).stdout == done.stdout
    promoter = owner_of(conn, accrual)
    found = run("ledger", "balance", "--kind", "promoter_pending", "--owner", promoter).stdout
    assert "0.093000 EUR" in found
    (booked,) = conn.execute(
        "SELECT journal_id FROM accruals WHERE accrual_id = %s", (accrual,)
    ).fetchall()
    first = json.loads(run("ledger", "journal", *booked, "--json").stdout)
    assert first["corrections"][0]["reason"] == "bots"
    back = json.loads(run("ledger", "journal", first["reversed_by"], "--json").stdout)
    assert back["reverses_id"] == first["journal_id"]
    assert [entry["amount_micros"] for entry in back["entries"]] == [-100_000, 100_000]
    text = run("ledger", "journal", first["idempotency_key"]).stdout
    assert f"is taken back by journal {back['journal_id']}" in text
    assert f"of accrual {accrual}: 7 views, by fred: bots" in text


def test_verify_says_what_is_wrong_and_ends_with_1(
    run: Run, books: Settings, conn: Connection, accrual: int
) -> None:
    assert run("ledger", "seal").stdout.startswith("Sealed ")
    assert run("ledger", "seal").stdout == "Sealed 0 rows.\n"
    sound = run("ledger", "verify")
    assert sound.exit_code == 0, sound.stdout
    assert "Not sealed yet: 0 rows." in sound.stdout
    assert "The ledger is sound." in sound.stdout
    report = json.loads(run("ledger", "verify", "--json").stdout)
    assert report["head"] in sound.stdout
    assert run("ledger", "verify", "--head", report["head"]).exit_code == 0
    assert run("ledger", "verify", "--head", "ab" * 32).exit_code == 1

    change = "UPDATE accruals SET booked_at = booked_at {} interval '1 s' WHERE accrual_id = %s"
    grow = "UPDATE balances SET balance_micros = balance_micros {} 1 WHERE account_id = 1"
    with psycopg.connect(books.url("postgres"), autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute(change.format("+"), (accrual,))
        owner.execute(grow.format("+"))
        wrong = run("ledger", "verify")
        owner.execute(change.format("-"), (accrual,))
        owner.execute(grow.format("-"))
    assert wrong.exit_code == 1
    assert f"WRONG accruals (accrual_id) = ({accrual})" in wrong.stdout
    assert "balance is the sum of its entries" in wrong.stdout
    assert run("ledger", "verify").exit_code == 0


def test_bad_input_is_a_sentence(run: Run, accrual: int) -> None:
    correct = ("ledger", "correct", accrual, "--reason", "r", "--actor", "a", "--views")
    for words, said in [
        (("ledger", "verify", "--head", "xyz"), "--head is 'xyz'"),
        (("ledger", "balance", "--kind", "gold"), "--kind is 'gold'"),
        (("ledger", "balance", "--currency", "EURO"), "'EURO' is not"),
        (("ledger", "journal", "no such key'--"), "no journal with the number or key"),
        (("ledger", "journal", 10**30), "no journal with the number or key"),
        (("settle", "--until", "2099-01-01"), "is in the future"),
        ((*correct, 101), "has 100 paid views"),
        (("ledger", "correct", 10**15, *correct[3:], 1), "no paid accrual"),
        ((*correct[:3], "--reason", " ", "--actor", "a", "--views", 1), "--reason is empty"),
    ]:
        result = run(*words)
        assert isinstance(result.exception, Problem), (words, result.exception, result.output)
        assert said in str(result.exception)
