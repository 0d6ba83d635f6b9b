"""Other traffic of simulated traffic."""

import numpy as np
import pytest

from models.features import NAMES
from models.training import Examples
from pipeline.training_data import simulated
from pipeline.training_days import SORTS, TIMES, all_days, days_of, weight_of

OF_ADDRESSES = ("address", "ip", "prefix")
OF_DEVICES = ("device", "agent")


@pytest.fixture(scope="module")
def days() -> dict[str, Examples]:
    return {sort.name: simulated(1_500, 5, vary=sort.vary) for sort in SORTS}


def column(day: Examples, start: tuple[str, ...]) -> np.ndarray:
    return day.features[:, [i for i, name in enumerate(NAMES) if name.startswith(start)]]


def test_days_are_of_different_seeds() -> None:
    seeds = [day.seed for day in all_days(60_000, 1)]
    assert len(seeds) == len(set(seeds))
    of_part = [sum(day.lines for day in days_of(part, 60_000, 1)) for part in TIMES]
    assert of_part[0] > of_part[1] == of_part[2]


def test_ordinary_days_have_half_of_the_weight() -> None:
    weight: dict[bool, float] = {True: 0, False: 0}
    for day in days_of("validation", 60_000, 1):
        weight[day.sort.name == "ordinary"] += weight_of(day.sort)
    assert weight[True] == pytest.approx(weight[False])


def test_a_sender_that_has_no_addresses_or_devices(days: dict[str, Examples]) -> None:
    ordinary = days["ordinary"]
    for name, start in (("no addresses", OF_ADDRESSES), ("no devices", OF_DEVICES)):
        assert np.isnan(column(ordinary, start)).mean() < 0.2
        assert np.isnan(column(days[name], start)).mean() > 0.5


def test_the_pace(days: dict[str, Examples]) -> None:
    spans = {name: np.ptp(day.log_time) for name, day in days.items()}
    assert spans["slow"] == pytest.approx(6 * spans["ordinary"], rel=1e-3)
    assert spans["fast"] == pytest.approx(spans["ordinary"] / 6, rel=1e-3)
    gaps = {name: np.nanmedian(column(day, ("viewer_gap_s",))) for name, day in days.items()}
    assert gaps["slow"] > gaps["ordinary"] > gaps["fast"]


def test_one_promoter(days: dict[str, Examples]) -> None:
    assert len(np.unique(days["ordinary"].promoter)) > 5
    assert len(np.unique(days["one promoter"].promoter)) == 1


def test_the_same_views_by_the_same_people(days: dict[str, Examples]) -> None:
    for day in days.values():
        np.testing.assert_array_equal(day.kind, days["ordinary"].kind)
        np.testing.assert_array_equal(day.viewer, days["ordinary"].viewer)
