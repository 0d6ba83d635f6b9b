"""The front door in `viewledger demo`: its keys, and a page in a real browser that uses it."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pipeline.collector.endpoint import collector_url
from pipeline.collector.keyring import REFRESH_S
from pipeline.collector.seal_keys import collector_keys
from schemas.api_key import Kind
from schemas.catalogue import Campaign, Promoter
from schemas.settings import Settings
from sinks import postgres
from sinks.api_keys import create_key
from sinks.clickhouse import Client

SDK = Path(__file__).parents[1] / "sdk" / "web"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-quic"),
    "--autoplay-policy=no-user-gesture-required",
)
_PATIENCE_S = 40.0
"""The page draws a film of five seconds, plays it, and sends what was seen of it."""


class Seen(NamedTuple):
    """A view of the page, as it is in ClickHouse."""

    post_id: str
    watch_ms: int
    visible_pct: float
    verdict: str
    reasons: list[str]


def make_key(settings: Settings, kind: Kind, origins: Sequence[str] = ()) -> str:
    """The token of a new API key; the collectors know it some seconds later."""
    with postgres.connect(settings) as conn:
        seal_keys = collector_keys(settings)
        made = create_key(conn, seal_keys, kind, name="demo", actor="demo", origins=origins)
    return made.text


def show_page(
    settings: Settings, client: Client, campaigns: Sequence[Campaign], promoters: Sequence[Promoter]
) -> list[Seen] | str:
    """Opens the example of the browser SDK in Chromium; its views, or why there is none."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        return "there is no Chromium here (Debian: apt-get install chromium)"
    if not (SDK / "dist" / "viewledger.min.js").exists():
        return "sdk/web is not built (make install)"
    # Chromium's helpers may write to the profile for a moment longer than itself.
    with _served(SDK) as site, TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = {
            "key": make_key(settings, "publishable", [site]),
            "endpoint": collector_url(settings),
            "campaign": _active(campaigns).campaign_id,
            "promoter": _active(promoters).promoter_id,
            "play": "1",
        }
        time.sleep(2 * REFRESH_S)
        url = f"{site}/example/index.html?{urlencode(options)}"
        command = [browser, *_ARGUMENTS, f"--user-data-dir={profile}", url]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdout=quiet, stderr=quiet) as running:
            try:
                _wait_for(client, {"example-video"})
            finally:
                running.terminate()  # the page is hidden, and sends what is left
        return _wait_for(client, {"example-video", "example-post"})


def _active(found: Sequence[Any]) -> Any:
    return next(one for one in found if one.status == "active")


def _wait_for(client: Client, posts: set[str]) -> list[Seen]:
    """The views of the page, as soon as those of `posts` are there or the time is over."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        rows = client.query(
            "SELECT post_id, watch_ms, visible_pct, toString(verdict), reason_names FROM views"
            " WHERE post_id IN {posts:Array(String)} ORDER BY post_id",
            parameters={"posts": ["example-post", "example-video"]},
        ).result_rows
        if {row[0] for row in rows} >= posts or time.monotonic() > deadline:
            return [Seen(*row) for row in rows]
        time.sleep(0.2)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """What a demo asks for is no news."""


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The origin at which a folder is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
