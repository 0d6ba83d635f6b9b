"""The lines of a file, plain or gzipped."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.cli.problems import Problem

_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER = 64 * 1024
_LINES_PER_REPORT = 10_000


def check_file(path: Path) -> None:
    """Raises Problem unless `path` is a file that can be read (twice: no pipe)."""
    if not path.exists():
        raise Problem(f"{path}: no such file")
    if not path.is_file():
        raise Problem(f"{path}: not a regular file")
    if path.stat().st_size == 0:
        raise Problem(f"{path}: the file is empty")


def read_lines(path: Path, on_bytes: Callable[[int], None] = lambda done: None) -> Iterator[bytes]:
    """Every line without its end (`\\n` or `\\r\\n`), otherwise as it is.

    Args:
        on_bytes: now and then told how many bytes of the file itself are read.

    Raises:
        Problem: the file cannot be read, or its gzip is damaged (with the line number).
    """
    number = 0
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == _GZIP_MAGIC
            stream = io.BufferedReader(gzip.GzipFile(fileobj=raw), _BUFFER) if packed else raw
            for number, line in enumerate(stream, 1):
                if number % _LINES_PER_REPORT == 0:
                    on_bytes(raw.tell())
                yield line.rstrip(b"\r\n")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise Problem(f"{path}: damaged gzip, a little after line {number}: {error}") from None
    except OSError as error:
        raise Problem(f"{path}: cannot be read: {error.strerror}") from None
