"""A real browser for the tests of the dashboard."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.dashboards import WIDE


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser without a window."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=found, headless=True, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """A page of a profile of its own, that fails where the page's own policy stops something."""
    context = chromium.new_context(viewport=WIDE)
    page, blocked = context.new_page(), []
    page.on("console", lambda m: blocked.append(m.text) if "Content Security" in m.text else None)
    page.on("pageerror", lambda error: blocked.append(str(error)))
    yield page
    context.close()
    assert blocked == []
