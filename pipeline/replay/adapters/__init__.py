"""What kinds of files there are, and how each of them becomes views.

An adapter is a function `(path, lines) -> (line number, event), …`. The event is a dict with
the fields of `view/1`, or the bytes of the line where it is none and must be sent as it is.
An adapter raises Problem, with file and line, where the file is not of its kind.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.replay.adapters.talkingdata import read_talkingdata
from pipeline.replay.adapters.view import read_views
from pipeline.replay.adapters.wikipedia import read_wikipedia

Event = dict[str, Any]
Adapter = Callable[[Path, Iterator[bytes]], Iterator[tuple[int, Event | bytes]]]

ADAPTERS: dict[str, Adapter] = {
    "view": read_views,
    "talkingdata": read_talkingdata,
    "wikipedia": read_wikipedia,
}
