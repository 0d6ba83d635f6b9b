"""What an address belongs to, by lists that may change, be missing or be wrong."""

import os
from pathlib import Path

import pytest

from models import networks
from models.networks import Networks

DATACENTER = "3.208.0.1"


def write(path: Path, *lines: str) -> Path:
    """A file that is seen to be another one, however fast it was written."""
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, ns=(1, hash(lines) % 10**15))
    return path


@pytest.fixture
def vpn(tmp_path: Path) -> Path:
    return write(
        tmp_path / "vpn", "# VPNs", "", "198.51.100.0/24 # mine", "2001:db8:7::/48", "3.208.0.1"
    )


@pytest.fixture
def tor(tmp_path: Path) -> Path:
    return write(tmp_path / "tor", "198.51.100.9", "198.51.100.77/31")


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("198.51.99.255", "other"),
        ("198.51.100.0", "vpn"),
        ("198.51.100.255", "vpn"),
        ("198.51.101.0", "other"),
        ("::ffff:198.51.100.1", "vpn"),
        ("2001:db8:7::1", "vpn"),
        ("2001:db8:8::1", "other"),
        # The narrower word goes first.
        ("198.51.100.9", "tor"),
        ("198.51.100.76", "tor"),
        (DATACENTER, "vpn"),
        ("3.208.0.2", "datacenter"),
        ("84.128.1.1", "other"),
        ("nonsense", None),
        ("", None),
    ],
)
def test_classes(address: str, found: str | None, vpn: Path, tor: Path) -> None:
    assert Networks({"vpn": vpn, "tor": tor}).class_of(address) == found


def test_a_file_that_changes_is_read_again(tor: Path) -> None:
    found = Networks({"tor": tor})
    before = found.versions
    assert not found.reload()
    write(tor, "203.0.113.5")
    assert found.reload()
    assert (found.class_of("198.51.100.9"), found.class_of("203.0.113.5")) == ("other", "tor")
    assert found.versions["ipcat"] == before["ipcat"]
    assert found.versions["tor"] != before["tor"]
    assert not found.reload()


@pytest.mark.parametrize("content", ["203.0.113.5\nhello\n", "300.1.1.1\n", "1.2.3.4-1.2.3.9\n"])
def test_a_file_that_went_wrong_leaves_what_was_there(content: str, tor: Path) -> None:
    found = Networks({"tor": tor})
    before = found.versions
    tor.write_text(content)
    assert not found.reload()
    tor.unlink()
    assert not found.reload()
    assert (found.class_of("198.51.100.9"), found.versions) == ("tor", before)


def test_with_a_list_missing_nothing_is_said_to_be_on_none(tmp_path: Path) -> None:
    late = tmp_path / "tor"
    found = Networks({"tor": late})
    assert found.class_of("84.128.1.1") is None
    assert found.class_of(DATACENTER) == "datacenter"
    write(late, "203.0.113.5")
    assert found.reload()
    assert found.class_of("84.128.1.1") == "other"


def test_without_data_centres_the_files_are_used(
    tor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "IPCAT", tmp_path / "gone")
    found = Networks({"tor": tor})
    assert not found.complete
    assert (found.class_of("198.51.100.9"), found.class_of(DATACENTER)) == ("tor", None)


def test_data_centres_of_the_operator_add_to_ipcat_or_replace_it(tmp_path: Path) -> None:
    mine = write(tmp_path / "mine", "203.0.113.0/24", "2001:db8:7::/48")
    both, only = (Networks({"datacenter": mine}, ipcat=ipcat) for ipcat in (True, False))
    for found in (both, only):
        assert found.class_of("203.0.113.9") == found.class_of("2001:db8:7::1") == "datacenter"
    assert (both.class_of(DATACENTER), only.class_of(DATACENTER)) == ("datacenter", "other")
    assert (set(both.versions), set(only.versions)) == ({"ipcat", "datacenter"}, {"datacenter"})
