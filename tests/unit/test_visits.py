"""The vocabulary: ids, days, counts."""

import json
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visits import (
    MAX_COUNT,
    InvalidValue,
    parse_correction,
    parse_count,
    parse_day,
    parse_day_or_time,
    parse_event_id,
    parse_series_id,
    to_csv,
    to_json,
)

days = st.dates().map(lambda day: day.year * 10_000 + day.month * 100 + day.day)
visits = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dates())
def test_every_calendar_day_is_read_in_both_forms(day: date) -> None:
    """`YYYYMMDD` and `YYYY-MM-DD` give the same number."""
    basic = f"{day.year:04}{day.month:02}{day.day:02}"

    assert int(basic) == parse_day(basic) == parse_day(day.isoformat())


@pytest.mark.parametrize(
    "text",
    [
        "", "abc", "20171399", "20170229", "00000101", "2017-1002", "201710-02", "2017102", "020171002", " 20171002",
        "20171002 ", "20171002\n", "+2017100",
        "\uff12\uff10\uff11\uff17\uff11\uff10\uff10\uff12", "2017-W40-1", "2017W401", "2017-10-02T00:00", "1e7",
    ],
)  # fmt: skip
def test_what_is_no_day_is_refused_with_the_value_and_the_rule(text: str) -> None:
    """Neither another notation nor a day that does not exist passes."""
    with pytest.raises(InvalidValue) as raised:
        parse_day(text)

    assert f"{text!r} is not a calendar date (YYYYMMDD)" == str(raised.value)


def test_leap_day_exists_in_leap_years_only() -> None:
    """1900 was no leap year, 2000 was."""
    assert 20000229 == parse_day("20000229")
    with pytest.raises(InvalidValue):
        parse_day("19000229")


@pytest.mark.parametrize("text", ["20171002", "2017-10-02"])
def test_a_day_is_read_where_a_time_may_stand(text: str) -> None:
    """Both forms of a day, as `parse_day` reads them."""
    assert 20171002 == parse_day_or_time(text)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2017-10-02T00:00:00", 20171002),
        ("2017-10-02T23:59:59.999999", 20171002),
        ("2017-10-02 12:00", 20171002),
        ("20171002T120000Z", 20171002),
        ("2017-10-02T23:59:59Z", 20171002),
        ("2017-10-02T01:59:59+02:00", 20171001),
        ("2017-10-02T02:00:00+02:00", 20171002),
        ("2017-10-02T21:59:59-0200", 20171002),
        ("2017-10-02T22:00:00-0200", 20171003),
        ("2018-01-01T00:30:00+01:00", 20171231),
        ("2017-12-31T23:30:00-01:00", 20180101),
        ("2016-03-01T00:30:00+01:00", 20160229),
        ("0001-01-01T01:00:00+01:00", 10101),
        ("9999-12-31T22:59:59-01:00", 99991231),
    ],
)
def test_a_time_is_taken_as_its_utc_day(text: str, day: int) -> None:
    """Over midnight, a month's and a year's end; as UTC where no offset is named."""
    assert day == parse_day_or_time(text)


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001 - the offset is given as text
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_an_offset_is_taken_off_before_the_day_is(moment: datetime, offset_minutes: int) -> None:
    """For every moment of the calendar and every offset that ISO 8601 can write."""
    hours, minutes = divmod(abs(offset_minutes), 60)
    text = f"{moment.isoformat()}{'-' if offset_minutes < 0 else '+'}{hours:02}:{minutes:02}"
    expected = moment - timedelta(minutes=offset_minutes)

    assert expected.year * 10_000 + expected.month * 100 + expected.day == parse_day_or_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "2017-10-02T", "20171002T", "2017-10-02 ", "2017-10-02Tx", "2017-13-01T00:00", "2017-02-29T00:00:00Z",
        "2017-10-02T25:00", "2017-10-02T12:60", "2017-10-02T12:00:00+24:00", "2017-10-02T12:00\n",
        "2017-10-02T\uff11\uff12:00", "0001-01-01T00:59:59+01:00", "9999-12-31T23:00:00-01:00", "0000-01-01T00:00",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_the_value_and_the_rule(text: str) -> None:
    """A moment whose UTC day lies outside of the years 1 to 9999 as well."""
    with pytest.raises(InvalidValue) as raised:
        parse_day_or_time(text)

    assert f"{text!r} is not a date-time (ISO 8601)" == str(raised.value)


@pytest.mark.parametrize(
    "text", ["", "abc", "20171399", "2017-1002", "2017-W40-1T12:00", " 2017-10-02T12:00", "1506900000"]
)
def test_what_is_neither_day_nor_time_is_refused_as_a_day(text: str) -> None:
    """Seconds since 1970 included."""
    with pytest.raises(InvalidValue) as raised:
        parse_day_or_time(text)

    assert f"{text!r} is not a calendar date (YYYYMMDD)" == str(raised.value)


@pytest.mark.parametrize("text", ["", "abc", "²", "٣", "-1", "3.0", " 324", "324\n", "3_2", "ALL"])
def test_an_id_is_ascii_digits(text: str) -> None:
    """What `str.isdigit` alone or `int` would let through is refused."""
    with pytest.raises(InvalidValue, match="is not a number"):
        parse_event_id(text)
    with pytest.raises(InvalidValue, match=r"is neither a number .* nor 'all'"):
        parse_series_id(text)


def test_all_can_be_read_but_is_no_event() -> None:
    """The reserved series is written by the service alone."""
    assert "all" == parse_series_id("all")
    with pytest.raises(InvalidValue):
        parse_event_id("all")


def test_an_id_keeps_its_zeros_and_fits_a_partition_key() -> None:
    """`007` and `7` are two events; 2,048 bytes is what DynamoDB takes."""
    assert "007" == parse_event_id("007")
    assert parse_event_id("1" * 2048) == "1" * 2048
    with pytest.raises(InvalidValue, match=r"^'1{40}'… \(2,049 characters\) is longer than 2,048 digits$"):
        parse_event_id("1" * 2049)


@given(st.integers(-MAX_COUNT, MAX_COUNT))
def test_every_whole_number_up_to_the_limit_is_a_count(count: int) -> None:
    """Signs and leading zeros are tolerated; only a correction may be negative."""
    assert count == parse_correction(str(count)) == parse_correction(f"{count:+020}")
    if count >= 0:
        assert count == parse_count(str(count))
    else:
        with pytest.raises(InvalidValue, match=r"^'-\d+' is not a whole number from 0 to 1,000,000,000,000$"):
            parse_count(str(count))


@pytest.mark.parametrize(
    "text",
    ["", "1.0", "1e3", "x", "٣", "1_000", " 1", str(MAX_COUNT + 1), str(-MAX_COUNT - 1), "9" * 5000, "0" * 5000 + "1"],
)
def test_what_is_no_whole_number_or_too_large_is_refused(text: str) -> None:
    """Five thousand digits as well, which `int` would not even read."""
    with pytest.raises(InvalidValue, match=r" is not a whole number from -1,000,000,000,000 to 1,000,000,000,000$"):
        parse_correction(text)


@given(st.dictionaries(days, visits | st.none()))
def test_json_is_what_a_json_library_would_write(rows: dict[int, int | float | None]) -> None:
    """The keys stand in the contract's order; whole numbers are integers, fractions floats, None is null."""
    expected = [{"EventCount": count, "EventDay": day, "EventId": "324"} for day, count in rows.items()]

    assert json.dumps(expected) == json.dumps(json.loads(to_json("324", rows)))


def test_texts_have_a_row_a_line() -> None:
    """They are read by people too."""
    rows = {20171001: 3, 20171002: 2.5, 20171003: None, 20171004: 0}

    assert [
        "[",
        '{"EventCount": 3, "EventDay": 20171001, "EventId": "324"},',
        '{"EventCount": 2.5, "EventDay": 20171002, "EventId": "324"},',
        '{"EventCount": null, "EventDay": 20171003, "EventId": "324"},',
        '{"EventCount": 0, "EventDay": 20171004, "EventId": "324"}',
        "]",
    ] == to_json("324", rows).splitlines()
    assert [
        "EventId,EventDay,EventCount",
        "324,20171001,3",
        "324,20171002,2.5",
        "324,20171003,",
        "324,20171004,0",
    ] == to_csv("324", rows).splitlines()


def test_csv_has_every_day_in_the_form_in_which_it_is_read() -> None:
    """Eight digits, in the year 1 as well."""
    line = to_csv("007", {1_01_01: 3}).splitlines()[1]

    assert "007,00010101,3" == line
    assert 1_01_01 == parse_day(line.split(",")[1])


def test_no_rows_are_an_empty_array_and_a_bare_header() -> None:
    """An event nobody visited is no error."""
    assert "[]\n" == to_json("324", {})
    assert "EventId,EventDay,EventCount\n" == to_csv("324", {})
