"""A real Chromium, a site that uses the SDK, and a collector that only writes down."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright
from support.browser import BUNDLE, SDK, Recorder, Site, serve

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
    # Not while the other process of tests reads what is there: building begins with removing it.
    sources = [SDK / "package.json", *SDK.glob("src/*.ts"), *SDK.glob("scripts/*.mjs")]
    newest = max(source.stat().st_mtime for source in sources)
    stale = not BUNDLE.exists() or BUNDLE.stat().st_mtime < newest
    if stale and shutil.which("npm") and (SDK / "node_modules").exists():
        subprocess.run(["npm", "run", "--silent", "build"], cwd=SDK, check=True)
    if not BUNDLE.exists():
        pytest.skip("sdk/web is not built: make install")
    return BUNDLE


@pytest.fixture(scope="module")
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


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    found = Recorder()
    for _ in found.serve():
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
