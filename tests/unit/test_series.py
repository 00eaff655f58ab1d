"""What series read, and how their rows come about; test_reference.py compares them with a plain reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest

from intervals import Count, Counts, Interval
from selection import Selection
from series import Page, Reading, Rows, read_newest_day, read_page

FIRST, LAST = 1_01_01, 9999_12_31
DAY, WEEK, MONTH, QUARTER, YEAR, TOTAL = Interval


class Table:
    """Counts by event, and what was read of them, call by call."""

    def __init__(self, **counts: Mapping[int, Count]) -> None:
        self.counts = {name.lstrip("_"): found for name, found in counts.items()}
        self.calls: list[Sequence[tuple[str, Reading]]] = []

    def read(self, wanted: Sequence[tuple[str, Reading]]) -> Sequence[Iterable[Counts]]:
        self.calls.append(wanted)
        return [[self._found(event_id, reading)] for event_id, reading in wanted]

    def _found(self, event_id: str, reading: Reading) -> Counts:
        counts = self.counts.get(event_id, {})
        days = [day for day in sorted(counts) if (reading.start or FIRST) <= day <= (reading.end or LAST)]
        if reading.descending:
            days.reverse()
        return {day: counts[day] for day in days[: reading.limit]}


def rows(table: Table, selection: Selection, event_id: str = "324") -> Rows:
    """Return the rows of one event's first page."""
    return read_page([event_id], selection, table.read).rows.get(event_id, {})


@pytest.mark.parametrize(
    ("wanted", "reading"),
    [
        (Selection(20171001, 20171031), Reading(20171001, 20171031, limit=10_001)),
        (Selection(limit=5), Reading(limit=6)),
        (Selection(limit=5, descending=True), Reading(descending=True, limit=6)),
        (Selection(interval=WEEK, limit=2), Reading(limit=15)),
        (Selection(interval=MONTH, limit=2), Reading(limit=63)),
        (Selection(interval=QUARTER, limit=2), Reading(limit=185)),
        (Selection(interval=YEAR, limit=2), Reading(limit=733)),
        (Selection(20171001, interval=TOTAL, descending=True, limit=1), Reading(20171001)),
        (Selection(20171001, fill=True, limit=5), Reading(20171001, limit=6)),
        (Selection(20171001, fill=True, limit=5, latest=20171009), Reading(20171001, 20171009, limit=6)),
        (Selection(20171001, 20171031, fill=True), Reading(20171001, 20171031)),
        (Selection(FIRST, LAST, fill=True), Reading(FIRST, 280518)),
        (Selection(FIRST, LAST, fill=True, descending=True), Reading(99720815, LAST, descending=True)),
        (Selection(20171004, 20180131, fill=True, interval=WEEK, limit=2), Reading(20171004, 20171015)),
        (Selection(20171004, 20180131, fill=True, interval=MONTH, limit=2), Reading(20171004, 20171130)),
        (
            Selection(20171004, 20180110, fill=True, interval=MONTH, limit=2, descending=True),
            Reading(20171201, 20180110, descending=True),
        ),
        (Selection(20171004, 20180331, fill=True, interval=QUARTER, limit=1), Reading(20171004, 20171231)),
        (Selection(20171004, 20300131, fill=True, interval=YEAR, limit=2), Reading(20171004, 20181231)),
        (Selection(20171001, 20171031, fill=True, interval=TOTAL), Reading(20171001, 20171031)),
    ],
)
def test_what_is_read_is_bounded_by_range_order_and_limit(wanted: Selection, reading: Reading) -> None:
    """No day is read that the page has no use for, but one that shows whether another page follows."""
    table = Table(_324={20171004: 1})
    read_page(["324"], wanted, table.read)

    assert [("324", reading)] == table.calls[0]


def test_several_events_share_the_rows_of_a_page() -> None:
    """Without gaps each event needs its part of the rows; with gaps one event may need them all."""
    table = Table()
    read_page(["1", "2"], Selection(20171001, fill=True, limit=7), table.read)
    read_page(["1", "2"], Selection(limit=7), table.read)
    read_page(["1", "2"], Selection(20171001, fill=True, limit=7, wide=True), table.read)

    assert [
        [("1", Reading(20171001, limit=4)), ("2", Reading(20171001, limit=4))],
        [("1", Reading(limit=8)), ("2", Reading(limit=8))],
        [("1", Reading(20171001, limit=8)), ("2", Reading(20171001, limit=8))],
    ] == table.calls


def test_a_comparison_is_read_together_with_the_range() -> None:
    """One call has both ranges of all events; gaps of both are looked up in one more."""
    table = Table(_1={20171005: 3}, _2={20171002: 4}, all={20171005: 3, 20171002: 4})
    page = read_page(["1", "2"], Selection(20171004, 20171005, fill=True, compare="previous"), table.read)

    now, earlier = Reading(20171004, 20171005), Reading(20171002, 20171003)
    assert [
        [("1", now), ("2", now), ("1", earlier), ("2", earlier)],
        [("all", now), ("all", earlier)],
    ] == table.calls
    assert {"1": {20171004: None, 20171005: 3}, "2": {20171004: None, 20171005: 0}} == page.rows
    assert {"1": {20171004: 0, 20171005: None}, "2": {20171004: 4, 20171005: None}} == page.previous


def test_where_there_is_no_gap_nothing_more_is_read() -> None:
    """An interval with visits needs no look at `all`, whatever its other days are."""
    table = Table(_324={20171002: 5, 20171003: 1})

    assert {20171002: 5, 20171003: 1} == rows(table, Selection(fill=True))
    assert {20171001: 6} == rows(table, Selection(20171001, 20171004, fill=True, interval=MONTH))
    assert 2 == len(table.calls)


def test_the_days_of_all_say_themselves_which_were_loaded() -> None:
    """`all` among the events is not read again; it has no row of 0 but what it holds."""
    table = Table(_324={20171002: 5}, all={20171002: 9, 20171003: 0})
    page = read_page(["324", "all"], Selection(20171001, 20171003, fill=True), table.read)

    assert {20171001: None, 20171002: 5, 20171003: 0} == page.rows["324"]
    assert {20171001: None, 20171002: 9, 20171003: 0} == page.rows["all"]
    assert 1 == len(table.calls)


@pytest.mark.parametrize("event", ["324", "all"])
@pytest.mark.parametrize(("every", "expected"), [({20180101: 1}, None), ({}, 0)])
def test_where_all_has_no_day_of_the_range_one_more_tells_whether_it_has_any(
    event: str, every: Mapping[int, int], expected: int | None
) -> None:
    """A row is None where other days were loaded, and 0 where nothing ever was."""
    table = Table(all=every)

    assert {20171001: expected, 20171002: expected} == rows(table, Selection(20171001, 20171002, fill=True), event)
    assert [("all", Reading(limit=1))] == table.calls[-1]
    assert len(table.calls) == (2 if event == "all" else 3)


def test_a_total_asks_all_for_one_day() -> None:
    """One loaded day is enough for a 0."""
    table = Table(all={20171003: 4})

    assert {20171001: 0} == rows(table, Selection(20171001, 20171031, fill=True, interval=TOTAL))
    assert [("all", Reading(20171001, 20171031, limit=1))] == table.calls[-1]


def test_a_row_of_a_day_that_was_taken_back_is_none() -> None:
    """An item of 0 is what a file leaves behind that was taken back; where the day stands, it is 0 visits."""
    table = Table(_324={20171001: 0, 20171002: 0}, all={20171002: 7})

    assert {20171001: None, 20171002: 0} == rows(table, Selection(20171001, 20171002, fill=True))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Selection(20171001, interval=TOTAL), {20171001: 9}),
        (Selection(interval=TOTAL), {20171003: 9}),
        (Selection(interval=TOTAL, descending=True), {20171003: 9}),
        (Selection(20171001, 20171231, fill=True, interval=TOTAL), {20171001: 9}),
        (Selection(None, 20171231, fill=True, interval=TOTAL), {20171003: 9}),
        (Selection(None, 20171231, fill=True, interval=TOTAL, descending=True), {20171003: 9}),
    ],
)
def test_a_total_bears_the_ranges_first_day_or_the_first_with_a_count(wanted: Selection, expected: Rows) -> None:
    """A total is one row, whatever the order."""
    page = read_page(["324"], wanted, Table(_324={20171003: 4, 20171005: 5}).read)

    assert ({"324": expected}, None) == (page.rows, page.more)


def test_totals_of_several_events_bear_the_same_day() -> None:
    """It is the first day with a count of any of them; an event without a count has no row."""
    table = Table(_1={20171003: 4}, _2={20171001: 1}, _3={})

    assert Page({"1": {20171001: 4}, "2": {20171001: 1}}, [20171001]) == read_page(
        ["1", "2", "3"], Selection(interval=TOTAL), table.read
    )


def test_a_range_of_all_time_ends_with_its_page() -> None:
    """Of all time a page has the first ten thousand days, and the next begins where they end."""
    page = read_page(["324"], Selection(FIRST, LAST, fill=True), Table(_324={10102: 3}, all={10102: 3}).read)

    assert 10_000 == len(page.rows["324"])
    assert [(10101, None), (10102, 3), (10103, None)] == list(page.rows["324"].items())[:3]
    assert Selection(280519, LAST, fill=True) == page.more


@pytest.mark.parametrize(
    ("interval", "expected"), [(DAY, 3_652_059), (WEEK, 521_723), (MONTH, 119_988), (QUARTER, 39_996), (YEAR, 9_999)]
)
def test_the_calendar_is_walked_from_end_to_end(interval: Interval, expected: int) -> None:
    """No interval is skipped or repeated, and none lies outside."""
    table = Table(all={LAST: 1})
    days: list[int] = []
    following: Selection | None = Selection(FIRST, LAST, fill=True, interval=interval)
    while following:
        page = read_page(["324"], following, table.read)
        days += page.days
        following = page.more

    assert expected == len(days) == len(set(days))
    assert days[0] == FIRST


@pytest.mark.parametrize(
    ("compare", "interval", "start", "end", "earlier"),
    [
        ("previous", DAY, 20171001, 20171030, (20170901, 20170930)),
        ("previous", WEEK, 20171004, 20171017, (20170911, 20171001)),
        ("previous", MONTH, 20171215, 20180103, (20171001, 20171130)),
        ("previous", QUARTER, 20180101, 20180101, (20171001, 20171231)),
        ("previous", YEAR, 20160229, 20171231, (20140101, 20151231)),
        ("previous", TOTAL, 20200301, 20200310, (20200220, 20200229)),
        ("year", DAY, 20200228, 20200301, (20190228, 20190301)),
        ("year", WEEK, 20201228, 20210110, (20191230, 20200112)),
        ("year", MONTH, 20200229, 20200301, (20190201, 20190331)),
        ("year", QUARTER, 20200229, 20200301, (20190101, 20190331)),
        ("year", YEAR, 20200229, 20200301, (20190101, 20191231)),
        ("year", TOTAL, 20200229, 20210228, (20190228, 20200228)),
        (7, DAY, 20171008, 20171009, (20171001, 20171002)),
        ("previous", DAY, FIRST + 2, FIRST + 4, (FIRST, FIRST + 1)),
        ("previous", TOTAL, FIRST + 2, FIRST + 4, (FIRST, FIRST + 1)),
    ],
)
def test_what_a_range_is_compared_with(
    compare: str | int, interval: Interval, start: int, end: int, earlier: tuple[int, int]
) -> None:
    """Intervals are whole, also where the range begins or ends within one; a total has as many days."""
    table = Table()
    selection = Selection(start, end, fill=True, interval=interval)._replace(compare=compare)  # type: ignore[arg-type]
    read_page(["324"], selection, table.read)

    assert [("324", Reading(start, end)), ("324", Reading(*earlier))] == table.calls[0]


@pytest.mark.parametrize("interval", Interval)
@pytest.mark.parametrize("compare", ["previous", "year"])
def test_nothing_is_compared_with_what_was_before_the_calendar(interval: Interval, compare: str) -> None:
    """There is no day to read, and no number to show, even where nothing was ever loaded."""
    table = Table()
    selection = Selection(FIRST, FIRST, fill=True, interval=interval)._replace(compare=compare)  # type: ignore[arg-type]
    page = read_page(["324"], selection, table.read)

    assert ({"324": {FIRST: 0}}, {"324": {FIRST: None}}) == (page.rows, page.previous)
    assert [("324", Reading(FIRST, FIRST))] == table.calls[0]


def test_a_next_page_is_compared_by_the_distance_of_the_whole_range() -> None:
    """The range of the next page is shorter, so `previous` becomes a number in it."""
    counts = {day: day % 100 for day in range(20171001, 20171013)}
    selection = Selection(20171007, 20171012, fill=True, compare="previous", limit=4)
    page = read_page(["1"], selection, Table(_1=counts).read)

    assert selection._replace(start=20171011, compare=6) == page.more
    assert page.more
    following = read_page(["1"], page.more, Table(_1=counts).read)
    assert {"1": {20171011: 5, 20171012: 6}} == following.previous


def test_the_newest_day_is_that_of_all() -> None:
    """A day of the future is none; where there is no `all`, the events' own days count."""
    counts = {20171003: 1, 20991231: 1}

    assert 20171005 == read_newest_day(["1"], 20171101, Table(all={20171005: 1, 20991231: 1}, _1=counts).read)
    assert 20171003 == read_newest_day(["1", "2"], 20171101, Table(_1=counts, _2={20171002: 3}).read)
    assert read_newest_day(["1"], 20171101, Table(_1={20991231: 1}).read) is None


def test_a_range_that_begins_after_its_end_is_not_read() -> None:
    """DynamoDB would refuse it; with `fill`, an open end is no later than tomorrow."""
    table = Table(_324={20991231: 5})

    assert Page({}) == read_page(["324"], Selection(20171003, fill=True, latest=20171002), table.read)
    assert [] == table.calls
    assert {20991231: 5} == rows(table, Selection(20171003, latest=20171002))
