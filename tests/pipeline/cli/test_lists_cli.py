import json
import secrets
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from schemas.settings import Settings, settings

pytestmark = pytest.mark.services
Run = Callable[..., Result]
WHO = ("--actor", "ada", "--why", "ticket 12")


@pytest.fixture
def run(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a command line against the embedded services."""
    monkeypatch.setenv("VIEWLEDGER_DATA", str(stack.data))
    settings.cache_clear()

    def run(*words: object) -> Result:
        return CliRunner().invoke(app, ["lists", *(str(word) for word in words)])

    yield run
    settings.cache_clear()


@pytest.mark.parametrize("days", ["-1", "nan", "inf", "1e9"])
def test_days_that_nobody_can_wait_are_refused(run: Run, days: str) -> None:
    refused = run("add", "deny", "viewer", "viewer-0001", *WHO, "--days", days)
    assert (refused.exit_code, "Invalid value for '--days'" in refused.output) == (2, True)


def test_an_entry_from_adding_to_removing(run: Run) -> None:
    viewer = f"viewer-{secrets.token_hex(8)}"
    added = run("add", "deny", "viewer", viewer, *WHO, "--days", 2)
    assert f": deny viewer {viewer} until 20" in added.stdout
    entry_id = added.stdout.split()[1].rstrip(":")
    (line,) = [line for line in run("show").stdout.splitlines() if viewer in line]
    assert line.startswith(entry_id)
    assert "by ada: ticket 12; until 20" in line
    assert "removed: deny" in run("remove", entry_id, "--actor", "bob", "--why", "no").stdout
    assert viewer not in run("show").stdout
    (line,) = [line for line in run("show", "--all").stdout.splitlines() if viewer in line]
    assert "by bob: no" in line


def test_json(run: Run) -> None:
    viewer = f"viewer-{secrets.token_hex(8)}"
    made = json.loads(run("add", "allow", "viewer", viewer, *WHO, "--json").stdout)
    assert (made["action"], made["value"], made["expires_at"]) == ("allow", viewer, None)
    assert made in json.loads(run("show", "--json").stdout)
    run("remove", made["entry_id"], *WHO)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("add", "deny", "ip", "hello", *WHO), "neither an address nor"),
        (("add", "deny", "promoter", "nobody-of-that-name", *WHO), "no such promoter"),
        (("remove", 10**9, *WHO), "there is no entry"),
        (("event", "no-such-event-0001"), "no view has the event id"),
    ],
)
def test_what_cannot_be_says_so(words: tuple[object, ...], why: str, run: Run) -> None:
    result = run(*words)
    assert isinstance(result.exception, Problem), result.output
    assert why in str(result.exception)


@pytest.mark.parametrize(
    "words", [("add", "block", "ip", "192.0.2.1", *WHO), ("add", "deny", "ip")]
)
def test_what_is_no_command_line(words: tuple[str, ...], run: Run) -> None:
    assert run(*words).exit_code == 2
