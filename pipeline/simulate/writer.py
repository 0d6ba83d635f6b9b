"""Views as lines of JSON, and their labels as lines of CSV."""

import json
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipeline.simulate.catalogue import PLATFORMS, Posts
from pipeline.simulate.delivery import Delivered
from pipeline.simulate.devices import devices
from pipeline.simulate.malformed import corrupt
from pipeline.simulate.regions import LANGUAGES
from pipeline.simulate.traffic import NO_TZ, START_MS, Label, Views
from schemas.verdicts import Refusal

LABELS_HEADER = "line,event_id,label,is_duplicate,refusal\n"
_CHUNK = 20_000
_REFERRERS = {
    "tiktok": "https://www.tiktok.com/",
    "instagram": "https://l.instagram.com/",
    "youtube": "https://www.youtube.com/",
    "web": "https://www.google.com/",
}
_LABELS = [label.name.lower() for label in Label]
_REFUSALS = {0: "", **{refusal.value: refusal.label for refusal in Refusal}}


class Chunk(NamedTuple):
    """Some lines of the file of events, and as many of the file of labels."""

    events: bytes
    labels: bytes
    lines: int


class _Fragments(NamedTuple):
    """The parts of a line that repeat, as JSON, by row of their table."""

    post: list[str]
    duration: list[int]
    referrer: list[str]
    device: list[str]
    language: list[str]
    """The last one is for -1."""


def chunks(views: Views, delivered: Delivered, posts: Posts) -> Iterator[Chunk]:
    """All lines in order, a chunk at a time."""
    fragments = _fragments(posts)
    for start in range(0, len(delivered.event), _CHUNK):
        part = delivered.slice(start, start + _CHUNK)
        yield _chunk(views[part.event], part, fragments, start + 1)


def _fragments(posts: Posts) -> _Fragments:
    names = zip(posts.campaign_id, posts.promoter_id, posts.post_id, posts.platform, strict=True)
    return _Fragments(
        post=[
            f'"campaign_id":{json.dumps(c)},"promoter_id":{json.dumps(p)},'
            f'"post_id":"{post}","platform":"{PLATFORMS[platform]}"'
            for c, p, post, platform in names
        ],
        duration=posts.duration_ms.tolist(),
        referrer=[f',"referrer":"{_REFERRERS[PLATFORMS[p]]}"' for p in posts.platform],
        device=[
            f'"user_agent":{json.dumps(device.user_agent)}'
            + (f',"screen":"{device.screen}"' if device.screen else "")
            for device in devices()
        ],
        language=[*(f',"language":"{code}"' for code in LANGUAGES), ""],
    )


def _chunk(views: Views, part: Delivered, parts: _Fragments, first_line: int) -> Chunk:
    lines = _lines(views, part, parts)
    labels, refusals = views["label"].copy(), part.refusal.copy()
    for row in np.flatnonzero(part.malformed >= 0):
        value, refusals[row] = corrupt(int(part.malformed[row]), lines[row])
        # Invalid UTF-8 must survive being a string for a moment.
        lines[row] = value.decode(errors="surrogateescape")
        labels[row] = Label.MALFORMED
    ids = views["event"].astype(">u8").tobytes().hex()
    marks = zip(labels.tolist(), part.duplicate.tolist(), refusals.tolist(), strict=True)
    marked = [
        f"{first_line + i},{ids[i * 32 : i * 32 + 32]},{_LABELS[label]},{int(duplicate)},"
        f"{_REFUSALS[refusal]}"
        for i, (label, duplicate, refusal) in enumerate(marks)
    ]
    return Chunk(
        ("\n".join(lines) + "\n").encode(errors="surrogateescape"),
        ("\n".join(marked) + "\n").encode(),
        len(lines),
    )


def _lines(views: Views, part: Delivered, parts: _Fragments) -> list[str]:
    ids = views["event"].astype(">u8").tobytes().hex()
    viewers = views["viewer"].astype(">u8").tobytes().hex()
    sessions = views["session"].astype(">u8").tobytes().hex()
    octets = views["ip"].astype(">u4").view("u1").reshape(-1, 4).tolist()
    clock = START_MS + views["skew"]
    columns = zip(
        range(len(views)),
        views["post"].tolist(),
        (clock + views["at"]).tolist(),
        (clock + part.sent_at).tolist(),
        (START_MS + part.received_at).tolist(),
        octets,
        views["watch"].tolist(),
        views["visible"].tolist(),
        views["interactions"].tolist(),
        views["muted"].tolist(),
        views["autoplay"].tolist(),
        views["device"].tolist(),
        views["language"].tolist(),
        views["tz"].tolist(),
        views["referrer"].tolist(),
        strict=True,
    )
    return [
        f'{{"schema":"view/1","event_id":"{ids[i * 32 : i * 32 + 32]}",{parts.post[post]},'
        f'"viewer_id":"{viewers[i * 16 : i * 16 + 16]}",'
        f'"session_id":"{sessions[i * 16 : i * 16 + 16]}",'
        f'"occurred_at":{occurred},"sent_at":{sent},"received_at":{received},'
        f'"ip":"{a}.{b}.{c}.{d}",{parts.device[device]}{parts.language[language]}'
        f'{f""","tz_offset_min":{tz}""" if tz != NO_TZ else ""},'
        f'"watch_ms":{watch},"duration_ms":{parts.duration[post]},"visible_pct":{visible},'
        f'"interactions":{taps},"muted":{"true" if muted else "false"},'
        f'"autoplay":{"true" if autoplay else "false"}{parts.referrer[post] if referred else ""}}}'
        for (
            i,
            post,
            occurred,
            sent,
            received,
            (a, b, c, d),
            watch,
            visible,
            taps,
            muted,
            autoplay,
            device,
            language,
            tz,
            referred,
        ) in columns
    ]
