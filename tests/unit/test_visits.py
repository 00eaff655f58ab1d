"""The vocabulary: ids, days, counts."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visits import (
    MAX_COUNT,
    InvalidValue,
    parse_correction,
    parse_count,
    parse_day,
    parse_event_id,
    parse_series_id,
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
    """`007` and `7` are two events; an id has at most 100 digits."""
    assert "007" == parse_event_id("007")
    assert parse_event_id("1" * 100) == "1" * 100
    with pytest.raises(InvalidValue, match=r"^'1{40}'… \(101 characters\) is longer than 100 digits$"):
        parse_event_id("1" * 101)


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
