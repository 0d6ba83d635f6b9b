"""What an address belongs to, by lists that may change, be missing or be wrong."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import lists, networks
from models.lists import ListsError
from models.networks import Networks, Ranges, read_ranges

DATACENTER = "3.208.0.1"

small = st.integers(0, 40)
ranges = st.lists(st.tuples(small, small).map(lambda two: (min(two), max(two))), max_size=8)


@given(ranges, small)
def test_ranges_hold_what_any_of_them_holds(found: list[tuple[int, int]], number: int) -> None:
    joined = Ranges.of("", found)
    assert joined.holds(number) == any(first <= number <= last for first, last in found)
    assert all(a + 1 < b for a, b in zip(joined.last, joined.first[1:], strict=False))


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
    assert Networks(vpn, tor).class_of(address) == found


def test_a_file_that_changes_is_read_again(tor: Path) -> None:
    found = Networks(None, tor)
    before = found.versions
    assert not found.reload()
    write(tor, "203.0.113.5")
    assert found.reload()
    assert (found.class_of("198.51.100.9"), found.class_of("203.0.113.5")) == ("other", "tor")
    assert found.versions["datacenter"] == before["datacenter"]
    assert found.versions["tor"] != before["tor"]
    assert not found.reload()


@pytest.mark.parametrize("content", ["203.0.113.5\nhello\n", "300.1.1.1\n", "1.2.3.4-1.2.3.9\n"])
def test_a_file_that_went_wrong_leaves_what_was_there(content: str, tor: Path) -> None:
    found = Networks(None, tor)
    before = found.versions
    tor.write_text(content)
    assert not found.reload()
    tor.unlink()
    assert not found.reload()
    assert (found.class_of("198.51.100.9"), found.versions) == ("tor", before)
    with pytest.raises(ListsError):
        read_ranges(tor)


def test_a_wrong_line_is_named_without_what_it_says(tmp_path: Path) -> None:
    with pytest.raises(ListsError, match="line 2: neither an address nor") as error:
        read_ranges(write(tmp_path / "list", "192.0.2.1", "203.0.113.300"))
    assert "203.0" not in str(error.value)


def test_with_a_list_missing_nothing_is_said_to_be_on_none(tmp_path: Path) -> None:
    late = tmp_path / "tor"
    found = Networks(None, late)
    assert found.class_of("84.128.1.1") is None
    assert found.class_of(DATACENTER) == "datacenter"
    write(late, "203.0.113.5")
    assert found.reload()
    assert found.class_of("84.128.1.1") == "other"


def test_without_data_centres_the_files_are_used(
    tor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_RANGES", tmp_path / "gone")
    monkeypatch.setattr(networks, "load_lists", lists.load_lists.__wrapped__)
    found = Networks(None, tor)
    assert (found.class_of("198.51.100.9"), found.class_of(DATACENTER)) == ("tor", None)
