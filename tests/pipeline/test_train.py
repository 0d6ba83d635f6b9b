"""Training from simulated days to a model that judges."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from models.registry import load_model
from pipeline.cli.main import app
from pipeline.train import train_model, volume
from pipeline.training_data import simulated


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    done: list[int] = []
    train_model("tiny", "tiny-7", 7, 800, 0.01, folder, done.append)
    assert sum(done) == volume(800)
    return folder


def test_a_trained_model_judges(registry: Path) -> None:
    found = load_model("tiny", registry)
    day = simulated(4_000, 99)
    score = found.predict(day.features)
    assert score[~day.human].mean() > score[day.human].mean() + 0.2


def test_the_card_names_what_was_missed(registry: Path) -> None:
    text = (registry / "tiny" / "card.md").read_text()
    assert text.startswith("# tiny-7\n")
    assert "| slow distributed |" in text
    assert "paid views that are bots'" in text


def test_parts_share_no_day(registry: Path) -> None:
    data = load_model("tiny", registry).card.data
    parts = [set(data[part]["seeds"]) for part in ("training", "validation", "test")]
    assert len(set.union(*parts)) == sum(map(len, parts))


def test_the_card_says_how_features_were_spread(registry: Path) -> None:
    card = load_model("tiny", registry).card
    assert set(card.reference) == {*card.features, "score"}
    watched = card.reference["watch_s"]
    assert 5 < len(watched.edges) < 10
    assert sum(watched.shares) == pytest.approx(1)


def test_training_sees_what_the_stream_accepts() -> None:
    day = simulated(5_000, 3)
    assert 4_500 < len(day.kind) < 5_000
    assert "malformed" not in day.kind
    assert (np.diff(day.log_time) >= 0).all()


def test_card_command() -> None:
    result = CliRunner().invoke(app, ["models", "card"])
    assert result.exit_code == 0
    assert result.stdout.startswith("# champion")
    wrong = CliRunner().invoke(app, ["models", "card", "nobody"])
    assert wrong.exit_code == 1
    assert "there is champion" in str(wrong.exception)
