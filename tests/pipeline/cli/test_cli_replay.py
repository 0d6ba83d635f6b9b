import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from pipeline.simulate.simulate import simulate
from schemas.settings import NotRunningError, settings


@pytest.fixture
def environment(monkeypatch):
    def set_data(folder, **urls):
        monkeypatch.setenv("VIEWLEDGER_DATA", str(folder))
        for service, url in urls.items():
            monkeypatch.setenv(f"VIEWLEDGER_{service.upper()}", url)
        settings.cache_clear()

    yield set_data
    settings.cache_clear()


def run(*arguments):
    return CliRunner().invoke(app, ["replay", *map(str, arguments)])


def test_nothing_runs(environment, tmp_path):
    environment(tmp_path)
    result = run(tmp_path / "events.ndjson")
    assert isinstance(result.exception, NotRunningError)
    assert "viewledger up" in str(result.exception)


def test_a_wrong_file_is_told_before_anything_is_asked(environment, tmp_path):
    environment(tmp_path, kafka="kafka://127.0.0.1:1", postgres="postgresql://127.0.0.1:1/x")
    assert "no such file" in str(run(tmp_path / "events.ndjson").exception)
    path = tmp_path / "clicks.csv"
    path.write_text("a,b\n1,2\n")
    result = run(path, "--adapter", "talkingdata")
    assert isinstance(result.exception, Problem)
    assert f"{path}, line 1: expected a CSV header" in str(result.exception)


@pytest.mark.parametrize(
    "flags", [["--adapter", "csv"], ["--rate", "0"], ["--create-campaigns", "-1"]]
)
def test_wrong_flags(tmp_path, flags):
    assert run(tmp_path, *flags).exit_code == 2


@pytest.mark.services
def test_summary(stack, environment, tmp_path):
    environment(stack.data)
    path = tmp_path / "events.ndjson.gz"
    simulate(300, 21, path)
    first = run(path, "--rate", 2_000, "--create-campaigns", 1_000)
    assert first.exit_code == 0, first.exception
    said = " ".join(first.output.split())
    assert "adapter view" in said
    assert "events read 300 events sent 300" in said
    assert "later" in said
    assert "first replay" not in said
    again = run(path)
    assert again.exit_code == 0
    assert "as in its first replay" in " ".join(again.output.split())
