"""Days and counts as they are read from a file's text."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from values import MAX_TEXT_LENGTH, THOUSANDS, count_reader, day_reader
from visits import MAX_COUNT, InvalidValue

BERLIN = ZoneInfo("Europe/Berlin")
"""Clocks go from 02:00 to 03:00 on 26 March 2017, and from 03:00 to 02:00 on 29 October 2017."""
BEIRUT = ZoneInfo("Asia/Beirut")
"""Clocks go from 00:00 to 01:00 on 26 March 2017, and from 00:00 to 23:00 at the end of 28 October 2017."""

NO_DATE = "is not a calendar date (YYYYMMDD)"
NO_TIME = "is not a date-time (ISO 8601)"
NO_ORDER = "may be day and month or month and day: the `dates` of a source says which"
NO_COUNT = "is not a whole number from 0 to 1,000,000,000,000"
NO_GROUPS = "may have thousands or a fraction: the `thousands` of a source says which"


def number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day


@given(st.dates(), st.sampled_from(["", "-", "/", "."]))
def test_a_date_begins_with_its_year_whatever_stands_between(day: date, between: str) -> None:
    """So there is one way to read it."""
    text = between.join([f"{day.year:04}", f"{day.month:02}", f"{day.day:02}"])

    assert number(day) == day_reader()(text)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2017-10-02T00:00:00", 20171002),
        ("2017-10-02T23:59:59.999999", 20171002),
        ("2017-10-02T23:59:59,123456789", 20171002),
        ("2017-10-02 12:00", 20171002),
        ("2017/10/02 12:00:00", 20171002),
        ("2017.10.02 9:05", 20171002),
        ("20171002T12", 20171002),
        ("20171002T120000Z", 20171002),
        ("2017-10-02t23:59:59z", 20171002),
        ("2017-10-02 23:59:59 UTC", 20171002),
        ("2017-10-02 23:59:59.5 UTC", 20171002),
        ("2017-10-02T01:59:59+02:00", 20171001),
        ("2017-10-02 01:59:59 +0200", 20171001),
        ("2017-10-02T02:00:00+02", 20171002),
        ("2017-10-02T21:59:59-0200", 20171002),
        ("2017-10-02T22:00:00-0200", 20171003),
        ("2018-01-01T00:30:00+01:00", 20171231),
        ("2017-12-31T23:30:00-01:00", 20180101),
        ("2016-03-01T00:30:00+01:00", 20160229),
        ("0001-01-01T01:00:00+01:00", 10101),
        ("9999-12-31T22:59:59-01:00", 99991231),
        ("2017-10-02T24:00", 20171003),
        ("2017-10-02 24:00:00", 20171003),
        ("2017-12-31T24:00:00+01:00", 20171231),
        ("2016-12-31T23:59:60Z", 20161231),
        ("2017-01-01T08:59:60+09:00", 20161231),
    ],
)
def test_a_time_is_taken_as_its_utc_day(text: str, day: int) -> None:
    """As UTC where it names no offset; 24:00 is the next day's begin, a leap second is of the minute before."""
    assert day == day_reader()(text)


@given(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),  # noqa: DTZ001 - the offset is given as text
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_an_offset_is_taken_off_before_the_day_is(moment: datetime, offset_minutes: int) -> None:
    """For every moment of the calendar and every offset that ISO 8601 can write."""
    hours, minutes = divmod(abs(offset_minutes), 60)
    text = f"{moment.isoformat()}{'-' if offset_minutes < 0 else '+'}{hours:02}:{minutes:02}"

    assert number(moment - timedelta(minutes=offset_minutes)) == day_reader()(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        *((text, NO_DATE) for text in (
            "", "abc", "20171399", "20170229", "00000101", "2017-1002", "201710-02", "2017-10.02", "2017102",
            "020171002", " 20171002", "20171002\n", "+2017100", "2017-W40-1", "2017-W40-1T12:00", "1506900000", "1e7",
            "\uff12\uff10\uff11\uff17\uff11\uff10\uff10\uff12", "1" * 100_000,
        )),
        *((text, NO_TIME) for text in (
            "2017-10-02T", "20171002T", "2017-10-02 ", "2017-10-02Tx", "2017-02-29T00:00:00Z",
            "2017-10-02T25:00", "2017-10-02T12:60", "2017-10-02T12:00:61", "2017-10-02T12:00:60", "2017-10-02T24:01",
            "2017-10-02T24:00:01", "2017-10-02T12:00:00+24:00", "2017-10-02T12:00:00+02:60", "2017-10-02T12:00\n",
            "2017-10-02T12:00 PST", "2017-10-02T\uff11\uff12:00", "0001-01-01T00:59:59+01:00",
            "9999-12-31T23:00:00-01:00", "9999-12-31T24:00", "0000-01-01T00:00", f"2017-10-02T12:00:00.{'0' * 60_000}Z",
        )),
        *((text, NO_ORDER) for text in (
            "03/04/2017", "3/4/2017", "03.04.2017", "03-04-17", "31/12/2017", "03/04/2017 12:00",
        )),
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_what_is_no_day_is_refused_with_the_value_and_the_rule(text: str, rule: str) -> None:
    """The rule says what would help, where something would."""
    with pytest.raises(InvalidValue) as raised:
        day_reader()(text)

    assert (text, rule) == (raised.value.value, raised.value.rule)


@pytest.mark.parametrize(
    ("pattern", "text", "day"),
    [
        ("DD.MM.YYYY", "02.10.2017", 20171002),
        ("DD.MM.YYYY", "2.10.2017", 20171002),
        ("DD.MM.YYYY", "02.10.2017 23:59", 20171002),
        ("DD.MM.YYYY", "02.10.2017 00:30 +0100", 20171001),
        ("MM/DD/YYYY", "10/2/2017", 20171002),
        ("MM/DD/YYYY", "1/12/2017 9:05", 20170112),
        ("DDMMYYYY", "02102017", 20171002),
        ("YYYY-DD-MM", "2017-02-10", 20171002),
        ("YYYYDDMM", "20170210", 20171002),
        ("YYYY年MM月DD日", "2017年10月2日", 20171002),
        ("DD de MM de YYYY", "02 de 10 de 2017", 20171002),
        ("(DD+MM*YYYY)", "(02+10*2017)", 20171002),
    ],
)
def test_a_pattern_says_what_a_date_looks_like(pattern: str, text: str, day: int) -> None:
    """What stands between means nothing else; a time may follow."""
    assert day == day_reader(pattern)(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("DD.MM.YYYY", "20171002"),
        ("DD.MM.YYYY", "02-10-2017"),
        ("DD.MM.YYYY", "02x10x2017"),
        ("DD.MM.YYYY", "31.04.2017"),
        ("DD.MM.YYYY", "02.10.17"),
        ("DDMMYYYY", "2102017"),
        ("DDMM.YYYY", "210.2017"),
        ("DD.MM.YYYY", "02.10.2017 25:00"),
    ],
)
def test_where_there_is_a_pattern_no_other_date_is_read(pattern: str, text: str) -> None:
    """A file with two ways to write a date may have two orders, too."""
    with pytest.raises(InvalidValue) as raised:
        day_reader(pattern)(text)

    assert f"is not a date of the form {pattern}" == raised.value.rule


@pytest.mark.parametrize(
    ("pattern", "rule"),
    [
        ("DD.MM", "does not have each of DD, MM and YYYY once"),
        ("dd.mm.yyyy", "does not have each of DD, MM and YYYY once"),
        ("DD.MM.YYYY.DD", "does not have each of DD, MM and YYYY once"),
        ("DD.MM.YY", "does not have each of DD, MM and YYYY once"),
        ("DDD.MM.YYYY", "has more than DD, MM, YYYY and what stands between them"),
        ("DD.MM.20YYYY", "has more than DD, MM, YYYY and what stands between them"),
    ],
)
def test_a_pattern_that_is_none_is_refused(pattern: str, rule: str) -> None:
    """Before any file is read."""
    with pytest.raises(InvalidValue) as raised:
        day_reader(pattern)

    assert f"{pattern!r} {rule}" == str(raised.value)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2017-07-01T00:00", 20170630),
        ("2017-07-01T02:00", 20170701),
        ("2017-01-01T00:59", 20161231),
        ("2017-01-01T01:00", 20170101),
        ("2017-07-01", 20170701),
        ("2017-07-01T00:00Z", 20170701),
        ("2017-07-01T00:00-05:00", 20170701),
        ("2017-03-26T02:30", 20170326),  # does not exist
        ("2017-10-29T02:30", 20171029),  # exists twice
    ],
)
def test_a_time_without_an_offset_is_the_zones(text: str, day: int) -> None:
    """Days without a time stay as they are; where clocks change, either reading is of the same day."""
    assert day == day_reader(zone=BERLIN)(text)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2037, 1, 1)))  # noqa: DTZ001 - it is the zone's
def test_a_zones_time_is_of_the_day_that_zoneinfo_says(local: datetime) -> None:
    """Or, where its two readings differ, of none."""
    days = {number(local.replace(tzinfo=BEIRUT, fold=fold).astimezone(UTC)) for fold in (0, 1)}
    try:
        assert {day_reader(zone=BEIRUT)(local.isoformat(timespec="seconds"))} == days
    except InvalidValue:
        assert len(days) == 2


@pytest.mark.parametrize(
    ("text", "zone", "how"),
    [
        ("2005-04-01 02:30", "Asia/Jerusalem", "does not exist"),
        ("2011-12-30 12:00", "Pacific/Apia", "does not exist"),
        ("2012-11-10 01:30", "Africa/Tripoli", "exists twice"),
    ],
)
def test_a_time_that_may_be_of_two_days_is_refused_and_explained(text: str, zone: str, how: str) -> None:
    """Which of them is not guessed."""
    with pytest.raises(InvalidValue) as raised:
        day_reader(zone=ZoneInfo(zone))(text)

    expected = (
        f"{how} in {zone}, where clocks change, and may be of either of two UTC days; with its offset it is of one"
    )
    assert expected == raised.value.rule


def test_the_same_text_is_read_once() -> None:
    """A file has far fewer days than rows."""
    read = day_reader()

    assert read("20171002") is read("20171002")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("7", 7),
        ("+007", 7),
        ("12.0", 12),
        ("12.00", 12),
        ("1000000000000", MAX_COUNT),
        ("1000000000000.0", MAX_COUNT),
        ("0" * 63 + "7", 7),
    ],
)
def test_a_count_is_a_whole_number(text: str, count: int) -> None:
    """Perhaps with a fraction of nothing, as programs write it where a column has gaps."""
    assert count == count_reader()(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        *((text, NO_COUNT) for text in (
            "", "many", "-3", "1.5", "12.", ".0", "12.0000", "1e3", "1_000", "0x1", "1000000000001", "9" * 5000, "٣",
            "0" * 64 + "7", "1,2345", "12,34",
        )),
        *((text, NO_GROUPS) for text in (
            "1,234", "1.234", "12.000", "1.234.567", "1 234", "1\u202f234", "1'234", "1\u2019234",
        )),
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_what_is_no_count_is_refused_with_the_value_and_the_rule(text: str, rule: str) -> None:
    """What might be a thousand is never taken for one, nor for a fraction."""
    with pytest.raises(InvalidValue) as raised:
        count_reader()(text)

    assert (text, rule) == (raised.value.value, raised.value.rule)


@pytest.mark.parametrize(
    ("thousands", "text", "count"),
    [
        (".", "1.234", 1234),
        (".", "1.234.567", 1_234_567),
        (".", "12", 12),
        (".", "1234", 1234),
        (".", "1.234,0", 1234),
        (".", "12,0", 12),
        (",", "1,234", 1234),
        (",", "1,234.0", 1234),
        ("'", "1'234", 1234),
        ("'", "1\u2019234", 1234),
        (" ", "1 234", 1234),
        (" ", "1\u202f234", 1234),
        (" ", "1\u00a0234,0", 1234),
    ],
)
def test_thousands_are_left_out_of_a_count(thousands: str, text: str, count: int) -> None:
    """The other mark is the fraction's."""
    assert count == count_reader(thousands)(text)


@pytest.mark.parametrize(
    ("thousands", "text"),
    [(".", "1.23"), (".", "12.0"), (".", "1234.567"), (".", ".123"), (".", "1,234"), (",", "1.234"), (" ", "1.234")],
)
def test_thousands_are_groups_of_three(thousands: str, text: str) -> None:
    """Else `1.23` would be 123."""
    with pytest.raises(InvalidValue) as raised:
        count_reader(thousands)(text)

    assert NO_COUNT == raised.value.rule


@given(st.integers(0, MAX_COUNT), st.sampled_from(THOUSANDS))
def test_every_count_is_read_in_groups(count: int, thousands: str) -> None:
    """As a program writes it."""
    assert count == count_reader(thousands)(f"{count:,}".replace(",", thousands))


def test_no_value_is_longer_than_makes_sense() -> None:
    """Nothing longer is kept in memory to be known again."""
    assert 64 == MAX_TEXT_LENGTH
