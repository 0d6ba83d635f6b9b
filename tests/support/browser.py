"""The other side of the browser: a site, a collector that writes down, and what a person does."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Page

SDK = Path(__file__).parents[2] / "sdk" / "web"
BUNDLE = SDK / "dist" / "viewledger.min.js"
PAGE = Path(__file__).parents[1] / "sdk" / "web" / "page.html"

TOLERANCE_MS = 400
"""Frames and timers of a machine that does other things, too."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Quiet."""

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Site(Handler):
    """The page, its script, the example and a second page."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        file = {
            "/page.html": PAGE,
            "/viewledger.min.js": BUNDLE,
            "/dist/viewledger.min.js": BUNDLE,
            "/example/": SDK / "example" / "index.html",
        }.get(path)
        body = b"elsewhere" if file is None else file.read_bytes()
        kind = "text/javascript" if path.endswith(".js") else "text/html"
        self.reply(200, body, {"Content-Type": f"{kind}; charset=utf-8"})


class Request(NamedTuple):
    """What the collector was sent, and how it answered."""

    at: float
    path: str
    headers: dict[str, str]
    events: list[dict[str, Any]]
    status: int


class Recorder:
    """A collector that keeps every request; `answers` are given first, then 202."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.url = ""

    def events(self, status: int = 202) -> list[dict[str, Any]]:
        """Every event that got this answer."""
        return [event for one in self.requests if one.status == status for event in one.events]

    def ids(self) -> set[str]:
        """Of all events that were taken."""
        return {event["event_id"] for event in self.events()}

    def serve(self) -> Iterator[str]:
        """The URL at which it takes requests until the generator ends."""
        recorder = self

        class Collector(Handler):
            def do_POST(self) -> None:
                recorder._take(self)

        for self.url in serve(Collector):
            yield self.url

    def _take(self, handler: Handler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        status, headers = self.answers.pop(0) if self.answers else (202, {})
        events = json.loads(body)
        request = Request(time.time(), handler.path, dict(handler.headers), events, status)
        self.requests.append(request)
        said = {"accepted": len(events), "rejected": []} if status == 202 else {"detail": "no"}
        cors = {
            "Access-Control-Allow-Origin": handler.headers["Origin"],
            "Access-Control-Expose-Headers": "Retry-After",
        }
        handler.reply(status, json.dumps(said).encode(), cors | headers)


def serve(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """The URL at which `handler` serves until the generator ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=partial(server.serve_forever, 0.05))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def until(holds: Callable[[], Any], what: str, page: Page, seconds: float = 20) -> None:
    """Waits, letting the browser go on."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what
        page.wait_for_timeout(50)


def begin(page: Page, url: str, film: int = 60, **options: Any) -> None:
    """Gives the page a film of so many seconds, and starts the SDK in it."""
    page.evaluate("film => film ? window.film(film) : null", film)
    page.evaluate("options => start(options)", {"endpoint": url, **options})


def play(page: Page, ms: int) -> None:
    """Plays until so much more was watched."""
    before = page.evaluate("progress")
    page.evaluate("video.play()")
    page.wait_for_function(f"progress >= {before + ms}", polling=20)


def left_at(page: Page) -> float:
    """What had been played of the page before this one, when it was left."""
    return float(page.evaluate("localStorage.progress"))


def near(watched: float, progress: float) -> None:
    """Whether the SDK counted what the media element played."""
    assert abs(watched - progress) <= TOLERANCE_MS, (watched, progress)


def told(page: Page) -> dict[str, Any]:
    """What the SDK told the page, to which it must not have thrown anything."""
    found: dict[str, Any] = page.evaluate("told")
    assert found["errors"] == []
    return found


def stored(page: Page) -> list[str]:
    """The keys of what waits to be sent."""
    keys: list[str] = page.evaluate("Object.keys(localStorage)")
    return [key for key in keys if key.startswith("viewledger:event:")]


def wake_the_queue(page: Page) -> None:
    """As if the minute in which an event is left alone had passed."""
    page.evaluate(
        """() => { for (const key of Object.keys(localStorage)) {
            if (!key.startsWith("viewledger:event:")) continue;
            localStorage[key] = JSON.stringify({ ...JSON.parse(localStorage[key]), due: 0 });
        } dispatchEvent(new Event("online")); }"""
    )
