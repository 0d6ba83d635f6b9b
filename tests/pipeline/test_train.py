"""Training from simulated days to a model that judges."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from models.registry import Card, load_model
from pipeline import training_days
from pipeline.train import train_model, volume
from pipeline.train_wanted import Wanted
from pipeline.training_data import simulated
from pipeline.training_days import SORTS

pytestmark = pytest.mark.slow

EVENTS = 2_000
PLOTS = {"roc.png", "pr.png", "calibration.png", "scores.png", "threshold.png"}


def wanted(folder: Path, **other: object) -> Wanted:
    return Wanted("tiny", "tiny-7", 7, 0.01, folder)._replace(**other)


@pytest.fixture(scope="module", autouse=True)
def _few_days() -> Iterator[None]:
    few = {"ordinary": (1, 0.5), "tiny": (0.1, 0.1)}
    with pytest.MonkeyPatch.context() as patch:
        sorts = [sort._replace(volumes=few.get(sort.name, (0.1,))) for sort in SORTS]
        patch.setattr(training_days, "SORTS", sorts)
        patch.setattr(training_days, "TIMES", {"training": 2, "validation": 1, "test": 1})
        yield


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    done: list[int] = []
    steps: list[str] = []
    train_model(wanted(folder), EVENTS, True, done.append, steps.append)
    assert sum(done) == volume(EVENTS)
    assert {"training", "training without promoter farm", "evaluating"} <= set(steps)
    return folder


@pytest.fixture
def card(registry: Path) -> Card:
    return load_model("tiny", registry).card


def test_a_trained_model_judges(registry: Path) -> None:
    found = load_model("tiny", registry)
    day = simulated(4_000, 99)
    score = found.predict(day.features)
    assert score[~day.human].mean() > score[day.human].mean() + 0.2


def test_its_score_is_a_probability(card: Card) -> None:
    assert card.calibration != (1.0, 0.0)
    assert card.metrics["tests"]["calibration"]["expected_error"] < 0.08


def test_the_card_names_what_was_missed(registry: Path) -> None:
    text = (registry / "tiny" / "card.md").read_text()
    assert text.startswith("# tiny-7\n")
    assert "| slow distributed |" in text
    assert "| youtube |" in text
    assert "money leaked" in text
    assert "whole promoters were drawn" in text


def test_the_plots_are_there_and_small(registry: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in (registry / "tiny").glob("*.png")}
    assert sizes.keys() == PLOTS
    assert max(sizes.values()) < 40_000
    text = (registry / "tiny" / "card.md").read_text()
    assert all(f"({name})" in text for name in PLOTS)


def test_parts_share_no_day(card: Card) -> None:
    parts = [set(card.data[part]["seeds"]) for part in ("training", "validation", "test")]
    ends = sorted(map(sorted, parts))
    assert all(one[1] < other[0] for one, other in pairwise(ends))


def test_every_sort_of_day_was_tested(registry: Path, card: Card) -> None:
    by_sort = card.metrics["by_sort"]
    assert {"ordinary", "slow", "no addresses"} <= by_sort.keys()
    assert all(found["people_flagged"]["n"] for found in by_sort.values())
    ordinary = card.metrics["tests"]["people_flagged_by_model"]
    assert by_sort["ordinary"]["people_flagged"] == ordinary
    assert "| one promoter |" in (registry / "tiny" / "card.md").read_text()


def test_every_kind_was_held_out_once(card: Card) -> None:
    held_out = card.metrics["held_out"]
    assert {"promoter_farm", "slow_distributed", "cookie_reset"} <= held_out.keys()
    found = held_out["emulator_farm"]
    assert found["seen"]["caught"]["n"] == found["held_out"]["caught"]["n"] > 0
    assert found["seen"]["caught"]["rate"] <= found["seen"]["at_1pct"]["rate"]
    seen, unseen = (
        np.mean(
            [
                kind[which]["at_1pct"]["rate"]
                for kind in held_out.values()
                if kind["seen"]["caught"]["n"]
            ]
        )
        for which in ("seen", "held_out")
    )
    assert unseen < seen


def test_a_model_that_was_not_shown_a_kind_finds_less_of_it(registry: Path, tmp_path: Path) -> None:
    blind = train_model(wanted(tmp_path, hold_out=("emulator_farm", "cookie_reset")), EVENTS)
    seen = load_model("tiny", registry).card
    caught = [
        one.metrics["tests"]["by_kind"]["emulator_farm"]["caught_by_model"]["rate"]
        for one in (blind, seen)
    ]
    assert caught[0] < caught[1]
    assert (
        "Not shown in training: emulator farm, cookie reset"
        in (tmp_path / "tiny" / "card.md").read_text()
    )


def test_the_same_seed_gives_the_same_model(registry: Path, tmp_path: Path) -> None:
    train_model(wanted(tmp_path), EVENTS)
    day = simulated(2_000, 99)
    first, second = (load_model("tiny", folder) for folder in (registry, tmp_path))
    assert_array_equal(first.predict(day.features), second.predict(day.features))
    assert first.threshold == second.threshold
    assert first.card.metrics["tests"] == second.card.metrics["tests"]
    for name in PLOTS:
        assert (registry / "tiny" / name).read_bytes() == (tmp_path / "tiny" / name).read_bytes()


def test_the_card_says_how_features_were_spread(card: Card) -> None:
    assert set(card.reference) == {*card.features, "score"}
    watched = card.reference["watch_s"]
    assert 5 < len(watched.edges) < 10
    assert sum(watched.shares) == pytest.approx(1)


def test_training_sees_what_the_stream_accepts() -> None:
    day = simulated(5_000, 3)
    assert 4_500 < len(day.kind) < 5_000
    assert "malformed" not in day.kind
    assert (np.diff(day.log_time) >= 0).all()
    assert set(day.platform) == {"tiktok", "instagram", "youtube", "web"}
    assert (day.rate_micros > 0).all()
    other = simulated(5_000, 4)
    assert not np.isin(day.promoter, other.promoter).any()
