from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ledger import name
from typer.testing import CliRunner, Result

from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from schemas.settings import Settings, settings


@pytest.fixture
def run(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Runs a command line against the embedded services."""
    monkeypatch.setenv("VIEWLEDGER_DATA", str(stack.data))
    settings.cache_clear()

    def run(*words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    yield run
    settings.cache_clear()


@pytest.mark.services
def test_import_and_list(run, tmp_path: Path) -> None:
    file, campaign_id, promoter_id = tmp_path / "file.csv", name(), name("p")
    file.write_text(
        "campaign_id,currency,rate_micros,budget_micros,starts_at,ends_at,status\n"
        f"{campaign_id},EUR,2500,0,2020-01-01,2020-02-01,ended\n"
    )
    assert "1 new, 0 changed, 0 unchanged" in run("campaigns", "import", file).stdout
    assert "0 new, 0 changed, 1 unchanged" in run("campaigns", "import", file).stdout
    (line,) = [line for line in run("campaigns", "list").stdout.splitlines() if campaign_id in line]
    assert "0.002500 EUR" in line
    file.write_text(f"promoter_id,status\n{promoter_id},suspended\n")
    assert "1 new" in run("promoters", "import", file).stdout
    assert "[X] 0001_catalogue.sql" in run("migrate", "status").stdout
    assert "Nothing was pending" in run("migrate", "up", "--database", "postgres").stdout


@pytest.mark.services
def test_an_import_says_what_it_changes(run, tmp_path: Path) -> None:
    file, campaign_id = tmp_path / "file.csv", name()
    header = "campaign_id,currency,rate_micros,budget_micros,starts_at,ends_at,status"
    line = f"{campaign_id},EUR,{{}},0,2020-01-01,2020-02-01,ended"
    file.write_text(f"{header},fee_bp\n{line.format(2500)},250\n")
    assert "1 new" in run("campaigns", "import", file).stdout
    file.write_text(f"{header}\n{line.format(3000)}\n")
    said = run("campaigns", "import", file).stdout
    assert "1 changed" in said
    change = f"campaign '{campaign_id}'"
    assert f"  {change}: rate_micros 2500 → 3000 for what is viewed from now on\n" in said
    assert f"  {change}: fee_bp 250 → 0 for what is booked from now on\n" in said


@pytest.mark.services
def test_bad_input_is_a_sentence(run, tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("promoter_id,status\np1,gone\n")
    for words, said in [
        (("promoters", "import", file), "line 2: status is 'gone'"),
        (("promoters", "import", tmp_path / "missing"), "missing: No such file"),
        (("campaigns", "import", tmp_path), "directory"),
    ]:
        result = run(*words)
        assert isinstance(result.exception, Problem)
        assert said in str(result.exception)
    assert run("migrate", "down").exit_code == 1  # nobody said yes


def test_postgres_away_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIEWLEDGER_POSTGRES", "postgresql://u:geheim@127.0.0.1:1/d")
    settings.cache_clear()
    result = CliRunner().invoke(app, ["campaigns", "list"])
    settings.cache_clear()
    assert isinstance(result.exception, Problem)
    assert "Postgres does not answer" in str(result.exception)
    assert "geheim" not in str(result.exception)
