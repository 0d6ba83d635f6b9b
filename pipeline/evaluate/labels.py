"""What adapters leave out because no judge may see it at a view: labels, and what is said of an
edit beside who made it where. Read from the same lines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline.cli.problems import Problem

EDIT_ATTRIBUTES = ("anonymous", "minor", "new_page", "unpatrolled", "delta", "added", "deleted")
"""Of a Wikipedia edit; `main` and `talk` of its namespace besides."""


class Told(NamedTuple):
    """What a line says beside the event."""

    positive: bool
    attributes: tuple[float, ...] = ()
    kind: str = ""
    """Who made it, of views."""


def talkingdata_labels(path: Path, lines: Iterator[bytes]) -> Iterator[tuple[int, Told]]:
    """Whether the app was installed, by line number.

    Raises:
        Problem: there is no such column, or its value is neither 0 nor 1.
    """
    header = next(lines, b"").decode(errors="replace").split(",")
    if "is_attributed" not in header:
        raise Problem(
            f"{path}, line 1: no column is_attributed: without labels there is nothing to "
            "evaluate with (the competition's test file has none)"
        )
    place = header.index("is_attributed")
    for number, line in enumerate(lines, 2):
        if not line:
            continue
        cells = line.split(b",")
        label = cells[place] if len(cells) > place else b""
        if label not in (b"0", b"1"):
            found = label[:40].decode(errors="replace")
            raise Problem(f"{path}, line {number}: expected is_attributed 0 or 1, found {found!r}")
        yield number, Told(label == b"1")


class _Edit(msgspec.Struct, rename="camel"):
    is_robot: bool | str
    namespace: str
    is_anonymous: bool | str | None = None
    is_minor: bool | str | None = None
    is_new: bool | str | None = None
    is_unpatrolled: bool | str | None = None
    delta: float | None = None
    added: float | None = None
    deleted: float | None = None


_decode_edit = msgspec.json.Decoder(_Edit).decode


def wikipedia_labels(path: Path, lines: Iterator[bytes]) -> Iterator[tuple[int, Told]]:
    """Whether a robot made the edit, and what is said of the edit, by line number.

    Raises:
        Problem: a line does not say whether a robot made it.
    """
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            edit = _decode_edit(line)
        except (ValueError, RecursionError) as error:
            raise Problem(
                f"{path}, line {number}: expected an edit that says isRobot: {error}"
            ) from None
        flags = (edit.is_anonymous, edit.is_minor, edit.is_new, edit.is_unpatrolled)
        sizes = (edit.delta, edit.added, edit.deleted)
        namespace = edit.namespace.lower()
        yield (
            number,
            Told(
                _true(edit.is_robot),
                (
                    *(_flag(flag) for flag in flags),
                    *(float("nan") if size is None else size for size in sizes),
                    float(namespace == "main"),
                    float("talk" in namespace),
                ),
            ),
        )


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _flag(value: Any) -> float:
    return float("nan") if value is None else float(_true(value))


def view_labels(paths: list[Path]) -> dict[str, str]:
    """Who made each event, by event id, of the label files of `viewledger simulate`.

    Raises:
        Problem: a file has no columns `event_id` and `label`.
    """
    from pipeline.replay.source import check_file, read_lines

    made_by: dict[str, str] = {}
    for path in paths:
        check_file(path)
        lines = read_lines(path)
        header = next(lines, b"").decode(errors="replace").split(",")
        if not {"event_id", "label"} <= set(header):
            raise Problem(
                f"{path}, line 1: expected a CSV header with the columns event_id and label, "
                "as `viewledger simulate --labels` writes it"
            )
        at, label = header.index("event_id"), header.index("label")
        for number, line in enumerate(lines, 2):
            cells = line.decode(errors="replace").split(",")
            if len(cells) != len(header):
                raise Problem(
                    f"{path}, line {number}: expected {len(header)} columns, found {len(cells)}"
                )
            made_by.setdefault(cells[at], cells[label])
    return made_by
