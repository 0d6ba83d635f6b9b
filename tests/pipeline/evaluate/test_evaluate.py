import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from support.clicks import clicks
from typer.testing import CliRunner

from models.lists import givt_reasons, load_lists
from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from pipeline.evaluate.evaluate import _with_lists
from pipeline.evaluate.read import read_file
from pipeline.simulate.simulate import simulate

pytestmark = pytest.mark.slow

SHARED = Path(__file__).parents[4] / "shared" / "data"


def run(*words: object):
    return CliRunner().invoke(app, ["models", "evaluate", *map(str, words)])


def problem(*words: object) -> str:
    result = run(*words)
    assert isinstance(result.exception, Problem), result.output
    return str(result.exception)


def figures(*words: object) -> dict:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output or result.exception
    found = json.loads(result.stdout)
    for key in ("roc_auc", "pr_auc", "recall_at_1pct_fpr"):
        assert 0 <= found[key]["low"] <= found[key]["estimate"] <= found[key]["high"] <= 1
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("clicks")
    return clicks(folder / "early.csv", 1, 10), clicks(folder / "late.csv", 2, 20)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("views")
    events, labels = folder / "events.ndjson.gz", folder / "labels.csv"
    simulate(6_000, 1, events, labels)
    return events, labels


def test_fits_and_says_its_figures(files: tuple[Path, Path]) -> None:
    early, late = files
    words = "--fit", early, "--data", late, "--adapter", "talkingdata"
    found = figures(*words)
    assert found["n"], found["positives"] == (1_500, late.read_text().count(",1\n"))
    assert found["roc_auc"]["estimate"] > 0.9
    assert (found["trained_on"], found["warmed_with"]) == (1_500, 0)
    assert found == figures(*words)
    assert "ROC-AUC" in run(*words).stdout


def test_velocity_settlement_and_warm(files: tuple[Path, Path]) -> None:
    early, late = files
    words = "--fit", early, "--data", late, "--adapter", "talkingdata"
    velocity = figures(*words, "--features", "velocity")
    assert velocity["roc_auc"]["estimate"] > 0.5
    assert velocity["roc_auc"] != figures(*words)["roc_auc"]
    assert figures(*words, "--warm", early)["warmed_with"] == 1_500
    assert figures(*words, "--mode", "settlement")["mode"] == "settlement"


def test_disjoint_and_cap(files: tuple[Path, Path], tmp_path: Path) -> None:
    early, late = files
    words = "--fit", early, "--data", late, "--adapter", "talkingdata"
    whole, disjoint = figures(*words), figures(*words, "--disjoint")
    assert disjoint["n"] < whole["n"]
    assert figures(*words, "--cap", 1)["n"] == whole["viewers"]
    shown = problem("--fit", early, "--data", early, "--adapter", "talkingdata", "--disjoint")
    assert "--disjoint leaves nothing" in shown


def test_edits_of_wikipedia(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    lines = []
    for i in range(900):
        robot = i % 3 == 0
        lines.append(
            json.dumps(
                {
                    "time": f"2015-09-12T{i // 60:02}:{i % 60:02}:00.000Z",
                    "channel": "#en.wikipedia",
                    "namespace": "Main",
                    "page": f"page {rng.integers(90)}",
                    "user": f"user {rng.integers(4) if robot else rng.integers(10, 400)}",
                    "isRobot": robot,
                    "isMinor": bool(robot and rng.random() < 0.5),
                    "delta": i % 5,
                }
            )
        )
    path = tmp_path / "edits.ndjson.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    found = figures("--fit", path, "--data", path, "--adapter", "wikipedia")
    assert (found["n"], found["positives"]) == (900, 300)
    events = read_file("wikipedia", path, []).events
    assert events.attributes["minor"].sum() < events.positive.sum()
    assert np.isnan(events.attributes["anonymous"]).all()
    assert not events.encode


def test_views_of_the_simulator(simulated: tuple[Path, Path]) -> None:
    events, labels = simulated
    words = "--data", events, "--adapter", "view", "--labels", labels
    champion = figures(*words, "--model", "champion")
    assert champion["roc_auc"]["estimate"] > 0.7
    assert champion["n"] == len(
        {
            line.split(",")[1]
            for line in labels.read_text().splitlines()[1:]
            if line.split(",")[2] != "malformed"
        }
    )
    assert figures(*words, "--fit", events)["roc_auc"]["estimate"] > 0.9


def test_a_model_is_warmed_with_earlier_views_only(
    simulated: tuple[Path, Path], tmp_path: Path
) -> None:
    events, labels = simulated
    lines = gzip.decompress(events.read_bytes()).splitlines(keepends=True)
    data, rest = tmp_path / "data.ndjson", tmp_path / "rest.ndjson"
    data.write_bytes(b"".join(lines[2_000:4_000]))
    rest.write_bytes(b"".join(lines[:2_000]))
    words = "--data", data, "--adapter", "view", "--labels", labels, "--model", "champion"
    cold, warm = figures(*words), figures(*words, "--warm", rest)
    assert warm["warmed_with"] > 1_000
    assert warm["roc_auc"] != cold["roc_auc"]
    rest.write_bytes(b"".join(lines))  # with those of the data themselves, and what came after
    assert figures(*words, "--warm", rest)["warmed_with"] == pytest.approx(2_000, rel=0.1)
    rest.write_bytes(b"".join(lines[4_000:]))
    assert "nothing in it is earlier" in problem(*words, "--warm", rest)


def test_what_lists_find_ranks_higher(simulated: tuple[Path, Path]) -> None:
    data = read_file("view", simulated[0], [simulated[1]])
    listed = givt_reasons(load_lists(), data.batch) != 0
    assert 0 < listed.sum() < len(listed)
    scores = _with_lists(np.zeros(len(listed)), data)
    assert scores[listed].min() > 0 == abs(scores[~listed]).max()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--data", "d", "--adapter", "talkingdata"), "give either --model, or --fit"),
        (("--data", "d", "--adapter", "view", "--model", "champion"), "need --labels"),
        (("--data", "d", "--adapter", "wikipedia", "--model", "champion"), "d: no such file"),
        (("--data", "d", "--adapter", "wikipedia", "--model", "nobody"), "no model 'nobody'"),
        (
            ("--data", "d", "--adapter", "wikipedia", "--model", "champion", "--disjoint"),
            "need --fit",
        ),
        (
            ("--data", "d", "--adapter", "wikipedia", "--fit", "d", "--labels", "l"),
            "have their labels in them",
        ),
    ],
)
def test_options_that_do_not_go_together(words: tuple[str, ...], says: str) -> None:
    assert says in problem(*words)


def test_files_that_are_not_what_they_should_be(
    files: tuple[Path, Path], simulated: tuple[Path, Path], tmp_path: Path
) -> None:
    early, late = files
    views = simulated[0]

    def says(fit: Path, data: Path, *words: object, adapter: str = "talkingdata") -> str:
        return problem("--fit", fit, "--data", data, "--adapter", adapter, *words)

    assert "columns" in says(views, late)
    assert "expected a JSON object" in says(early, late, adapter="wikipedia")
    lines = late.read_text().splitlines(keepends=True)
    none = tmp_path / "none.csv"
    none.write_text("".join(line for line in lines if not line.endswith(",1\n")))
    assert "none of" in says(early, none)
    assert "training needs both kinds" in says(none, late)
    unlabelled = tmp_path / "test.csv"
    unlabelled.write_text("".join(",".join(line.split(",")[:6]) + "\n" for line in lines))
    assert "no column is_attributed" in says(early, unlabelled)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(late.read_text().replace(",1\n", ",yes\n", 1))
    assert "found 'yes'" in says(early, wrong)
    assert "nothing in it is earlier" in says(late, early, "--warm", late)
    other = tmp_path / "labels.csv"
    other.write_text("line,label\n1,human\n")
    assert "event_id and label" in says(views, views, "--labels", other, adapter="view")
    other.write_text("line,event_id,label\n1,nobody,human\n")
    assert "know none of its events" in says(views, views, "--labels", other, adapter="view")


@pytest.mark.parametrize(
    ("adapter", "name", "n", "positives"),
    [
        ("talkingdata", "talkingdata-2017-11-07T1131.csv.gz", 100_000, 334),
        ("wikipedia", "wikipedia-edits-2015-09-12-am.ndjson.gz", 19_622, 8_642),
    ],
)
def test_real_files_are_read_whole(adapter: str, name: str, n: int, positives: int) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not in ../shared/data")
    events = read_file(adapter, path, []).events
    assert (events.n, int(events.positive.sum())) == (n, positives)
    assert (np.diff(events.columns["seen"]) >= 0).all()


def test_real_edits_are_ranked(tmp_path: Path) -> None:
    path = SHARED / "wikipedia-edits-2015-09-12-am.ndjson.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/data")
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    early, late = tmp_path / "early.ndjson", tmp_path / "late.ndjson"
    early.write_bytes(b"".join(lines[: len(lines) * 2 // 3]))
    late.write_bytes(b"".join(lines[len(lines) * 2 // 3 :]))
    words = "--fit", early, "--warm", early, "--data", late, "--adapter", "wikipedia"
    assert figures(*words, "--features", "velocity")["roc_auc"]["estimate"] > 0.98
