"""Lists that are files: read again when they change, and kept when they cannot be read."""

import csv
import gzip
import re
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

import structlog

from models.ranges import Range, parse_range
from schemas.metrics import LIST_AGE, LIST_BROKEN, LIST_ENTRIES

log = structlog.get_logger()

T = TypeVar("T")

IPCAT = Path(__file__).parent / "vendor" / "ipcat" / "datacenters.csv.gz"
_VERSION_DIGITS = 8


class ListsError(Exception):
    """A list cannot be used; says which and what to do."""


class Read(NamedTuple, Generic[T]):
    """What is in a file."""

    version: str
    """The first digits of its SHA-256."""
    entries: int
    content: T


class ListFile(Generic[T]):
    """A list in a file. What was in it stays in use while it cannot be read."""

    def __init__(self, name: str, path: Path, read: Callable[[Path], Read[T]]) -> None:
        """Knows nothing until `reload`."""
        self._name, self._path, self._read = name, path, read
        self._stamp: tuple[int, ...] | None = None
        self._asked = False
        self._now: Read[T] | None = None

    @property
    def content(self) -> T | None:
        """What is in it; None until it could be read."""
        return None if self._now is None else self._now.content

    @property
    def version(self) -> str | None:
        """Of the content."""
        return None if self._now is None else self._now.version

    def reload(self) -> bool:
        """Reads the file if it was changed; whether there is something new.

        Never raises: a file that cannot be read is logged, once for each time that it changes.
        """
        stamp = _stamp(self._path)
        changed = False
        if not self._asked or stamp != self._stamp:
            self._asked, self._stamp = True, stamp
            changed = self._take()
        if self._now is not None and stamp is not None:
            LIST_AGE.labels(self._name).set(time.time() - stamp[0] / 1e9)
        return changed

    def _take(self) -> bool:
        try:
            found = self._read(self._path)
        except ListsError as error:
            LIST_BROKEN.labels(self._name).set(1)
            log.error("a list is not as it should be", list=self._name, why=str(error))
            return False
        LIST_BROKEN.labels(self._name).set(0)
        if self._now is not None:
            LIST_ENTRIES.remove(self._name, self._now.version)
        LIST_ENTRIES.labels(self._name, found.version).set(found.entries)
        log.info("list", list=self._name, version=found.version, entries=found.entries)
        changed = self._now is None or found.version != self._now.version
        self._now = found
        return changed


def read_ranges(path: Path) -> Read[list[Range]]:
    """Ranges from a file with an address or a CIDR range per line; `#` begins a comment.

    Raises:
        ListsError: it cannot be read, or a line is neither.
    """
    version, lines = _lines(path)
    ranges = []
    for place, text in lines:
        try:
            ranges.append(parse_range(text))
        except ValueError:
            raise ListsError(
                f"{path}, line {place}: neither an address nor a range such as 192.0.2.0/24"
            ) from None
    return Read(version, len(ranges), [one for one in ranges if one.first <= one.last])


def read_ipcat(path: Path) -> Read[list[Range]]:
    """Ranges from the file of ipcat that comes with the package.

    Raises:
        ListsError: it is missing or damaged.
    """
    try:
        packed = path.read_bytes()
        text = gzip.decompress(packed).decode()
        ranges = [Range(int(row[0]), int(row[1])) for row in csv.reader(text.splitlines())]
        if not all(0 < one.first <= one.last < 1 << 32 for one in ranges):
            raise ValueError("a range is none")
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise ListsError(f"{path.name}: {error}; install viewledger again") from error
    return Read(_version(packed), len(ranges), ranges)


def read_patterns(path: Path) -> Read[tuple[re.Pattern[str], ...]]:
    """The patterns of a file, a regular expression per line; `#` at its beginning makes a line a
    comment. Each by itself: flags and groups of one must not change what another finds.

    Raises:
        ListsError: it cannot be read, or a line is no regular expression.
    """
    version, lines = _lines(path, comment=r"^\s*#.*")
    patterns = []
    for place, text in lines:
        try:
            pattern = re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ListsError(f"{path}, line {place}: no regular expression: {error}") from None
        if pattern.search(""):
            raise ListsError(f"{path}, line {place}: it finds a bot in every user agent")
        patterns.append(pattern)
    return Read(version, len(patterns), tuple(patterns))


def _lines(path: Path, comment: str = "#.*") -> tuple[str, Iterator[tuple[int, str]]]:
    try:
        content = path.read_bytes()
        lines = content.decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ListsError(f"{path}: {error}") from error
    texts = ((place, re.sub(comment, "", line).strip()) for place, line in enumerate(lines, 1))
    return _version(content), ((place, text) for place, text in texts if text)


def _version(content: bytes) -> str:
    return sha256(content).hexdigest()[:_VERSION_DIGITS]


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    # The second one is of rights as well: a file becomes readable without being written.
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
