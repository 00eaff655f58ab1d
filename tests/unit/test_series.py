"""The arithmetic of series, against a model that goes through the calendar day by day."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import batched

import pytest
from hypothesis import given
from hypothesis import strategies as st

from series import Count, Interval, Page, Reading, Rows, Selection
from visits import ALL_EVENTS

FIRST, LAST = 1_01_01, 9999_12_31
DAY, WEEK, MONTH, YEAR, TOTAL = Interval

WINDOWS = (date(1, 1, 1), date(2015, 12, 20), date(2020, 2, 20), date(9999, 6, 1))
"""Days from these on are tried: the calendar's ends, a year's end after 53 ISO weeks, a leap day."""

numbers = st.integers(0, 5) | st.sampled_from([0.5, 0.1, 0.2, 1e15 + 0.5, 10**20])
selections = st.builds(
    Selection,
    fill=st.booleans(),
    interval=st.sampled_from(Interval),
    descending=st.booleans(),
    limit=st.integers(1, 9) | st.just(10_000),
)


def number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


def calendar(first: int, last: int) -> Iterator[date]:
    """Yield every day from `first` to `last`."""
    day, end = (date(each // 10_000, each // 100 % 100, each % 100) for each in (first, last))
    yield from (date.fromordinal(ordinal) for ordinal in range(day.toordinal(), end.toordinal() + 1))


def bucket(interval: Interval, day: date) -> int:
    """Return the first day of the interval that `day` lies in."""
    match interval:
        case Interval.WEEK:
            return number(date.fromisocalendar(*day.isocalendar()[:2], 1))
        case Interval.MONTH:
            return number(day.replace(day=1))
        case Interval.YEAR:
            return number(day.replace(month=1, day=1))
        case _:
            return number(day)


def model(counts: Mapping[int, Count], loaded: set[int] | None, wanted: Selection) -> Rows:
    """Return every row of a series, in order, limits aside."""
    start, end = wanted.start, wanted.end
    days = [day for day in sorted(counts) if (start or FIRST) <= day <= (end or LAST)]
    if not days and not (wanted.fill and start and end):
        return {}
    first, last = start or days[0], end or days[-1]
    summands: dict[int, list[Count]] = {}
    known: set[int] = set()
    for day in calendar(first, last):
        row = first if wanted.interval is TOTAL else bucket(wanted.interval, day)
        if number(day) in counts:
            summands.setdefault(row, []).append(counts[number(day)])
        elif wanted.fill:
            summands.setdefault(row, [])
        if loaded is None or number(day) in loaded:
            known.add(row)
    rows = {row: math.fsum(each) if each else 0 if row in known else None for row, each in summands.items()}
    return {row: rows[row] for row in sorted(rows, reverse=wanted.descending)}


class Table:
    """Counts that are read as a `Reading` says, in parts, and how many were read."""

    def __init__(self, counts: Mapping[int, Count], loaded: set[int] | None = None) -> None:
        self.counts = {"324": counts, ALL_EVENTS: dict.fromkeys(loaded or (), 1)}
        self.days_read = 0

    def read(self, event_id: str, reading: Reading, part: int = 3) -> Iterator[dict[int, Count]]:
        counts = self.counts[event_id]
        days = [day for day in sorted(counts) if (reading.start or FIRST) <= day <= (reading.end or LAST)]
        if reading.descending:
            days.reverse()
        for some in batched(days[: reading.limit], part, strict=False):
            self.days_read += len(some)
            yield {day: counts[day] for day in some}


def answer(table: Table, wanted: Selection) -> Page:
    """Return the first page of event 324."""
    return wanted.first_page("324", table.read)


def same(expected: Rows, actual: Rows) -> bool:
    """Return whether rows are equal, in order, of the same JSON types; sums as close as floats can be."""
    return list(expected) == list(actual) and all(
        (ours is None) == (theirs is None)
        and (ours is None or theirs is None or math.isclose(ours, theirs, rel_tol=1e-15))
        and (not isinstance(theirs, float) or not theirs.is_integer())
        for ours, theirs in zip(expected.values(), actual.values(), strict=True)
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[int, Count], set[int] | None, Selection]:
    """A series, the days that are loaded (None = nothing ever was, by file), a selection of a small range."""
    base = draw(st.sampled_from(WINDOWS))
    days = st.integers(0, 200).map(lambda n: number(base + timedelta(n)))
    counts = draw(st.dictionaries(days, numbers, max_size=30))
    loaded = draw(st.none() | st.sets(days, min_size=1).map(lambda some: some | set(counts)))
    start, end = draw(st.none() | days), draw(st.none() | days)
    if start and end and end < start:
        start, end = end, start
    return counts, loaded, draw(selections)._replace(start=start, end=end)


@given(cases())
def test_following_the_pages_gives_the_whole_series_once(
    case: tuple[dict[int, Count], set[int] | None, Selection],
) -> None:
    """In both orders, of every interval, gaps or not; no page is larger than asked, none but the first is empty."""
    counts, loaded, wanted = case
    rows: dict[int, Count | None] = {}
    following: Selection | None = wanted
    while following:
        page = answer(Table(counts, loaded), following)
        assert len(page.rows) <= wanted.limit
        assert not rows.keys() & page.rows.keys()
        assert page.rows or not rows
        rows |= page.rows
        following = page.more

    assert same(model(counts, loaded, wanted), rows)


@given(cases())
def test_filled_and_unfilled_sums_agree(case: tuple[dict[int, Count], set[int] | None, Selection]) -> None:
    """A gap adds nothing, and every row without gaps is there with them."""
    counts, loaded, wanted = case
    wanted = wanted._replace(limit=10_000)
    plain = answer(Table(counts, loaded), wanted._replace(fill=False)).rows
    filled = answer(Table(counts, loaded), wanted._replace(fill=True)).rows

    assert plain == {day: visits for day, visits in filled.items() if day in plain}
    assert not any(visits for day, visits in filled.items() if day not in plain)


@given(cases())
def test_both_orders_have_the_same_rows(case: tuple[dict[int, Count], set[int] | None, Selection]) -> None:
    """To the last bit, fractions included."""
    counts, loaded, wanted = case
    wanted = wanted._replace(limit=10_000)
    upwards = answer(Table(counts, loaded), wanted._replace(descending=False)).rows
    downwards = answer(Table(counts, loaded), wanted._replace(descending=True)).rows

    assert list(upwards.items()) == list(downwards.items())[::-1]


@given(cases())
def test_no_more_is_read_than_the_page_can_need(case: tuple[dict[int, Count], set[int] | None, Selection]) -> None:
    """A day more than its intervals have tells whether another page follows."""
    counts, _, wanted = case
    most_days = {DAY: 1, WEEK: 7, MONTH: 31, YEAR: 366, TOTAL: len(counts)}[wanted.interval]
    table = Table(counts)
    wanted.page(table.read("324", wanted.reading(), part=1))

    assert table.days_read <= wanted.limit * most_days + 1


@pytest.mark.parametrize(
    ("wanted", "reading"),
    [
        (Selection(20171001, 20171031), Reading(20171001, 20171031, limit=10_001)),
        (Selection(limit=5), Reading(limit=6)),
        (Selection(limit=5, descending=True), Reading(descending=True, limit=6)),
        (Selection(interval=WEEK, limit=2), Reading(limit=15)),
        (Selection(interval=MONTH, limit=2), Reading(limit=63)),
        (Selection(interval=YEAR, limit=2), Reading(limit=733)),
        (Selection(20171001, interval=TOTAL, descending=True, limit=1), Reading(20171001)),
        (Selection(20171001, fill=True, limit=5), Reading(20171001, limit=6)),
        (Selection(20171001, 20171031, fill=True), Reading(20171001, 20171031)),
        (Selection(FIRST, LAST, fill=True), Reading(FIRST, 280518)),
        (Selection(FIRST, LAST, fill=True, descending=True), Reading(99720815, LAST, descending=True)),
        (Selection(20171004, 20180131, fill=True, interval=WEEK, limit=2), Reading(20171004, 20171015)),
        (Selection(20171004, 20180131, fill=True, interval=MONTH, limit=2), Reading(20171004, 20171130)),
        (
            Selection(20171004, 20180110, fill=True, interval=MONTH, limit=2, descending=True),
            Reading(20171201, 20180110, descending=True),
        ),
        (Selection(20171004, 20300131, fill=True, interval=YEAR, limit=2), Reading(20171004, 20181231)),
        (Selection(20171001, 20171031, fill=True, interval=TOTAL), Reading(20171001, 20171031)),
    ],
)
def test_what_is_read_is_bounded_by_range_order_and_limit(wanted: Selection, reading: Reading) -> None:
    """DynamoDB is asked for these, and cuts."""
    assert reading == wanted.reading()


@pytest.mark.parametrize(
    ("interval", "day", "row"),
    [
        (WEEK, 20180101, 20180101),
        (WEEK, 20171231, 20171225),
        (WEEK, 20200101, 20191230),
        (WEEK, 20210103, 20201228),
        (WEEK, 20200229, 20200224),
        (WEEK, 10107, 10101),
        (WEEK, 99991231, 99991227),
        (MONTH, 20200229, 20200201),
        (MONTH, 20171231, 20171201),
        (MONTH, 99991231, 99991201),
        (YEAR, 20200229, 20200101),
        (YEAR, 10101, 10101),
        (YEAR, 99991231, 99990101),
    ],
)
def test_a_row_bears_the_first_calendar_day_of_its_interval(interval: Interval, day: int, row: int) -> None:
    """Weeks are ISO 8601's; also where the range begins later."""
    assert {row: 3} == Selection(interval=interval).page([{day: 3}]).rows
    assert {row: 3} == Selection(day, day, fill=True, interval=interval).page([{day: 3}]).rows


@pytest.mark.parametrize(
    ("wanted", "rows"),
    [
        (Selection(20171001, interval=TOTAL), {20171001: 9}),
        (Selection(interval=TOTAL), {20171003: 9}),
        (Selection(interval=TOTAL, descending=True), {20171003: 9}),
        (Selection(20171001, 20171231, fill=True, interval=TOTAL), {20171001: 9}),
        (Selection(None, 20171231, fill=True, interval=TOTAL), {20171003: 9}),
    ],
)
def test_a_total_bears_the_ranges_first_day_or_the_first_with_a_count(wanted: Selection, rows: Rows) -> None:
    """It is one row, whatever the order."""
    assert Page(rows) == wanted.page([{20171003: 4}, {20171005: 5}])._replace(covered=None)


def test_whole_sums_of_fractions_are_integers() -> None:
    """As DynamoDB's numbers are, and rounded once: 0.1 ten times is 1."""
    (total,) = Selection(interval=TOTAL).page([{20170101 + n: 0.1 for n in range(10)}]).rows.values()

    assert (1, int) == (total, type(total))


def test_a_range_of_all_time_ends_with_its_page() -> None:
    """Ten thousand rows of the year 1 to 9999, and the next begins where they end."""
    page = Selection(FIRST, LAST, fill=True).page([{10102: 3}])

    assert 10_000 == len(page.rows)
    assert [(10101, None), (10102, 3), (10103, None)] == list(page.rows.items())[:3]
    assert (Selection(280519, LAST, fill=True), (FIRST, 280518)) == (page.more, page.covered)


@pytest.mark.parametrize(("interval", "rows"), [(DAY, 3_652_059), (WEEK, 521_723), (MONTH, 119_988), (YEAR, 9_999)])
def test_the_calendar_is_walked_from_end_to_end(interval: Interval, rows: int) -> None:
    """No interval of it is skipped or repeated, and none lies outside."""
    found = 0
    following: Selection | None = Selection(FIRST, LAST, fill=True, interval=interval)
    while following:
        page = following.page([])
        found += len(page.rows)
        last = next(reversed(page.rows))
        following = page.more

    assert rows == found
    assert bucket(interval, date(9999, 12, 31)) == last


def test_a_gap_is_zero_where_a_day_of_it_is_loaded() -> None:
    """And stays None where none is."""
    wanted = Selection(20171227, 20180115, fill=True, interval=WEEK)
    page = wanted.page([{20171230: 4}])
    assert {20171225: 4, 20180101: None, 20180108: None, 20180115: None} == page.rows

    assert {20171225: 4, 20180101: 0, 20180108: None, 20180115: 0} == page.zeroed(
        WEEK, [{20171230: 9, 20180107: 2}, {20180115: 1}]
    ).rows
    assert page.rows == page.zeroed(WEEK, []).rows
    assert {20171225: 4, 20180101: 0, 20180108: 0, 20180115: 0} == page.zeroed(WEEK, None).rows


def test_a_total_without_a_count_is_zero_where_a_day_of_it_is_loaded() -> None:
    """As every row."""
    page = Selection(20171001, 20171231, fill=True, interval=TOTAL).page([])

    assert {20171001: None} == page.rows == page.zeroed(TOTAL, [{}]).rows
    assert {20171001: 0} == page.zeroed(TOTAL, [{20171105: 2}]).rows == page.zeroed(TOTAL, None).rows
