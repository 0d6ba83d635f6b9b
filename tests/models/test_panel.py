from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY as METRICS
from structlog.testing import capture_logs
from support.registry import save_small

from models.panel import Load, Panel, load_named, load_pinned, seat
from models.registry import ModelError
from schemas.chosen import Chosen, Pin


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def pins(folder: Path) -> list[Pin]:
    return [save_small(folder, name, seed) for seed, name in enumerate(["one", "two", "three"])]


@pytest.fixture(scope="module")
def load(folder: Path) -> Load:
    return partial(load_named, folder=folder)


NOTHING = Panel(None)


def test_own_models_come_before_those_of_the_package(
    folder: Path, pins: list[Pin], load: Load
) -> None:
    assert load("one").version == "one-0"
    assert load("champion").version == load_named("champion").version
    with pytest.raises(ModelError, match="no model 'one'"):
        load_named("one")
    assert (folder / "one").is_dir()
    assert pins[0].name == "one"


def test_nothing_chosen_is_the_default(load: Load) -> None:
    found = seat(Chosen(), "champion", load, NOTHING)
    assert found.champion is not None
    assert (found.champion.card.name, found.shadows, found.missing) == ("champion", (), ())


def test_storage_that_raises_when_asked_is_a_missing_model(pins: list[Pin], load: Load) -> None:
    name = "n" * 300  # as does a folder that nobody has rights to, or that is on a lost mount
    found = seat(Chosen((Pin(name, "0" * 64), pins[0])), name, load, NOTHING)
    assert found.champion is not None
    assert found.champion.version == "one-0"
    assert [name in why for why in found.missing] == [True]
    found = seat(Chosen(), name, load_named, NOTHING)
    assert (found.champion, len(found.missing)) == (None, 1)


def test_the_newest_champion_and_all_shadows(pins: list[Pin], load: Load) -> None:
    found = seat(Chosen((pins[1], pins[0]), (pins[2],), 3), "champion", load, NOTHING)
    assert found.versions == {"champion": "two-1", "shadows": ["three-2"]}
    value = METRICS.get_sample_value
    assert value("viewledger_models", {"version": "two-1", "role": "champion"}) == 1
    assert value("viewledger_models", {"version": "three-2", "role": "shadow"}) == 1
    assert value("viewledger_models_missing") == 0
    seat(Chosen(), "champion", load, found)
    assert value("viewledger_models", {"version": "two-1", "role": "champion"}) is None


# Which of the files are there, and what was in memory: what judges depends on the files only.
@given(st.lists(st.integers(0, 2), max_size=4), st.sets(st.integers(0, 2)), st.booleans())
@settings(max_examples=50, deadline=None)
def test_whoever_cannot_load_the_newest_judges_with_the_one_before(
    pins: list[Pin], load: Load, stack: list[int], gone: set[int], default_gone: bool
) -> None:
    lost = {pins[n].name for n in gone} | ({"champion"} if default_gone else set())

    def without(name: str) -> object:
        if name in lost:
            raise ModelError(f"no model {name!r}")
        return load(name)

    chosen = Chosen(tuple(pins[n] for n in stack), (), 1)
    found = seat(chosen, "champion", without, NOTHING)  # type: ignore[arg-type]
    there = [pins[n].name for n in stack if n not in gone] + ["champion"] * (not default_gone)
    judges = None if found.champion is None else found.champion.card.name
    assert judges == (there[0] if there else None)
    tried = [pins[n].name for n in stack] + ["champion"]
    above = tried.index(there[0]) if there else len(tried)
    assert found.missing == tuple(f"no model {name!r}" for name in tried[:above])


def test_a_model_in_memory_is_not_loaded_again(pins: list[Pin], load: Load) -> None:
    before = seat(Chosen((pins[0],), (pins[1],), 1), "champion", load, NOTHING)

    def nothing(name: str) -> object:
        raise ModelError(name)

    turned = Chosen((pins[1],), (pins[0],), 2)
    found = seat(turned, "champion", nothing, before)  # type: ignore[arg-type]
    assert found == Panel(before.shadows[0], (before.champion,))  # type: ignore[arg-type]


def test_a_card_that_was_changed_is_another_file(tmp_path: Path) -> None:
    pin = save_small(tmp_path, "mine", 1, threshold=0.5)
    card = tmp_path / "mine" / "card.json"
    card.write_text(card.read_text().replace('"threshold": 0.5', '"threshold": 0.9'))
    mine = partial(load_named, folder=tmp_path)
    assert mine("mine").threshold == 0.9
    with pytest.raises(ModelError, match="another file now"):
        load_pinned(pin, mine)


def test_another_file_under_the_name_is_refused_loudly(tmp_path: Path) -> None:
    mine = partial(load_named, folder=tmp_path)
    pin = save_small(tmp_path, "mine", 1)
    save_small(tmp_path, "mine", 2)
    with pytest.raises(ModelError, match=r"another file now .* put that one back"):
        load_pinned(pin, mine)
    with capture_logs() as logs:
        found = seat(Chosen((pin,), (pin,), 1), "champion", mine, NOTHING)
    assert found.champion is not None
    assert (found.champion.card.name, found.shadows, len(found.missing)) == ("champion", (), 2)
    assert [entry["log_level"] for entry in logs] == ["error", "error"]
    assert METRICS.get_sample_value("viewledger_models_missing") == 2
