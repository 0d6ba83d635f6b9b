import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.ledger import name
from support.payees import IBAN, key
from typer.testing import CliRunner, Result

from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from schemas.seal_keys import parse_keys
from schemas.settings import Settings, settings

Run = Callable[..., Result]
HEADER = "promoter_id,legal_name,town,country,currency,method,iban"


@pytest.fixture
def run(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a command line against the embedded services."""
    monkeypatch.setenv("VIEWLEDGER_DATA", str(stack.data))
    monkeypatch.setenv("VIEWLEDGER_PAYEE_KEYS", key("cli-1"))
    settings.cache_clear()

    def run(*words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words])

    yield run
    settings.cache_clear()


def problem(result: Result) -> str:
    assert isinstance(result.exception, Problem), result.output
    return str(result.exception)


@pytest.fixture
def promoter_id(run: Run, tmp_path: Path) -> str:
    found = name("p")
    file = tmp_path / "promoters.csv"
    file.write_text(f"promoter_id,status\n{found},active\n")
    assert run("promoters", "import", file).exit_code == 0
    return found


@pytest.mark.services
def test_from_import_to_rotation(
    run: Run, promoter_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "payees.csv"
    file.write_text(f"{HEADER}\n{promoter_id},Ada Müller,Wien,AT,EUR,iban,{IBAN}\n")
    results = [run("payees", "import", file, "--actor", "ada")]
    assert "1 new, 0 changed, 0 unchanged" in results[-1].stdout
    assert "line 2: the IBAN is of DE and the address in AT" in results[-1].stderr
    results.append(run("payees", "list"))
    (line,) = [line for line in results[-1].stdout.splitlines() if promoter_id in line]
    assert "DE89 **** **** 3000" in line
    assert line.endswith(" no")
    results.append(run("payees", "verify", promoter_id, "--actor", "ada"))
    assert "another person must verify it" in problem(results[-1])
    results.append(run("payees", "verify", promoter_id, "--actor", "bob", "--version", 1))
    assert "Ada Müller, Wien AT, DE89 **** **** 3000, version 2." in results[-1].stdout
    results.append(run("payees", "show", promoter_id))
    assert "version 2  verified by bob\n" in results[-1].stdout
    results.append(run("payees", "show", promoter_id, "--json"))
    shown = json.loads(results[-1].stdout)
    assert shown["payee"]["masked"] == "DE89 **** **** 3000"
    assert len(shown["changes"]) == 2
    results.append(run("payees", "list", "--json"))
    assert promoter_id in {each["promoter_id"] for each in json.loads(results[-1].stdout)}

    older = settings().payee_keys
    assert older is not None
    newer = run("payees", "new-key").stdout.strip()
    monkeypatch.setenv("VIEWLEDGER_PAYEE_KEYS", f"{newer},{older.get_secret_value()}")
    settings.cache_clear()
    results.append(run("payees", "rotate-key"))
    assert f"1 payees sealed with key '{next(iter(parse_keys(newer)))}'." in results[-1].stdout
    results.append(run("payees", "rotate-key"))
    assert results[-1].stdout.startswith("0 payees sealed")
    monkeypatch.setenv("VIEWLEDGER_PAYEE_KEYS", newer)
    settings.cache_clear()
    results.append(run("payees", "import", file, "--actor", "ada"))
    assert "0 new, 0 changed, 1 unchanged" in results[-1].stdout
    for result in results:
        assert IBAN[4:-4] not in result.output
        assert newer.partition(":")[2] not in result.output + str(result.exception)


@pytest.mark.services
def test_bad_input_is_a_sentence_without_the_account(
    run: Run, promoter_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "payees.csv"
    for line, said in [
        (f"{promoter_id},Ada,Wien,AT,EUR,iban,{IBAN}1", "line 2: iban is too short or too long"),
        (f"{name()},Ada,Wien,AT,EUR,iban,{IBAN}", "no such promoter; import it first"),
    ]:
        file.write_text(f"{HEADER}\n{line}\n")
        result = run("payees", "import", file, "--actor", "ada")
        assert said in problem(result)
        assert IBAN[4:-4] not in problem(result) + result.output
    assert "missing.csv" in problem(run("payees", "import", "missing.csv", "--actor", "ada"))
    assert "'nobody' has no payee" in problem(run("payees", "show", "nobody"))
    assert "actor is ''" in problem(run("payees", "verify", promoter_id, "--actor", ""))
    monkeypatch.delenv("VIEWLEDGER_PAYEE_KEYS")
    settings.cache_clear()
    assert "set VIEWLEDGER_PAYEE_KEYS" in problem(run("payees", "rotate-key"))


def test_a_wrong_key_ends_with_the_name_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIEWLEDGER_PAYEE_KEYS", "a:c2VjcmV0")
    settings.cache_clear()
    result = CliRunner().invoke(app, ["payees", "list"])
    settings.cache_clear()
    assert result.exit_code == 2
    assert "VIEWLEDGER_PAYEE_KEYS: " in result.stderr
    assert "c2VjcmV0" not in result.output


def test_a_new_key_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(app, ["payees", "new-key"])
    assert len(parse_keys(result.stdout.strip())) == 1
