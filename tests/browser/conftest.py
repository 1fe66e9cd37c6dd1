"""A browser, a signed-in page, and a watch over what the page asks for and says."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
WINDOWS = pytest.mark.parametrize(
    "visitor",
    [
        pytest.param((1280, False), id="wide"),
        pytest.param((390, False), id="phone"),
        pytest.param((1280, True), id="dark", marks=pytest.mark.slow),
    ],
    indirect=True,
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: drives a browser")


@dataclass
class Visitor:
    """A page of the browser, and what went wrong on it."""

    page: Any
    root: str
    foreign: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.root + path)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return max(width, 0)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. Its driver keeps a loop in this thread, which Django would take for a server's."""
    found = shutil.which("chromium") or (str(CHROMIUM) if CHROMIUM.exists() else None)
    if found is None:
        pytest.skip("There is no chromium: install Debian's package chromium.")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with pytest.MonkeyPatch.context() as patch, playwright.sync_playwright() as driver:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        running = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def visitor(
    request: pytest.FixtureRequest,
    browser: Any,
    live_server: Any,
) -> Iterator[Visitor]:
    """Signed in as an operator; parametrize indirectly with (width, dark)."""
    from django.test import Client

    from tests import factories

    width, dark = getattr(request, "param", (1280, False))
    operator = factories.operator()
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    visitor = Visitor(page, live_server.url)

    def asked(asking: Any) -> None:
        if not asking.url.startswith((live_server.url, "data:", "blob:")):
            visitor.foreign.append(asking.url)

    def said(dialog: Any) -> None:
        visitor.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("request", asked)
    page.on("dialog", said)
    page.on("pageerror", lambda error: visitor.problems.append(f"script: {error}"))
    signed_in = Client()
    signed_in.force_login(operator)
    for name, cookie in signed_in.cookies.items():
        context.add_cookies([{"name": name, "value": cookie.value, "url": live_server.url}])
    yield visitor
    if folder := os.environ.get("CSMS_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{request.node.name}.png", full_page=True)
    context.close()
