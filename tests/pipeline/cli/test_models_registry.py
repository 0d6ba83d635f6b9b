"""`viewledger models list|promote|rollback|shadow`, as typed, on a real Postgres."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.registry import save_small
from support.stores import empty_store
from typer.testing import CliRunner, Result

from models.judge import Judge
from pipeline.cli.main import app
from pipeline.cli.problems import Problem
from pipeline.score.catalogue import CatalogueCache
from schemas.settings import Settings, settings

pytestmark = pytest.mark.services

Run = Callable[..., Result]


@pytest.fixture
def books(stack: Settings) -> Settings:
    return empty_store(stack, "postgres")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(["v1", "v2"]):
        save_small(tmp_path, name, seed)
    return tmp_path


@pytest.fixture
def run(books: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("VIEWLEDGER_DATA", str(books.data))
    monkeypatch.setenv("VIEWLEDGER_POSTGRES", books.url("postgres"))
    monkeypatch.setenv("VIEWLEDGER_MODELS", str(folder))
    settings.cache_clear()
    yield lambda *words: CliRunner().invoke(app, ["models", *words])
    settings.cache_clear()


def roles(run: Run) -> dict[str, str]:
    done = run("list", "--json")
    assert done.exit_code == 0
    return {row["name"]: row["role"] for row in json.loads(done.stdout)["models"]}


def problem(done: Result) -> str:
    assert isinstance(done.exception, Problem)
    return str(done.exception)


def test_from_promotion_to_the_scorers_and_back(run: Run, books: Settings, folder: Path) -> None:
    cache, judge = CatalogueCache(books.url("postgres")), Judge("champion", folder)

    async def judging() -> str:
        catalogue = await cache.current((), (), time.monotonic())
        cache._checked = -1e9  # as if five seconds were over
        await judge.follow(catalogue.models)
        return judge.versions["model_version"]

    async def story() -> list[str]:
        found = [await judging()]
        for words in (
            ["promote", "v1", "--by", "ann", "--note", "better"],
            ["promote", "v2", "--by", "ann"],
            ["rollback", "--by", "ben"],
            ["rollback", "--by", "ben"],
        ):
            done = run(*words)
            assert done.exit_code == 0, done.exception
            found.append(await judging())
            assert found[-1] in done.stdout
        return found

    default = judge.versions["model_version"]
    assert asyncio.run(story()) == [default, "v1-0", "v2-1", "v1-0", default]
    assert cache._connection is not None
    cache._connection.close()
    said = run("list").stdout
    assert "promote v1 (v1-0, " in said
    assert "by ann: better" in said
    assert "nothing was promoted" in problem(run("rollback", "--by", "ben"))


def test_shadows_come_and_go(run: Run) -> None:
    assert run("shadow", "add", "v2", "--by", "ann").exit_code == 0
    assert "'v2' is a shadow" in problem(run("shadow", "add", "v2", "--by", "ann"))
    assert run("promote", "v1", "--by", "ann").exit_code == 0
    assert roles(run) == {"champion": "", "v1": "champion", "v2": "shadow"}
    assert run("shadow", "remove", "v2", "--by", "ann").exit_code == 0
    assert roles(run) == {"champion": "", "v1": "champion", "v2": ""}
    assert "'v2' is no shadow; there is none" in problem(
        run("shadow", "remove", "v2", "--by", "ann")
    )


def tampered(folder: Path) -> None:
    path = folder / "v1" / "model.skops"
    path.write_bytes(path.read_bytes() + b"\0")


def missing(folder: Path) -> None:
    (folder / "v1" / "model.skops").unlink()


def older(folder: Path) -> None:
    path = folder / "v1" / "card.json"
    card: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps(card | {"features_digest": "0" * 16}))


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (tampered, "is not the file of its card"),
        (missing, "No such file"),
        (older, "trained on other features"),
    ],
)
def test_a_file_that_is_not_right_is_refused_with_what_to_do(
    run: Run, folder: Path, harm: Callable[[Path], None], why: str
) -> None:
    assert run("promote", "v1", "--by", "ann").exit_code == 0
    assert run("promote", "v2", "--by", "ann").exit_code == 0
    harm(folder)
    for words in (["promote", "v1", "--by", "x"], ["shadow", "add", "v1", "--by", "x"],
                  ["rollback", "--by", "x"]):  # fmt: skip
        said = problem(run(*words))
        assert why in said
        assert "train it again" in said
    assert roles(run)["v2"] == "champion"
    assert why in run("list").stdout


def test_a_file_that_was_replaced_is_not_rolled_back_to(run: Run, folder: Path) -> None:
    assert run("promote", "v1", "--by", "ann").exit_code == 0
    assert run("promote", "v2", "--by", "ann").exit_code == 0
    save_small(folder, "v1", seed=7)
    assert "another file now" in problem(run("rollback", "--by", "ann"))
    save_small(folder, "v2", seed=7)
    assert "another file now" in run("list").stdout
    assert run("promote", "v2", "--by", "ann").exit_code == 0
    assert "another file now" not in run("list").stdout


@pytest.mark.parametrize("name", ["../champion", "", "a/b", ".hidden"])
def test_a_name_is_no_path(run: Run, name: str) -> None:
    assert "is no name of a model" in problem(run("promote", name, "--by", "ann"))


def test_a_model_that_is_nowhere(run: Run, folder: Path) -> None:
    said = problem(run("promote", "nobody", "--by", "ann"))
    assert said.startswith("no model 'nobody'; there is ")
    assert said.endswith(f"; VIEWLEDGER_MODELS, the folder of your own, is {folder}")
