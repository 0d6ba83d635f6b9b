from typing import Any

import numpy as np
import pytest
from support.examples import examples

from models.card import card_text
from models.evaluation import evaluate
from models.registry import Card


def card(**other: Any) -> Card:
    test = examples(2_000, seed=3)
    score = np.where(test.human, 0.1, 0.95).astype(np.float32)
    score[:5] = 0.5
    fields = {
        "name": "small",
        "version": "small-1",
        "features_digest": "d",
        "features": ["watch_s"],
        "threshold": 0.625,
        "calibration": (0.75, -0.5),
        "libraries": {"scikit-learn": "1.9"},
        "data": {
            "source": "view",
            "files": ["day.ndjson"],
            "rates": True,
            "false_positive_rate": 0.005,
            "split": "By time.",
            "held_out": [],
            **{
                part: {"views": 1_234, "positives": 234}
                for part in ("training", "validation", "test")
            },
        },
        "metrics": {"tests": evaluate(test, score, 0.625, 1), "unseen_viewers": None},
    }
    return Card(**(fields | other))


def test_the_card_says_what_was_measured_and_how() -> None:
    text = card_text(card())
    for part in (
        "# small-1\n",
        "day.ndjson (adapter `view`)",
        "| training | 234 | 1,234 |",
        "sigmoid(0.750 × raw -0.500)",
        "0.6250, chosen on the validation part so that at most 0.50% of people's payable views",
        "whole promoters were drawn (40 of them)",
        "| recall at 0.1 % false positives |",
        "**money leaked: paid for bots' views**",
        "**money denied to people**",
        "| promoter farm |",
        "| tiktok |",
        "expected error 0.0",
        "![calibration](calibration.png)",
        "EUR and USD are added",
    ):
        assert part in text
    assert "refuses" not in text


def test_every_table_is_whole() -> None:
    width = 0
    for line in card_text(card()).splitlines():
        cells = line.count("|") if line.startswith("|") else 0
        assert not (cells and width) or cells == width
        width = cells


def test_what_was_held_out_is_said() -> None:
    data = card().data | {"held_out": ["emulator_farm"], "rates": False}
    text = card_text(card(data=data))
    assert "**Not shown in training: emulator farm.**" in text
    assert "every view is worth the same" in text


def test_a_table_of_kinds_that_were_not_shown() -> None:
    caught = {"n": 1_000, "rate": 0.5, "low": 0.25, "high": 0.75}
    nothing = {"n": 0, "rate": None, "low": None, "high": None}
    held_out = {
        "cookie_reset": {
            "seen": {"caught": caught, "at_1pct": caught},
            "held_out": {"caught": caught | {"rate": 0.125}, "at_1pct": nothing},
        }
    }
    text = card_text(card(metrics=card().metrics | {"held_out": held_out}))
    assert "| cookie reset | 1,000 | 50.00% | 12.50% | 25.00%–75.00% | 50.00% | – |" in text


@pytest.mark.parametrize("adapter", ["talkingdata", "wikipedia"])
def test_a_model_of_other_events_says_that_it_is_refused(adapter: str) -> None:
    data = card().data | {"source": adapter}
    text = card_text(card(data=data))
    assert "**A scorer refuses this model.**" in text
    assert "money" not in text
    assert "threshold.png" not in text
