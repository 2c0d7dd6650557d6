"""A real Chromium before the real application, over figures made by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Request, sync_playwright

sys.path.insert(0, str(Path(__file__).parent))

import world as worlds

HERE = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
)


def chromium(playwright: Playwright) -> str:
    """The machine's browser, else Debian's where we may install it, else Playwright's own."""
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    own = playwright.chromium.executable_path
    if Path(own).exists():
        return own
    if hasattr(os, "geteuid") and os.geteuid() == 0 and Path("/etc/debian_version").exists() and shutil.which("apt-get"):
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(command, check=False, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        if found := next(filter(None, map(shutil.which, NAMES)), None):
            return found
    subprocess.run([sys.executable, "-m", "playwright", "install", "--with-deps", "chromium-headless-shell"], check=False)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    return own


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of each screen that is looked at in several widths and themes, one cell, another one for the next screen; all of them with
    `--database both`, as `make matrix` asks."""
    if config.getoption("database") == "both":
        return
    screens: dict[tuple[str, ...], list[pytest.Item]] = {}
    for item in items:
        facts = dict(item.callspec.params) if hasattr(item, "callspec") else {}
        if item.path.is_relative_to(HERE) and {"width", "theme"} <= facts.keys():
            rest = (f"{name}={value!r}" for name, value in facts.items() if name not in ("width", "theme"))
            screens.setdefault((item.nodeid.partition("[")[0], *rest), []).append(item)
    left = {
        id(item) for number, cells in enumerate(screens.values()) for at, item in enumerate(cells) if at != number % len(cells)
    }
    config.hook.pytest_deselected(items=[item for item in items if id(item) in left])
    items[:] = [item for item in items if id(item) not in left]


@pytest.fixture(scope="module")  # for longer, its event loop would stand in the way of asynchronous tests
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(playwright), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def served() -> Iterator[worlds.Served]:
    """One server for all tests."""
    with worlds.Served() as served:
        yield served


@pytest.fixture
def world(served: worlds.Served) -> worlds.World:
    """The figures, as they were at the start."""
    served.world.reset()
    return served.world


class Faults:
    """What a page must not do: complain, break, ask in vain, or ask elsewhere."""

    def __init__(self, home: str) -> None:
        self.home, self.found, self.allowed = home, list[str](), list[str]()

    def watch(self, page: Page) -> None:
        page.on("console", lambda message: message.type in {"error", "warning"} and self.note(message.text))
        page.on("pageerror", lambda error: self.note(str(error)))
        page.on("request", self._asked)
        page.on("requestfailed", self._failed)

    def note(self, words: str) -> None:
        if not any(allowed in words for allowed in self.allowed):
            self.found.append(words)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.home, "data:")):
            self.note(f"asked another host: {request.url}")

    def _failed(self, request: Request) -> None:
        # What a page asked for ends when the page is left, and a download is no page: neither is a fault.
        if "ERR_ABORTED" not in (request.failure or "") and not request.url.endswith(".csv"):
            self.note(f"failed: {request.url} {request.failure}")


@pytest.fixture
def faults(served: worlds.Served) -> Faults:
    """What went wrong in the page; a test may say what it expects to."""
    return Faults(served.url)


@pytest.fixture
def context(browser: Browser, served: worlds.Served, world: worlds.World) -> Iterator[BrowserContext]:
    """A reader who was never here before, signed in as the owner."""
    context = browser.new_context(base_url=served.url, viewport={"width": 1440, "height": 900})
    context.add_cookies([worlds.cookie(served.url)])
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, faults: Faults) -> Iterator[Page]:
    """A page that fails its test on any console error, report of the content policy, failed request or other host."""
    page = context.new_page()
    faults.watch(page)
    yield page
    page.close()
    assert faults.found == []


@pytest.fixture
def sign_in(served: worlds.Served) -> Callable[[Page | BrowserContext, str], None]:
    """Makes a page or context somebody else: `sign_in(page, "viewer")`, any role, or worlds.STRANGER; "" signs out."""

    def sign_in(page: Page | BrowserContext, who: str) -> None:
        context = page.context if isinstance(page, Page) else page
        context.clear_cookies(name=worlds.COOKIE)
        if who:
            context.add_cookies([worlds.cookie(served.url, who)])

    return sign_in
