"""The embedded services, started once for all tests that ask for them."""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from typing import Any

import hypothesis
import pytest
import structlog

from pipeline.embedded import kept
from schemas.settings import Settings, settings

# Two processes of tests start services at once, and a port is free until its server has started.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
kept._PORTS = kept._PORTS[_WORKER % 2 :: 2]
# No test asserts on time: a busy machine is no fault of the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.register_profile("quick", deadline=None, max_examples=20)
hypothesis.settings.load_profile("untimed")
# Not among the answers of commands.
structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))

_LONG = ("faults", "services", "slow")
"""Marks of long tests, the longest first."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seeds", type=int, default=1, help="how many seeds the fault tests run")
    parser.addoption("--seed", type=int, default=None, help="run the fault tests with this seed")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    # Packed bytes hold the time they were packed at: tests had another name in every process.
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    # What is imported stays: looking for garbage among it took half of the time.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The long ones first, so that no worker is left alone with one of them in the end.
    items.sort(key=lambda item: [not item.get_closest_marker(name) for name in _LONG])
    if hypothesis.settings.get_current_profile_name() == "quick":
        for test in {item.obj for item in items if isinstance(item, pytest.Function)}:
            _quick(test)


def _quick(test: Any) -> None:
    """The profile gives the default alone: a test that names a number of examples has fewer too."""
    own = getattr(test, "_hypothesis_internal_use_settings", None)
    most = hypothesis.settings.default.max_examples
    if own and own.max_examples > most:
        test._hypothesis_internal_use_settings = hypothesis.settings(own, max_examples=most)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault_seed" in metafunc.fixturenames:
        one = metafunc.config.getoption("--seed")
        seeds = range(metafunc.config.getoption("--seeds")) if one is None else [one]
        metafunc.parametrize("fault_seed", seeds)


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("VIEWLEDGER_")]:
            patch.delenv(name)
        settings.cache_clear()
        yield


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of running services with topics and migrations, without workers."""
    from support.stacks import running

    with running(
        Settings(data=tmp_path_factory.mktemp("stack"), workers=2, collector_timeout_s=4)
    ) as found:
        yield found
