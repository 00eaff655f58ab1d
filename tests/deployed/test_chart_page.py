"""The chart as a person meets it: a real browser opens it from the deployed service, reads it and uses it."""

from __future__ import annotations

import math
import os
import random
import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import browser as browsers
import pytest
from browser import Watched, tab
from cloud import Api, authorized_by, pages, rows
from playwright.sync_api import Browser, Route, expect

from tools import local_cloud
from tools.local_cloud import LocalCloud

PICTURE = local_cloud.PROJECT / "docs" / "chart.png"
MAX_PICTURE_BYTES = 150_000

PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}

BUSY, QUIET, GAPPY = "8001", "8002", "8003"
FIRST_DAY = date(2023, 3, 1)
NOT_LOADED = {200, 201, 202, 450}
"""Days after the first that no file came for."""


def busy_days() -> Iterator[tuple[date, int]]:
    """Yield 600 days of a site's traffic: a weekly rhythm, a season, growth and chance, always the same."""
    chance = random.Random(7)
    for n in range(600):
        if n not in NOT_LOADED:
            day = FIRST_DAY + timedelta(n)
            weekly = (1.0, 1.08, 1.05, 1.0, 0.86, 0.52, 0.6)[day.weekday()]
            season = 1 + 0.25 * math.sin(2 * math.pi * (day.timetuple().tm_yday - 80) / 365)
            yield day, round(900 * weekly * season * (1 + n / 1500) * chance.uniform(0.92, 1.08))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser, for this module."""
    with browsers.running() as running:
        yield running


@pytest.fixture(scope="module")
def site(cloud: LocalCloud, book_api: Api, tmp_path_factory: pytest.TempPathFactory) -> Api:
    """The deployed API with a busy event, one that was visited on a single day, and one with gaps."""
    counts = [(BUSY, day, visits) for day, visits in busy_days()]
    counts.append((QUIET, date(2024, 2, 29), 7))
    # Days on which the busy event has a count are loaded: the others have none.
    counts += [(GAPPY, FIRST_DAY + timedelta(n), 3 + n % 5) for n in range(190, 220) if n % 4 and n not in NOT_LOADED]
    file = tmp_path_factory.mktemp("site") / "site.csv"
    lines = [f"{event},{day:%Y%m%d},{visits}\n" for event, day, visits in counts]
    file.write_text("EventId,EventDay,EventCount\n" + "".join(lines))
    cloud.run("visits", "load", str(file), "--stage", "test")
    return book_api


@pytest.fixture
def chart(browser: Browser) -> Iterator[Watched]:
    """A tab in which nothing may go wrong, and that may ask no host but the API's."""
    with tab(browser) as watched:
        yield watched
        assert [] == watched.errors
        asked = {urlsplit(address) for address in watched.requests}
        assert 1 == len({(each.scheme, each.netloc) for each in asked if each.scheme not in {"data", "blob"}})


def series(api: Api, query: str, event: str = BUSY) -> list[tuple[int, int | None]]:
    """Return a series as the API has it, every day of it."""
    return [row for page in pages(api, f"/visits/{event}?fill=zero&{query}") for row in rows(page)]


@pytest.mark.parametrize(
    ("query", "interval"),
    [
        ("startDate=20230301&endDate=20230430", "day"),
        ("startDate=20230802&endDate=20231107&interval=week", "week"),
        ("interval=month", "month"),
        ("interval=year", "year"),
        ("startDate=20230802&interval=total", "total"),
        ("", "week"),
    ],
)
def test_the_bars_are_the_series(site: Api, chart: Watched, query: str, interval: str) -> None:
    """In the drawing and in the table behind it; without an interval, one that fits."""
    chart.open(f"{site.url}/visits/{BUSY}/chart?{query}")

    expected = series(site, f"{query}&interval={interval}" if "interval" not in query else query)
    assert len(expected) < 200
    assert expected == chart.drawn()
    assert expected == chart.table()


def test_the_picture_shows_bars_as_high_as_their_visits(site: Api, chart: Watched) -> None:
    """Coloured just below their end, and not just above it; a day without visits has none."""
    chart.open(f"{site.url}/visits/{GAPPY}/chart")

    pixels: list[tuple[float | None, list[int], list[int]]] = chart.page.evaluate(
        """shown.plot.data[1].map((visits, index) => {
             const { plot } = shown;
             const x = Math.round(plot.valToPos(index, "x", true));
             const y = Math.round(plot.valToPos(visits ?? plot.scales.y.max / 2, "y", true));
             const at = (y) => [...plot.ctx.getImageData(x, y, 1, 1).data];
             return [visits, at(y - 4), at(y + 4)];
           })"""
    )

    bar, ground = [0x34, 0x57, 0xD5, 255], {(0, 0, 0, 0)}
    assert len(pixels) == 30
    for visits, above, below in pixels:
        assert bar != above
        assert (bar == below) == bool(visits)
    assert ground == {tuple(above) for visits, above, _ in pixels if visits == 0}
    # Hatched, whatever pixel of the hatching it is.
    assert ground.isdisjoint(tuple(above) for visits, above, _ in pixels if visits is None)


def test_days_not_loaded_are_told_apart_from_days_without_visits(site: Api, chart: Watched) -> None:
    """In words, in the key, in the table, and bar by bar."""
    chart.open(f"{site.url}/visits/{GAPPY}/chart")

    assert (20230917, None) in chart.table()
    assert (20230909, 0) in chart.table()
    expect(chart.page.locator("#summary")).to_contain_text("3 days of 30 are not loaded, and not in the average.")
    expect(chart.page.get_by_text("not loaded", exact=True).first).to_be_visible()
    chart.page.get_by_label("Bars by").select_option("week")
    expect(chart.page.locator("#key-incomplete")).to_be_visible()
    chart.page.get_by_role("slider").press("Home")
    chart.page.get_by_role("slider").press("ArrowRight")
    expect(chart.page.locator("#tip-note")).to_have_text("1 of 7 days not loaded")


def test_total_mean_and_range_are_said_in_words(site: Api, chart: Watched) -> None:
    """As the whole series has them; a screen reader is told when they change."""
    chart.open(f"{site.url}/visits/{BUSY}/chart")

    total = sum(visits for _, visits in busy_days())
    mean = total / len(list(busy_days()))
    day, most = max(busy_days(), key=lambda each: each[1])
    summary = chart.page.get_by_role("status")
    expect(summary).to_contain_text(
        f"{total:,} visits from 1 March 2023 to 20 October 2024, {mean:,.0f} a day on average."
    )
    assert f"{total:,}" == chart.page.locator("#total").inner_text()
    chart.page.get_by_label("Bars by").select_option("day")
    expect(chart.page.locator("#highest-name")).to_have_text(f"Most, {day.day} {day:%b %Y}")
    expect(chart.page.locator("#highest")).to_have_text(f"{most:,}")


def test_keys_show_day_and_visits(book_api: Api, chart: Watched) -> None:
    """From the last bar on, where the keyboard comes in; to screen readers as a slider's value."""
    chart.open(f"{book_api.url}/visits/324/chart?startDate=20171010&endDate=20171017")
    slider = chart.page.get_by_role("slider", name="Event 324, visits by day")
    tip = chart.page.locator("#tip")

    for _ in range(20):  # a date has a stop for each of its parts
        chart.page.keyboard.press("Tab")
        if slider.evaluate("(element) => element === document.activeElement"):
            break
    expect(tip).to_contain_text("Tuesday, 17 October 2017")
    for key, text in [
        ("ArrowLeft", "Monday, 16 October 2017: 6 visits"),
        ("ArrowLeft", "Sunday, 15 October 2017: not loaded"),
        ("Home", "Tuesday, 10 October 2017: 2 visits"),
        ("ArrowRight", "Wednesday, 11 October 2017: not loaded"),
        ("PageUp", "Tuesday, 17 October 2017: 2 visits"),
    ]:
        chart.page.keyboard.press(key)
        expect(slider).to_have_attribute("aria-valuetext", text)
        assert text.replace(": ", "") == tip.inner_text().replace("\n", "")
    chart.page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_the_mouse_shows_day_and_visits(book_api: Api, chart: Watched) -> None:
    """Of the column it is over, and nothing when it is elsewhere."""
    chart.open(f"{book_api.url}/visits/324/chart?startDate=20171012&endDate=20171013")
    box = chart.page.locator(".u-over").bounding_box()
    assert box

    chart.page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    expect(chart.page.locator("#tip")).to_contain_text("Thursday, 12 October 2017")
    chart.page.mouse.move(box["x"] + box["width"] * 3 / 4, box["y"] + 20)
    expect(chart.page.locator("#tip")).to_contain_text("Friday, 13 October 2017")
    expect(chart.page.locator("#tip")).to_contain_text("10 visits")
    chart.page.mouse.move(2, 2)
    expect(chart.page.locator("#tip")).to_be_hidden()


def test_the_address_follows_what_is_picked(site: Api, chart: Watched) -> None:
    """Dates, lengths, intervals; going back shows what was shown, and the address alone shows it to somebody else."""
    chart.open(f"{site.url}/visits/{BUSY}/chart")
    chart.page.get_by_label("From", exact=True).fill("2023-09-01")
    chart.wait()
    chart.page.get_by_label("To", exact=True).fill("2023-10-15")
    chart.wait()

    query = "startDate=20230901&endDate=20231015"
    assert f"{site.url}/visits/{BUSY}/chart?{query}" == chart.page.url
    assert series(site, query) == chart.drawn()

    chart.page.get_by_label("Bars by").select_option("week")
    assert f"{site.url}/visits/{BUSY}/chart?{query}&interval=week" == chart.page.url
    assert series(site, f"{query}&interval=week") == chart.drawn()
    chart.page.reload()
    chart.wait()
    assert series(site, f"{query}&interval=week") == chart.table()

    chart.page.go_back()
    chart.wait()
    assert series(site, query) == chart.drawn()
    chart.page.get_by_role("button", name="30 days").click()
    chart.wait()
    assert "startDate=20230916&endDate=20231015" == urlsplit(chart.page.url).query
    assert 30 == len(chart.drawn())
    chart.page.get_by_role("button", name="All").click()
    chart.wait()
    assert "" == urlsplit(chart.page.url).query


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("endDate=20230309", ["1 Mar\n2023", "2 Mar", "3 Mar"]),
        ("endDate=20230430", ["6 Mar\n2023", "13 Mar", "20 Mar"]),
        ("endDate=20230731", ["Mar\n2023", "Apr", "May", "Jun", "Jul"]),
        ("interval=month", ["Mar\n2023", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan\n2024"]),
        ("interval=year", ["2023", "2024"]),
        ("startDate=20000101&endDate=20241231&interval=month", ["2000", "2002", "2004"]),
    ],
)
def test_the_days_below_the_bars_are_as_many_as_there_is_room_for(
    site: Api, chart: Watched, query: str, labels: list[str]
) -> None:
    """At the beginnings of weeks, months or years; the year where it is new."""
    chart.open(f"{site.url}/visits/{BUSY}/chart?{query}")

    shown: list[str] = chart.page.evaluate("[...dayLabels(shown.bars, shown.plot.width).values()]")

    assert labels == shown[: len(labels)]


def test_a_range_is_picked_with_the_mouse(site: Api, chart: Watched) -> None:
    """From the bar where a button is pressed to the one where it is let go."""
    chart.open(f"{site.url}/visits/{BUSY}/chart?startDate=20230301&endDate=20230309")
    box = chart.page.locator(".u-over").bounding_box()
    assert box

    chart.page.mouse.move(box["x"] + box["width"] * 2.5 / 9, box["y"] + 50)
    chart.page.mouse.down()
    chart.page.mouse.move(box["x"] + box["width"] * 5.5 / 9, box["y"] + 50, steps=4)
    chart.page.mouse.up()
    chart.wait()

    assert "startDate=20230303&endDate=20230306" == urlsplit(chart.page.url).query
    assert series(site, "startDate=20230303&endDate=20230306") == chart.drawn()


def test_dates_may_be_typed(site: Api, chart: Watched) -> None:
    """Digit by digit: what a year is on the way to its fourth is not asked for; an end that was open stays open."""
    chart.open(f"{site.url}/visits/{BUSY}/chart")
    date_input = chart.page.get_by_label("From", exact=True)

    date_input.focus()
    chart.page.keyboard.type("10152023")  # in this browser, the month comes first
    chart.wait()

    assert "2023-10-15" == date_input.input_value()
    assert "startDate=20231015" == urlsplit(chart.page.url).query
    assert series(site, "startDate=20231015&interval=week") == chart.drawn()
    asked = [address for address in chart.requests if "/chart" not in address]
    assert all("startDate=2023" in address for address in asked[1:])
    chart.page.keyboard.press("Tab")
    assert "startDate=20231015" == urlsplit(chart.page.url).query


def test_colours_follow_the_system(site: Api, chart: Watched) -> None:
    """Those of the bars, too, while the page is open."""
    chart.open(f"{site.url}/visits/{QUIET}/chart")
    bar = """() => {
      const { ctx, bbox } = shown.plot;
      return [...ctx.getImageData(bbox.left + bbox.width / 2, bbox.top + bbox.height / 2, 1, 1).data].slice(0, 3);
    }"""

    assert [0x34, 0x57, 0xD5] == chart.page.evaluate(bar)
    chart.page.emulate_media(color_scheme="dark")
    chart.page.locator("#plot").hover()

    assert [0x86, 0xA2, 0xFF] == chart.page.evaluate(bar)


def test_a_range_that_ends_before_it_begins_is_told_at_once(site: Api, chart: Watched) -> None:
    """Beside the date, without asking the API."""
    address = f"{site.url}/visits/{BUSY}/chart?startDate=20230901"
    chart.open(address)

    chart.page.get_by_label("To", exact=True).fill("2023-08-31")

    message = chart.page.locator("#to").evaluate("(input) => input.validationMessage")
    assert "The range begins on 1 September 2023." == message
    assert address == chart.page.url


@pytest.mark.parametrize(
    "query", ["startDate=20230901&endDate=20230930", "endDate=20230630&interval=week", "limit=5&order=desc"]
)
def test_the_links_lead_to_what_is_shown(site: Api, chart: Watched, query: str) -> None:
    """The CSV followed as a person does, the JSON as a program does."""
    chart.open(f"{site.url}/visits/{BUSY}/chart?{query}")
    drawn = chart.drawn()

    with chart.page.expect_download() as download:
        chart.page.get_by_role("link", name="CSV").click()
    header, *lines = Path(download.value.path()).read_text().splitlines()
    assert "EventId,EventDay,EventCount" == header
    csv = sorted(
        (int(day), float(visits) if visits else None) for _, day, visits in (line.split(",") for line in lines)
    )
    assert csv == drawn

    address = chart.page.get_by_role("link", name="JSON").get_attribute("href") or ""
    assert sorted(rows(site.get(address.removeprefix(site.url)))) == drawn


def test_all_events_together(site: Api, chart: Watched) -> None:
    """By their name, not as an event."""
    chart.open(f"{site.url}/visits/all/chart?startDate=20230910&endDate=20230930")

    expect(chart.page.get_by_role("heading", level=1)).to_have_text("All events")
    assert series(site, "startDate=20230910&endDate=20230930", "all") == chart.drawn()


def test_an_event_that_nothing_is_known_of(site: Api, chart: Watched) -> None:
    """Is no error: the page says so, and leads on."""
    chart.open(f"{site.url}/visits/4712/chart")

    assert "empty" == chart.state()
    expect(chart.page.get_by_role("heading", level=2)).to_have_text("Nothing is known of event 4712")
    chart.page.get_by_role("link", name="See all events together").click()
    expect(chart.page).to_have_url(f"{site.url}/visits/all/chart")


def test_a_long_series_is_read_over_its_next_links(site: Api, chart: Watched) -> None:
    """More days than an answer has; and not without end."""
    chart.open(f"{site.url}/visits/{QUIET}/chart?startDate=19950101&interval=year")
    assert 2 == len([address for address in chart.requests if "/chart" not in address])
    assert series(site, "startDate=19950101&interval=year", QUIET) == chart.drawn()

    chart.requests.clear()
    chart.open(f"{site.url}/visits/{QUIET}/chart?startDate=00010101&endDate=99991231")
    assert 5 == len([address for address in chart.requests if "/chart" not in address])
    expect(chart.page.locator("#summary")).to_contain_text("The series goes on")


def test_what_is_asked_wrongly_is_said(site: Api, browser: Browser) -> None:
    """In the API's words, with the status, and with a way on."""
    with tab(browser) as chart:
        answer = chart.page.goto(f"{site.url}/visits/{BUSY}/chart?startDate=20171399")
        chart.wait()
        assert answer
        assert 400 == answer.status
        expect(chart.page.locator("#notice")).to_contain_text("startDate '20171399' is not a calendar date (YYYYMMDD)")
        chart.page.get_by_role("link", name="Show all days").click()
        chart.wait()
        assert f"{site.url}/visits/{BUSY}/chart" == chart.page.url
        assert "shown" == chart.state()

        answer = chart.page.goto(f"{site.url}/visits/abc/chart")
        chart.wait()
        assert answer
        assert 404 == answer.status
        expect(chart.page.locator("#notice")).to_contain_text("resourceId 'abc' is neither a number")


def test_when_the_counts_do_not_come_they_can_be_asked_for_again(site: Api, browser: Browser) -> None:
    """The page says what the API says, or that it says nothing."""
    detail = "The counts cannot be read at the moment; try again in 5 seconds"
    with tab(browser) as chart:
        counts = f"{site.url}/visits/{BUSY}?**"
        chart.page.route(counts, lambda route: route.fulfill(status=503, json={"detail": detail, "message": detail}))
        chart.open(f"{site.url}/visits/{BUSY}/chart")
        expect(chart.page.locator("#notice")).to_contain_text(detail)
        chart.page.unroute(counts)

        chart.page.route(counts, lambda route: route.abort())
        chart.page.get_by_role("button", name="Try again").click()
        expect(chart.page.locator("#notice")).to_contain_text("No answer came.")
        chart.page.unroute(counts)

        chart.page.get_by_role("button", name="Try again").click()
        chart.wait()
        assert "shown" == chart.state()
        expect(chart.page.locator("#notice")).to_be_hidden()


def test_while_the_counts_are_on_their_way_the_page_says_so(site: Api, chart: Watched) -> None:
    """And shows only the last that was asked for."""
    held: list[Route] = []
    chart.page.route(f"{site.url}/visits/{BUSY}?startDate=20230901**", lambda route: held.append(route))
    chart.page.goto(f"{site.url}/visits/{BUSY}/chart?startDate=20230901")
    expect(chart.page.locator("#summary")).to_have_text("Loading…")
    expect(chart.page.locator("#picture")).to_have_attribute("aria-busy", "true")

    chart.page.get_by_role("button", name="All").click()
    chart.wait()

    assert series(site, "interval=week") == chart.drawn()
    assert 1 == len(held)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("JWT", 'curl --header "Authorization: Bearer $KEY"'),
        ("AWS_IAM", 'curl --aws-sigv4 "aws:amz:eu-west-1:execute-api"'),
    ],
)
def test_where_authorization_is_demanded_the_page_says_how_to_get_the_counts(
    cloud: LocalCloud, site: Api, browser: Browser, how: str, said: str
) -> None:
    """The page itself is open to everyone, as there is no count in it."""
    with authorized_by(cloud, how), tab(browser) as chart:
        chart.open(f"{site.url}/visits/{BUSY}/chart?startDate=20230901&interval=week")
        assert "locked" == chart.state()
        code = chart.page.locator("#notice pre").inner_text()
        violations = chart.violations()

    assert code.startswith(said)
    assert f"'{site.url}/visits/{BUSY}?startDate=20230901&fill=zero&interval=week&format=csv'" in code
    assert [] == violations


def test_the_address_of_a_command_to_paste_cannot_end_its_quotes(site: Api, browser: Browser) -> None:
    """Whoever sends a link to the page chooses its path."""
    with tab(browser) as chart:
        refusal = {"message": "Unauthorized"}
        chart.page.route(lambda url: "/chart" not in url, lambda route: route.fulfill(status=401, json=refusal))
        chart.open(f"{site.url}/visits/1';echo'/chart")
        code = chart.page.locator("#notice pre").inner_text()

    assert 2 == code.count("'")


def test_behind_a_stage_or_a_domain_it_finds_its_series(site: Api, chart: Watched) -> None:
    """Whatever stands before /visits in its address."""
    parts = urlsplit(site.url)
    api_id = parts.netloc.partition(".")[0]

    chart.open(f"http://127.0.0.1:{parts.port}/_aws/execute-api/{api_id}/$default/visits/{BUSY}/chart?interval=month")

    assert series(site, "interval=month") == chart.drawn()


@pytest.mark.parametrize("settings", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
@pytest.mark.parametrize(
    "path", [f"{BUSY}/chart", f"{GAPPY}/chart", f"{QUIET}/chart", "4711/chart", "324/chart?limit=x"]
)
def test_it_is_accessible(site: Api, browser: Browser, settings: dict[str, Any], path: str) -> None:
    """By axe-core's default rules, in every state, a bar pointed at and the table open; none wider than a phone."""
    with tab(browser, **settings) as chart:
        chart.open(f"{site.url}/visits/{path}")
        if chart.state() == "shown":
            chart.table()
            chart.page.get_by_role("slider").press("ArrowLeft")

        assert [] == chart.violations()
        assert chart.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nothing_moves_for_whoever_wants_no_motion(site: Api, browser: Browser) -> None:
    """No transition, no animation."""
    moving = "[...document.querySelectorAll('*')].filter((e) => getComputedStyle(e).transitionDuration !== '0s').length"
    for motion, expected in (("reduce", 0), ("no-preference", 1)):
        with tab(browser, reduced_motion=motion) as chart:
            chart.open(f"{site.url}/visits/{BUSY}/chart")
            assert expected == chart.page.evaluate(moving)


def test_the_readme_has_a_picture_of_it(site: Api, browser: Browser, tmp_path: Path) -> None:
    """Taken here, of 150 days of the busy event; `make picture` keeps it."""
    path = PICTURE if os.environ.get("KEEP_PICTURE") else tmp_path / PICTURE.name
    with tab(browser, viewport={"width": 1180, "height": 700}, device_scale_factor=1.5) as chart:
        chart.open(f"{site.url}/visits/{BUSY}/chart?startDate=20230701&endDate=20231127")
        slider = chart.page.get_by_role("slider")
        box = chart.page.locator(".u-over").bounding_box()
        assert box
        chart.page.mouse.move(box["x"] + box["width"] * 92.5 / 150, box["y"] + 40)
        expect(slider).to_have_attribute("aria-valuetext", "Sunday, 1 October 2023: 577 visits")
        # Down to the end of the figure, wherever exactly the fonts that are here put it.
        chart.page.screenshot(path=path, clip={"x": 0, "y": 0, "width": 1180, "height": 640})

    assert path.stat().st_size < MAX_PICTURE_BYTES
    # A picture's width and height, 4 bytes each, come after 16 others.
    assert PICTURE.read_bytes()[:24] == path.read_bytes()[:24]
    opening = (local_cloud.PROJECT / "README.md").read_text()[:1000]
    assert re.search(r"!\[[^]]{20,}\]\(docs/chart\.png\)", opening)
