import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.cli.problems import Problem


def run(*arguments):
    return CliRunner().invoke(app, ["simulate", *map(str, arguments)])


def test_says_what_to_do_next(tmp_path):
    out, catalog = tmp_path / "e.ndjson.gz", tmp_path / "my cat.jsonl"
    result = run("--events", 200, "--seed", 1, "--out", out, "--catalog", catalog)
    assert result.exit_code == 0
    assert f"200 events in {out}" in result.output
    assert f"campaigns import '{catalog}'" in result.output
    assert f"promoters import '{catalog}'" in result.output


def test_files_that_cannot_be_written(tmp_path):
    result = run("--events", 10, "--seed", 1, "--out", tmp_path / "none" / "e.ndjson")
    assert isinstance(result.exception, Problem)
    assert f"cannot write {tmp_path}/none/e.ndjson: No such file" in str(result.exception)
    same = tmp_path / "e"
    result = run("--events", 10, "--seed", 1, "--out", same, "--labels", same)
    assert "must be different files" in str(result.exception)


@pytest.mark.parametrize("events", [0, -5, "many"])
def test_a_wrong_number_of_events(tmp_path, events):
    assert run("--events", events, "--seed", 1, "--out", tmp_path / "e").exit_code == 2
