"""How soon a chart is seen, and what it costs to send: the address of a chart in, the medians of a few visits out.

    python benchmarks/chart_page.py "$API/visits/324/chart"

Each visit is a first one, in a browser that remembers nothing. Times are from the click on: the server's and the
network's are in them.
"""

from __future__ import annotations

import shutil
import statistics
import sys
from typing import Any

from playwright.sync_api import Browser, sync_playwright

VISITS = 15

NOTE_WHEN_DRAWN = """
new MutationObserver(() => {
  if (document.body?.dataset.state === "shown") window.drawnMs ??= performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true });
"""

MEASURE = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const [series] = performance.getEntriesByType("resource").filter((each) => each.initiatorType === "fetch");
  const paint = Object.fromEntries(performance.getEntriesByType("paint").map((each) => [each.name, each.startTime]));
  return {
    "page, bytes": page.decodedBodySize,
    "page as sent, bytes": page.encodedBodySize,
    "series as sent, bytes": series.encodedBodySize,
    "first byte, ms": page.responseStart,
    "first paint, ms": paint["first-paint"],
    "first contentful paint, ms": paint["first-contentful-paint"],
    "series has come, ms": series.responseEnd,
    "bars drawn, ms": drawnMs,
  };
}"""


def visit(browser: Browser, address: str) -> dict[str, float]:
    """Return the measures of one first visit, by their names."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.add_init_script(NOTE_WHEN_DRAWN)
    page = context.new_page()
    page.goto(address)
    page.locator("body[data-state=shown]").wait_for()
    measures: Any = page.evaluate(MEASURE)
    context.close()
    return {name: float(value) for name, value in measures.items()}


def main(address: str) -> None:
    """Print a table of medians."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        visits = [visit(browser, address) for _ in range(VISITS + 1)][1:]  # the first starts whatever sleeps
        browser.close()
    for name in visits[0]:
        sys.stdout.write(f"{name:<28}{statistics.median(each[name] for each in visits):>10,.0f}\n")


if __name__ == "__main__":
    main(sys.argv[1])
