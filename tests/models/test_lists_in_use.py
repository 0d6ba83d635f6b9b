"""Lists under a running judge: what changes is taken over, what breaks is not."""

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY
from support.traffic import Event, batch_of, view

from models import lists_in_use
from models.list_files import ListFile, read_patterns
from models.lists_in_use import ListsInUse
from models.networks import Networks
from schemas.operator_lists import ListEntry, OperatorLists
from schemas.settings import Settings
from schemas.verdicts import reason_labels


@pytest.fixture(autouse=True)
def _looks_at_files_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists_in_use, "_MAX_AGE_S", -1.0)


def write(path: Path, content: str) -> Path:
    """A file that is seen to be another one, however fast it was written."""
    path.write_text(content)
    os.utime(path, ns=(1, abs(hash(content)) % 10**15))
    return path


def follow(of: ListsInUse, *entries: ListEntry, version: int = 0) -> None:
    asyncio.run(of.follow(OperatorLists(version, entries)))


def reasons(of: ListsInUse, **fields: Any) -> list[str]:
    found, _ = of.reasons(batch_of([Event(view(**fields), 0, 0)]))
    return reason_labels(int(found[0]))


def test_a_file_that_changes_and_breaks_under_a_running_judge(tmp_path: Path) -> None:
    tor = write(tmp_path / "tor", "203.0.113.5\n")
    found = ListsInUse(Networks({"tor": tor}))
    first = found.version
    assert reasons(found, ip="203.0.113.5") == ["tor_address"]
    write(tor, "203.0.113.6\n")
    follow(found)
    assert found.version != first
    assert [reasons(found, ip=f"203.0.113.{n}") for n in (5, 6)] == [[], ["tor_address"]]
    second = found.version
    for content in ("nonsense\n", "203.0.113.7\n300.0.0.0\n"):
        write(tor, content)
        follow(found)
        assert found.version == second
        assert [reasons(found, ip=f"203.0.113.{n}") for n in (6, 7)] == [["tor_address"], []]
    tor.unlink()
    follow(found)
    assert reasons(found, ip="203.0.113.6") == ["tor_address"]
    write(tor, "203.0.113.5\n")
    follow(found)
    assert found.version == first


def test_a_list_that_is_missing_at_the_start_is_waited_for(tmp_path: Path) -> None:
    found = ListsInUse(Networks({"tor": tmp_path / "tor"}))
    assert found.version is None
    batch = batch_of([Event(view(user_agent="curl/8.0"), 0, 0)])
    mask, there = found.reasons(batch)
    assert (mask.tolist(), there) == ([0], False)
    write(tmp_path / "tor", "")
    follow(found)
    assert found.version is not None
    assert found.reasons(batch)[1]
    assert reasons(found, user_agent="curl/8.0") == ["declared_bot"]


def test_patterns_are_taken_over_and_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "bots", "OurMonitor\n")
    found = ListsInUse(Networks({}), ListFile("crawlers", path, read_patterns))
    agent = {"user_agent": "OurMonitor/1"}
    assert reasons(found, **agent) == ["declared_bot"]
    write(path, "(\n")
    follow(found)
    assert reasons(found, **agent) == ["declared_bot"]
    write(path, "OtherMonitor\n")
    follow(found)
    assert reasons(found, **agent) == []


def test_entries_of_the_operator_come_and_go(tmp_path: Path) -> None:
    found = ListsInUse(Networks({}))
    assert found.version is not None
    assert found.version.endswith("+operator-0")
    entry = ListEntry("deny", "promoter", "p-1")
    follow(found, entry, version=7)
    assert reasons(found, promoter_id="p-1") == ["operator_denied"]
    assert found.version.endswith("+operator-7")
    shown = {"list": "operator", "version": "7"}
    assert REGISTRY.get_sample_value("viewledger_list_entries", shown) == 1
    follow(found, version=6)  # a block that was begun before
    assert reasons(found, promoter_id="p-1") == ["operator_denied"]
    follow(found, version=8)
    assert reasons(found, promoter_id="p-1") == []
    assert REGISTRY.get_sample_value("viewledger_list_entries", shown) is None


def test_an_entry_expires_without_a_new_version(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ListsInUse(Networks({}))
    soon = datetime.fromtimestamp(time.time() + 3600, UTC)
    table = ListEntry("deny", "promoter", "p-1", soon)
    follow(found, table, version=1)
    assert reasons(found, promoter_id="p-1") == ["operator_denied"]
    later = SimpleNamespace(time=lambda: soon.timestamp() + 1, monotonic=time.monotonic)
    monkeypatch.setattr(lists_in_use, "time", later)
    follow(found, table, version=1)
    assert reasons(found, promoter_id="p-1") == []


def test_who_is_denied_is_so_without_the_other_lists(tmp_path: Path) -> None:
    found = ListsInUse(Networks({"tor": tmp_path / "gone"}))
    follow(found, ListEntry("deny", "promoter", "p-1"), version=1)
    assert (reasons(found, promoter_id="p-1"), found.version) == (["operator_denied"], None)


def test_all_files_can_be_set(tmp_path: Path) -> None:
    files = {
        name: write(tmp_path / name, content)
        for name, content in (
            ("datacenter_list", "203.0.113.0/26\n"),
            ("vpn_list", "203.0.113.64/26\n"),
            ("tor_list", "203.0.113.128/26\n"),
            ("crawler_list", "OurMonitor\n"),
        )
    }
    found = ListsInUse.of_settings(Settings(ipcat=False, **files))  # type: ignore[arg-type]
    said = [reasons(found, ip=f"203.0.113.{n}") for n in (1, 65, 129, 200)]
    assert said == [["datacenter_address"], [], ["tor_address"], []]
    assert reasons(found, user_agent="OurMonitor/1") == ["declared_bot"]
    assert reasons(found, ip="3.208.0.1") == []
    assert found.version is not None
    assert "ipcat" not in found.version
