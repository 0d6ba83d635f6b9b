"""`viewledger models train --data` and `card`, as typed."""

import gzip
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clicks import clicks
from typer.testing import CliRunner, Result

from models.ensemble import Ensemble
from models.ranking import _check_nodes, load_ranking_model, save_ranking_model
from models.registry import ModelError, load_model
from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from pipeline.simulate.simulate import simulate
from sinks.catalogue_file import read_campaigns

pytestmark = pytest.mark.slow


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["models", *map(str, words)])


def done(*words: object) -> str:
    result = run(*words)
    assert result.exit_code == 0, result.output or result.exception
    return result.stdout


def problem(*words: object) -> str:
    result = run(*words)
    assert isinstance(result.exception, Problem), result.output or result.exception
    return str(result.exception)


def card_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "card.json").read_text())
    return found


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    folder = tmp_path_factory.mktemp("views")
    events, labels, catalog = (folder / name for name in ("e.ndjson.gz", "l.csv", "c.jsonl"))
    simulate(6_000, 1, events, labels, catalog)
    return "--data", events, "--labels", labels, "--catalog", catalog


@pytest.fixture(scope="module")
def folder(views: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models")
    said = done("train", *views, "--out", out, "--name", "mine", "--false-positives", "0.02")
    assert "leaks " in said
    assert "denies " in said
    return out


def test_a_model_of_files_of_views_judges(folder: Path, views: tuple[object, ...]) -> None:
    model = load_model("mine", folder)
    assert model.version == "mine-1"
    found = json.loads(
        done("evaluate", "--model", folder / "mine", *views[:4], "--adapter", "view", "--json")
    )
    assert found["model"] == "mine-1"
    assert found["roc_auc"]["estimate"] > 0.85


def test_its_card_is_of_a_split_by_time(folder: Path) -> None:
    card = card_of(folder / "mine")
    parts = [card["data"][part]["views"] for part in ("training", "validation", "test")]
    assert np.array(parts) / sum(parts) == pytest.approx([0.6, 0.2, 0.2], abs=0.01)
    assert card["data"]["rates"]
    assert card["metrics"]["unseen_viewers"]["n"] < parts[2]
    assert card["metrics"]["tests"]["views"] == parts[2]
    assert "| youtube |" in done("card", folder / "mine")
    assert (folder / "mine" / "threshold.png").stat().st_size < 40_000


def test_views_of_campaigns_that_nobody_has_are_left_out(
    folder: Path, views: tuple[object, ...], tmp_path: Path
) -> None:
    done("train", *views[:4], "--out", tmp_path, "--name", "mine", "--false-positives", "0.02")
    cards = [card_of(one / "mine") for one in (folder, tmp_path)]
    with_rates, without = (
        sum(card["data"][part]["views"] for part in ("training", "validation", "test"))
        for card in cards
    )
    assert with_rates < without
    assert "every view is worth the same" in (tmp_path / "mine" / "card.md").read_text()
    # The same views earn the same, so the shares of money are other ones.
    money = [card["metrics"]["tests"]["money_denied"]["rate"] for card in cards]
    assert money[0] != money[1]


def test_what_the_stream_refuses_is_in_no_feature(
    folder: Path, views: tuple[Any, ...], tmp_path: Path
) -> None:
    known = {one.campaign_id for one in read_campaigns(views[5])}
    lines = gzip.decompress(views[1].read_bytes()).splitlines(keepends=True)
    kept = [line for line in lines if any(f'"{one}"'.encode() in line for one in known)]
    assert len(kept) < len(lines)
    (tmp_path / "known.ndjson").write_bytes(b"".join(kept))
    words = "--data", tmp_path / "known.ndjson", *views[2:], "--out", tmp_path
    done("train", *words, "--name", "mine", "--false-positives", "0.02")
    one, other = (card_of(each / "mine") for each in (folder, tmp_path))
    assert one["reference"] == other["reference"]
    assert one["metrics"] == other["metrics"]


def test_a_kind_can_be_held_out(views: tuple[object, ...], tmp_path: Path) -> None:
    words = *views, "--out", tmp_path, "--name", "blind", "--false-positives", "0.02"
    done("train", *words, "--hold-out", "cookie_reset", "--hold-out", "emulator_farm")
    card = card_of(tmp_path / "blind")
    assert card["data"]["held_out"] == ["cookie_reset", "emulator_farm"]
    found = card["metrics"]["not_shown"]["emulator_farm"]
    assert 0 < found["rate"] < 0.99
    assert f"| emulator farm | {found['n']:,} | {found['rate']:.2%} |" in done(
        "card", tmp_path / "blind"
    )
    assert "no payable views of that kind" in problem("train", *words, "--hold-out", "farmer")


@pytest.fixture(scope="module")
def ranked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    out = tmp_path_factory.mktemp("ranking")
    data = clicks(out / "clicks.csv", 1, 10, 2_000, minutes=20)
    said = done("train", "--data", data, "--adapter", "talkingdata", "--out", out, "--name", "td")
    assert "a scorer refuses it" in said
    return out / "td", data


def test_a_model_of_clicks_ranks_clicks_and_nothing_else(ranked: tuple[Path, Path]) -> None:
    folder, data = ranked
    words = "evaluate", "--model", folder, "--data", data
    found = json.loads(done(*words, "--adapter", "talkingdata", "--warm", data, "--json"))
    assert found["model"] == "td-1"
    assert found["roc_auc"]["estimate"] > 0.9
    assert "ranks files of --adapter talkingdata" in problem(
        *words[:3], "--data", edits(data.parent / "edits.ndjson"), "--adapter", "wikipedia"
    )


def edits(path: Path) -> Path:
    edit = {"time": "2015-09-12T00:00:00Z", "channel": "#en", "namespace": "Main", "page": "p"}
    path.write_text(json.dumps(edit | {"user": "u", "isRobot": True}))
    return path


def test_a_scorer_refuses_a_model_of_clicks(ranked: tuple[Path, Path]) -> None:
    folder, _ = ranked
    with pytest.raises(ModelError, match="trained on other features"):
        load_model(folder.name, folder.parent)
    assert "**A scorer refuses this model.**" in done("card", folder)


def test_a_model_of_clicks_that_was_changed_is_refused(
    ranked: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, _ = ranked
    card = (folder / "card.json").read_bytes()
    (tmp_path / "card.json").write_bytes(card)
    (tmp_path / "model.skops").write_bytes((folder / "model.skops").read_bytes() + b"\0")
    with pytest.raises(ModelError, match="not the file of its card"):
        load_ranking_model(tmp_path)
    other = json.loads(card) | {"features_digest": "talkingdata-0"}
    (tmp_path / "card.json").write_text(json.dumps(other))
    with pytest.raises(ModelError, match="trained on other features"):
        load_ranking_model(tmp_path)
    (tmp_path / "model.skops").unlink()
    with pytest.raises(ModelError, match="No such file"):
        load_ranking_model(tmp_path)


def out_of_forest(ensemble: Ensemble) -> None:
    ensemble.forest.estimators_[0].tree_.children_left[0] = 10**6


def out_of_boosted(ensemble: Ensemble) -> None:
    ensemble.boosted[0]._predictors[0][0].nodes["left"][0] = 10**6


def in_a_circle(ensemble: Ensemble) -> None:
    ensemble.boosted[0]._predictors[0][0].nodes["left"][0] = 0


def out_of_columns(ensemble: Ensemble) -> None:
    ensemble.boosted[0]._predictors[0][0].nodes["feature_idx"][0] = 10**6


def test_a_tree_that_leads_anywhere_is_not_followed(
    ranked: tuple[Path, Path], tmp_path: Path
) -> None:
    model = load_ranking_model(ranked[0])
    for harm in (out_of_boosted, in_a_circle, out_of_columns, out_of_forest):
        harmed = deepcopy(model.fitted.ensemble)
        harm(harmed)
        with pytest.raises(ValueError, match="leads out of its nodes or columns"):
            _check_nodes(harmed)
    save_ranking_model(tmp_path, model.fitted._replace(ensemble=harmed), model.card, "text")
    with pytest.raises(ModelError, match="leads out of its nodes or columns"):
        load_ranking_model(tmp_path)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--data", "d"), "need --labels"),
        (("--labels", "l"), "--labels are of view files"),
        (("--catalog", "c"), "--catalog is of view files"),
        (("--adapter", "wikipedia"), "--adapter wikipedia needs --data"),
        (("--data", "d", "--adapter", "wikipedia"), "d: no such file"),
        (("--data", "d", "--adapter", "wikipedia", "--hold-out", "x"), "say nothing of kinds"),
        (("--data", "d", "--labels", "l", "--hold-out-each"), "--hold-out-each is for simulated"),
        (("--data", "d", "--labels", "l", "--catalog", "c"), "c: no such file"),
        (("--hold-out", "farmer"), "no such kind of bot; there are cookie_reset, crawler"),
    ],
)
def test_what_does_not_go_together_says_so(words: tuple[str, ...], says: str) -> None:
    assert says in problem("train", *words)


def test_too_little_to_train_on_says_so(views: tuple[object, ...], tmp_path: Path) -> None:
    words = "--data", edits(tmp_path / "e.ndjson"), "--adapter", "wikipedia", "--out", tmp_path
    assert "0 of 0 events of the training part are positive; try more --data" in problem(
        "train", *words
    )
    labels = tmp_path / "labels.csv"
    labels.write_text(str(views[3].read_text()).replace("human", "crawler"))  # type: ignore[attr-defined]
    said = problem("train", *views[:2], "--labels", labels, "--out", tmp_path)
    assert "views of people and of bots" in said


def test_the_card_of_the_package_and_of_nobody() -> None:
    assert done("card").startswith("# champion")
    assert "there is champion" in problem("card", "nobody")
