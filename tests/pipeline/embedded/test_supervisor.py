"""The generated configuration says what it was made from."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from support.payees import key

from pipeline.embedded.supervisor import (
    Program,
    commands,
    control,
    environment_of,
    folder_of,
    render,
    runs,
    worker_names,
)
from schemas.settings import Settings

words = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)


@given(st.lists(words, min_size=1))
def test_a_command_is_read_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, command: list[str]
) -> None:
    data = tmp_path_factory.getbasetemp() / "commands"
    folder_of(data).mkdir(parents=True, exist_ok=True)
    text = render(data, 1, "secret", [Program("kafka", "service", command)])
    (folder_of(data) / "supervisord.conf").write_text(text)
    assert commands(data) == {"kafka": command}


def test_services_start_by_themselves_and_workers_do_not() -> None:
    programs = [Program("kafka", "service", ["a"], "INT"), Program("store", "worker", ["b"])]
    _, kafka, store = render(Path("/data"), 1, "secret", programs).split("[program:")
    assert "autostart=true" in kafka
    assert "stopsignal=INT" in kafka
    assert "autostart=false" in store
    assert "autorestart=true" in store


def test_there_is_a_scorer_per_configured_worker() -> None:
    assert worker_names(Settings(workers=2, collectors=1)) == [
        *("score-0", "score-1", "store", "book", "collector-0")
    ]


def test_where_nothing_was_started_nothing_runs(tmp_path: Path) -> None:
    assert not runs(tmp_path)
    with pytest.raises(ConnectionError, match="nothing was ever started"), control(tmp_path):
        pass


def test_workers_get_the_settings_but_no_keys_of_bank_details(tmp_path: Path) -> None:
    keys = SecretStr(key())
    found = environment_of(Settings(data=tmp_path, payee_keys=keys, linger_ms=7))
    assert found["VIEWLEDGER_LINGER_MS"] == "7"
    assert "VIEWLEDGER_PAYEE_KEYS" not in found
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        assert Settings() == Settings(data=tmp_path, linger_ms=7)
