"""How a day and a count are read from a file's text: what is understood without being told, and what a source tells."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from visits import MAX_COUNT, InvalidValue

MAX_TEXT_LENGTH = 64
"""Characters of a day or a count; nothing longer is either."""

_DATE = r"(?P<YYYY>[0-9]{4})(?P<between>[-/.]?)(?P<MM>[0-9]{2})(?P=between)(?P<DD>[0-9]{2})"
_TIME = (
    r"(?P<hour>[0-9]{2}|[0-9](?=:))(?::?(?P<minute>[0-9]{2})(?::?(?P<second>[0-9]{2})(?:[.,][0-9]{1,9})?)?)?"
    r" ?(?P<offset>[Zz]|UTC|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?)?"
)
_STARTS_AS_DATE_TIME = re.compile(f"{_DATE}[Tt ]")
_ORDER_UNKNOWN = re.compile(r"[0-9]{1,2}([/.-])[0-9]{1,2}\1([0-9]{4}|[0-9]{2})(?![0-9])")

_GROUPS_UNKNOWN = re.compile(r"[0-9]{1,3}([,.' \u00a0\u202f\u2019])[0-9]{3}(\1[0-9]{3})*")
_SEPARATORS = {
    ".": ("[.]", ","),
    ",": (",", "[.]"),
    "'": ("['\u2019]", "[.]"),
    " ": ("[ \u00a0\u202f]", "[.,]"),
}
THOUSANDS = tuple(_SEPARATORS)
"""What may stand between groups of three digits. A blank stands for the unbreakable ones as well."""


def day_reader(pattern: str | None = None, zone: ZoneInfo | None = None) -> Callable[[str], int]:
    """Return a function that returns a text's UTC day as a number, `YYYYMMDD`, and raises InvalidValue.

    It reads a date, or a date with a time (ISO 8601). The date is YYYYMMDD, perhaps with `-`, `/` or `.` between, or
    what `pattern` says instead. The time is UTC, or the zone's, unless it names an offset. Raises InvalidValue itself
    for a pattern that is none.
    """
    date_form = _pattern_form(pattern) if pattern else _DATE
    form = re.compile(f"(?:{date_form})(?:[Tt ]{_TIME})?")

    @lru_cache(maxsize=4096)  # a file has far fewer days than rows
    def read(text: str) -> int:
        match = form.fullmatch(text) if len(text) <= MAX_TEXT_LENGTH else None
        if not match:
            raise InvalidValue(text, _why_no_day(text, pattern))
        try:
            day = date(int(match["YYYY"]), int(match["MM"]), int(match["DD"]))
            if match["hour"]:
                day = _utc_day(match, day, zone)
        except _TwoDays as error:
            raise InvalidValue(text, str(error)) from None
        except (ValueError, OverflowError):
            raise InvalidValue(text, _why_no_day(text, pattern)) from None
        return day.year * 10_000 + day.month * 100 + day.day

    return read


class _TwoDays(Exception):
    """A local time around a change of clocks, which may be of either of two UTC days."""


def _utc_day(match: re.Match[str], day: date, zone: ZoneInfo | None) -> date:
    hour, minute, second = int(match["hour"]), int(match["minute"] or 0), int(match["second"] or 0)
    if (minute, second) == (59, 60):
        second = 59  # a leap second is of the minute before
    local = datetime(day.year, day.month, day.day, 0 if hour == 24 else hour, minute, second)  # noqa: DTZ001 - its zone is found next
    if hour == 24:
        if minute or second:
            raise ValueError("24:00 is the end of a day, nothing after it")
        local += timedelta(days=1)
    if match["sign"]:
        hours, minutes = int(match["hours"]), int(match["minutes"] or 0)
        if hours > 23 or minutes > 59:
            raise ValueError("an offset is less than a day")
        offset = timedelta(hours=hours, minutes=minutes)
        return (local - offset if match["sign"] == "+" else local + offset).date()
    if match["offset"] or not zone:
        return local.date()
    # Where clocks change, a local time may be there twice or not at all. Either offset is tried: as a rule both come to
    # the same day, and then it does not matter which was meant.
    moments = [local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    days = {moment.date() for moment in moments}
    if len(days) > 1:
        exists = moments[0].astimezone(zone).replace(tzinfo=None) == local
        raise _TwoDays(
            f"{'exists twice' if exists else 'does not exist'} in {zone.key}, where clocks change, "
            "and may be of either of two UTC days; with its offset it is of one"
        )
    return days.pop()


def _why_no_day(text: str, pattern: str | None) -> str:
    if pattern:
        return f"is not a date of the form {pattern}"
    if _ORDER_UNKNOWN.match(text):
        return "may be day and month or month and day: the `dates` of a source says which"
    if _STARTS_AS_DATE_TIME.match(text):
        return "is not a date-time (ISO 8601)"
    return "is not a calendar date (YYYYMMDD)"


def _pattern_form(pattern: str) -> str:
    """Return a pattern (`DD.MM.YYYY`) as a regular expression, or raise InvalidValue."""
    literals, fields = re.split("YYYY|MM|DD", pattern), re.findall("YYYY|MM|DD", pattern)
    if sorted(fields) != ["DD", "MM", "YYYY"]:
        raise InvalidValue(pattern, "does not have each of DD, MM and YYYY once")
    if re.search("[0-9DMY]", "".join(literals)):
        raise InvalidValue(pattern, "has more than DD, MM, YYYY and what stands between them")
    form = re.escape(literals[0])
    for number, field in enumerate(fields):
        # Between marks, a day or a month may do without its zero.
        alone = (number == 0 or literals[number]) and (number == 2 or literals[number + 1])
        width = "{4}" if field == "YYYY" else "{1,2}" if alone else "{2}"
        form += f"(?P<{field}>[0-9]{width}){re.escape(literals[number + 1])}"
    return form


def count_reader(thousands: str | None = None) -> Callable[[str], int]:
    """Return a function that returns a whole number from 0 to MAX_COUNT, and raises InvalidValue.

    It may be written with a fraction of one or two zeros (`12.0`), as programs do where a column has gaps; and in
    groups of three digits with `thousands` (one of THOUSANDS) between.
    """
    between, point = _SEPARATORS[thousands] if thousands else ("", "[.]")
    grouped = f"|[0-9]{{1,3}}(?:{between}[0-9]{{3}})+" if thousands else ""
    form = re.compile(rf"\+?([0-9]+{grouped})(?:{point}0{{1,2}})?")

    def read(text: str) -> int:
        match = form.fullmatch(text) if len(text) <= MAX_TEXT_LENGTH else None
        if match and (count := int(re.sub("[^0-9]", "", match[1]))) <= MAX_COUNT:
            return count
        if not thousands and _GROUPS_UNKNOWN.fullmatch(text):
            raise InvalidValue(text, "may have thousands or a fraction: the `thousands` of a source says which")
        raise InvalidValue(text, f"is not a whole number from 0 to {MAX_COUNT:,}")

    return read
