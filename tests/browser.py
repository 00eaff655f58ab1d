"""A real browser for the tests: the Chromium that is installed here, driven by Playwright, and what happened in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tools import local_cloud

EXECUTABLE = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)

QUIET = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--lang=en-US"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

AXE = local_cloud.PROJECT / "node_modules" / "axe-core" / "axe.min.js"


@contextmanager
def running() -> Iterator[Browser]:
    """Start the browser; skip the test where there is none, but fail it where REQUIRE_BROWSER says that there is."""
    if not EXECUTABLE:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("no browser here, and REQUIRE_BROWSER is set")
        pytest.skip("no browser here (Debian's chromium)")
    # Chromium has no sandbox for root, and containers often run tests as root.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=[*QUIET, *sandbox])
        yield browser
        browser.close()


@dataclass
class Watched:
    """A tab, and what happened in it: requests by their address, and whatever the console calls an error."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        """Go to a chart and wait for its series, or for what is said instead."""
        self.page.goto(address)
        self.wait()

    def wait(self) -> None:
        """Wait until nothing is being loaded."""
        self.page.locator("body:not([data-state=loading])").wait_for()

    def state(self) -> str | None:
        return self.page.locator("body").get_attribute("data-state")

    def drawn(self) -> Sequence[tuple[int, float | None]]:
        """Return the bars that the drawing library has, by their interval's first day, YYYYMMDD."""
        bars: list[tuple[str, float | None]] = self.page.evaluate(
            "shown.plot.data[0].map((index) => [isoDay(shown.bars[index].day), shown.plot.data[1][index]])"
        )
        return [(int(day.replace("-", "")), visits) for day, visits in bars]

    def table(self) -> Sequence[tuple[int, float | None]]:
        """Open the table as a person does, and return its rows."""
        if self.page.locator("#numbers:not([open])").count():
            self.page.get_by_text("The numbers as a table").click()
        self.page.locator("#table tbody tr").first.wait_for()
        rows: list[tuple[str, str]] = self.page.locator("#table tbody tr").evaluate_all(
            "(rows) => rows.map((row) => [row.querySelector('time').dateTime, row.querySelector('td').textContent])"
        )
        return [(int(day.replace("-", "")), None if text == "not loaded" else number(text)) for day, text in rows]

    def violations(self) -> list[str]:
        """Return what axe-core's default rules have against the page as it is."""
        # Evaluated, not added as an element: the page's policy would forbid that.
        self.page.evaluate(AXE.read_text())
        result: Any = self.page.evaluate("axe.run()")
        assert len(result["passes"]) > 10
        return [f"{each['id']}: {node['html']}" for each in result["violations"] for node in each["nodes"]]


def number(text: str) -> float:
    """Return the number that is written with commas between its thousands."""
    return float(text.replace(",", ""))


@contextmanager
def tab(browser: Browser, **settings: Any) -> Iterator[Watched]:
    """Open a tab with nothing remembered; at the end nothing may have gone wrong in it unseen."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, "locale": "en-GB", **settings})
    watched = Watched(context.new_page())
    context.on("request", lambda request: watched.requests.append(request.url))
    context.on("console", lambda message: watched.errors.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: watched.errors.append(str(error.error)))
    try:
        yield watched
    finally:
        context.close()
