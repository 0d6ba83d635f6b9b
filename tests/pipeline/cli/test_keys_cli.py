import getpass
import json
from collections.abc import Callable, Iterator

import pytest
from support.payees import key
from typer.testing import CliRunner, Result

from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from schemas.seal_keys import parse_keys
from schemas.settings import Settings, settings
from sinks.api_keys import load_live
from sinks.postgres import connect

Run = Callable[..., Result]


@pytest.fixture
def run(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a command line against the embedded services."""
    monkeypatch.setenv("VIEWLEDGER_DATA", str(stack.data))
    monkeypatch.setenv("VIEWLEDGER_COLLECTOR_KEYS", key("cli-1"))
    settings.cache_clear()

    def run(*words: object) -> Result:
        return CliRunner().invoke(app, ["keys", *(str(word) for word in words)])

    yield run
    settings.cache_clear()


def problem(result: Result) -> str:
    assert isinstance(result.exception, Problem), result.output
    return str(result.exception)


def line_of(run: Run, key_id: str) -> str:
    (line,) = [line for line in run("list").stdout.splitlines() if line.startswith(key_id)]
    return line


@pytest.mark.services
def test_a_key_of_a_page_from_making_to_revoking(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = run(
        *("create", "--publishable", "--name", "shop", "--events-per-minute", 1000),
        *("--origin", "https://www.example.com/", "--origin", "http://localhost:3000"),
    )
    token = made.stdout.strip()
    assert token.startswith("vlpk_")
    key_id = token.split("_")[1]
    assert key_id in made.stderr
    line = line_of(run, key_id)
    assert line.split() == [
        *(key_id, "publishable", "shop", "1,000", "live"),
        *("http://localhost:3000", "https://www.example.com"),
    ]
    rotated = run("rotate", key_id, "--grace-hours", 0.5, "--by", "bob", "--json")
    newer = json.loads(rotated.stdout)
    assert newer["token"].startswith(f"vlpk_{newer['key_id']}_")
    assert f"{key_id} is good for another 0.5 hours" in rotated.stderr
    assert " until 20" in line_of(run, key_id)
    assert "rotated already" in problem(run("rotate", key_id))
    revoked = run("revoke", newer["key_id"], "--by", "bob")
    assert revoked.stdout == f"publishable key {newer['key_id']}, 'shop', is revoked.\n"
    assert "revoked 20" in line_of(run, newer["key_id"])
    assert "by bob" in line_of(run, newer["key_id"])
    listed = json.loads(run("list", "--json").stdout)
    (first,) = [each for each in listed if each["key_id"] == key_id]
    assert first["created_by"] == getpass.getuser()
    (successor,) = [each for each in listed if each["rotated_from"] == key_id]
    assert successor["key_id"] == newer["key_id"]
    for result in (run("list"), run("list", "--json"), rotated, revoked):
        assert token.split("_", 2)[2] not in result.output
    assert newer["token"] not in run("list", "--json").output


@pytest.mark.services
def test_a_sealing_key_is_replaced(
    run: Run, stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = run("create", "--secret", "--name", "server", "--by", "ada").stdout.strip()
    assert token.startswith("vlsk_")
    key_id = token.split("_")[1]
    older = settings().collector_keys
    assert older is not None
    newer = run("new-key").stdout.strip()
    monkeypatch.setenv("VIEWLEDGER_COLLECTOR_KEYS", f"{newer},{older.get_secret_value()}")
    settings.cache_clear()
    (seal_key_id,) = parse_keys(newer)
    # What other tests sealed with keys of their own does not open here.
    assert run("reseal").stdout == f"1 API keys sealed with key '{seal_key_id}'.\n"
    assert run("reseal").stdout.startswith("0 API keys sealed")
    with connect(stack) as conn:
        found = {each.key_id: each for each in load_live(conn, parse_keys(newer)).keys}
    assert found[key_id].secret == token.split("_", 2)[2].encode()


@pytest.mark.services
def test_without_the_setting_the_data_folder_keeps_a_key(
    run: Run, stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIEWLEDGER_COLLECTOR_KEYS")
    settings.cache_clear()
    assert run("create", "--secret", "--name", "server").exit_code == 0
    assert parse_keys((stack.data / "collector" / "keys").read_text())


@pytest.mark.services
def test_bad_input_is_a_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for words, said in [
        (("create", "--name", "x"), "--publishable for pages or --secret"),
        (("create", "--name", "x", "--publishable", "--secret"), "say which kind"),
        (("create", "--name", "x", "--publishable"), "name their origins"),
        (("create", "--name", "x", "--publishable", "--origin", "http://a.example"), "encrypted"),
        (("create", "--name", "x", "--secret", "--campaign", "nope"), "no campaign 'nope'"),
        (("create", "--name", "x", "--secret", "--by", ""), "actor is ''"),
        (("rotate", "nope"), "no API key 'nope'"),
        (("rotate", "nope", "--grace-hours", "1e300"), "must be 0 to 90 days"),
        (("revoke", "nope"), "no API key 'nope'"),
    ]:
        assert said in problem(run(*words))
    monkeypatch.setattr(getpass, "getuser", lambda: {}["nobody"])
    assert "--by NAME" in problem(run("create", "--name", "x", "--secret"))


def test_a_new_sealing_key_is_one() -> None:
    result = CliRunner().invoke(app, ["keys", "new-key"])
    assert len(parse_keys(result.stdout.strip())) == 1
