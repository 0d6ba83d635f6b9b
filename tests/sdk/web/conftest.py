"""A real Chromium, a site that uses the SDK, and a collector that only writes down."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

SDK = Path(__file__).parents[3] / "sdk" / "web"
BUNDLE = SDK / "dist" / "viewledger.min.js"
PAGE = Path(__file__).with_name("page.html")
ARGUMENTS = [
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The script-tag build of the sources as they are."""
    if shutil.which("npm") and (SDK / "node_modules").exists():
        subprocess.run(["npm", "run", "--silent", "build"], cwd=SDK, check=True)
    if not BUNDLE.exists():
        pytest.skip("sdk/web is not built: make install")
    return BUNDLE


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A window with tabs, of which only one is visible.

    Playwright's own start makes every page believe that it is visible and in focus, so it joins
    a Chromium that was started without it.
    """
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no Chromium (Debian: apt-get install chromium)")
    profile = tmp_path_factory.mktemp("chromium")
    arguments = [program, *ARGUMENTS, f"--user-data-dir={profile}", "about:blank"]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ours:
        try:
            port = _port(profile / "DevToolsActivePort")
            with sync_playwright() as playwright:
                url = f"http://127.0.0.1:{port}"
                browser = playwright.chromium.connect_over_cdp(url, no_defaults=True)
                yield browser.contexts[0]
                browser.close()
        finally:
            ours.terminate()


def _port(file: Path) -> str:
    for _ in range(600):
        if file.exists() and (lines := file.read_text().split()):
            return lines[0]
        time.sleep(0.05)
    raise AssertionError("Chromium does not start")


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

    def handle(self, handler: Handler) -> None:
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


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    found = Recorder()

    class Collector(Handler):
        def do_POST(self) -> None:
            found.handle(self)

    for url in serve(Collector):
        found.url = url
        yield found


@pytest.fixture
def site(bundle: Path) -> Iterator[str]:
    """A new origin, and so empty stores, for each test."""
    yield from serve(Site)


@pytest.fixture
def tab(chromium: BrowserContext) -> Iterator[Callable[[str], Page]]:
    """Opens tabs, and closes what is left of them; a new one hides those before it."""
    opened: list[Page] = []

    def new(url: str) -> Page:
        page = chromium.new_page()
        opened.append(page)
        page.bring_to_front()
        page.goto(url)
        return page

    yield new
    for page in opened:
        page.close()
    chromium.set_offline(False)


def until(holds: Callable[[], Any], what: str, page: Page, seconds: float = 20) -> None:
    """Waits, letting the browser go on."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what
        page.wait_for_timeout(50)
