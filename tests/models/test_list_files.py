"""Files that change, break, go away and come back."""

import gzip
import os
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from models.list_files import (
    ListFile,
    ListsError,
    Read,
    read_ipcat,
    read_patterns,
    read_ranges,
)
from models.ranges import Range, parse_range


def write(path: Path, content: str) -> Path:
    """A file that is seen to be another one, however fast it was written."""
    path.write_text(content)
    os.utime(path, ns=(1, abs(hash(content)) % 10**15))
    return path


def broken(name: str) -> float | None:
    return REGISTRY.get_sample_value("viewledger_list_broken", {"list": name})


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "list", "192.0.2.0/24 # mine\n\n# nobody else\n")
    found = ListFile("changing", path, read_ranges)
    assert found.content is None
    assert found.reload()
    assert found.content == [parse_range("192.0.2.0/24")]
    before = found.version
    assert not found.reload()
    write(path, "192.0.2.0/24 # mine\n\n# nobody else \n")
    assert found.reload()
    assert found.version != before
    os.utime(path, ns=(7, 7))
    assert not found.reload()
    age = REGISTRY.get_sample_value("viewledger_list_age_seconds", {"list": "changing"})
    assert age is not None
    assert age > 1e9


@pytest.mark.parametrize("content", ["203.0.113.5\nhello\n", "300.1.1.1\n", "1.2.3.4-1.2.3.9\n"])
def test_a_broken_file_leaves_what_was_there(content: str, tmp_path: Path) -> None:
    path = write(tmp_path / "list", "198.51.100.9\n")
    found = ListFile("breaking", path, read_ranges)
    assert found.reload()
    before = found.content, found.version
    assert broken("breaking") == 0
    write(path, content)
    assert not found.reload()
    assert broken("breaking") == 1
    path.unlink()
    assert not found.reload()
    assert (found.content, found.version) == before
    assert broken("breaking") == 1
    write(path, "198.51.100.8\n")
    assert found.reload()
    assert (found.content, broken("breaking")) == ([parse_range("198.51.100.8")], 0)


def test_a_file_that_comes_late_is_read_then(tmp_path: Path) -> None:
    found = ListFile("late", tmp_path / "list", read_ranges)
    assert not found.reload()
    assert found.content is None
    write(tmp_path / "list", "")
    assert found.reload()
    assert found.content == []


def test_a_file_that_becomes_readable_is_read_then(tmp_path: Path) -> None:
    def read(path: Path) -> Read[list[Range]]:
        if not path.stat().st_mode & 0o400:  # root may read it all the same
            raise ListsError(f"{path}: Permission denied")
        return read_ranges(path)

    path = write(tmp_path / "list", "192.0.2.1\n")
    path.chmod(0)
    found = ListFile("closed", path, read)
    assert not found.reload()
    path.chmod(0o600)
    assert found.reload()
    assert found.content == [parse_range("192.0.2.1")]


def test_a_wrong_line_is_named_without_what_it_says(tmp_path: Path) -> None:
    path = write(tmp_path / "list", "192.0.2.1\n203.0.113.300\n")
    with pytest.raises(ListsError, match="line 2: neither an address nor") as error:
        read_ranges(path)
    assert "203.0" not in str(error.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"\xff\xfe")
    with pytest.raises(ListsError, match="list"):
        read_ranges(tmp_path / "list")


def test_patterns_find_what_any_of_them_finds(tmp_path: Path) -> None:
    path = write(tmp_path / "bots", "# ours\nOurMonitor/\n^Mozilla/5\\.0 \\(Probe|Check#1\n")

    def found(agent: str) -> bool:
        return any(pattern.search(agent) for pattern in read_patterns(path).content)

    assert found("x OurMonitor/2")
    assert found("Mozilla/5.0 (Probe)")
    assert found("Check#1")
    assert not found("Mozilla/5.0 (iPhone)")
    assert not found("x Mozilla/5.0 (Probe)")
    # What one line has of flags and groups is no other line's.
    write(path, "(?i)ourmonitor\nCheck\n(?P<a>x)y\n(?P<a>(z)q)\\2\n")
    assert found("OURMONITOR")
    assert not found("check")
    assert found("zqz")
    write(path, "# none\n")
    assert not found("anything")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("(", "no regular expression"),
        ("a{99999999999}", "no regular expression"),
        ("(" * 5_000 + ")" * 5_000, "no regular expression"),
        ("x*", "every user agent"),
    ],
)
def test_patterns_that_cannot_be(content: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(ListsError, match=f"line 1: .*{why}"):
        read_patterns(write(tmp_path / "bots", content))


@pytest.mark.parametrize(
    "content",
    [None, b"not gzip", gzip.compress(b"5,4\n"), gzip.compress(b"x\n"), gzip.compress(b"1,2")[:-9]],
)
def test_a_damaged_ipcat_says_so(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "datacenters.csv.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ListsError, match="install viewledger again"):
        read_ipcat(path)


def test_ipcat(tmp_path: Path) -> None:
    path = tmp_path / "datacenters.csv.gz"
    path.write_bytes(gzip.compress(b"1,5,a\n9,9,b\n"))
    assert read_ipcat(path).content == [Range(1, 5), Range(9, 9)]
