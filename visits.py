"""The service's vocabulary: what an event's id, a day and a count are, and how each is read from text and written."""

import re
from datetime import date
from functools import lru_cache
from typing import NamedTuple

ALL_EVENTS = "all"
"""The reserved event: for each day, the sum over all events."""

MAX_EVENT_ID_LENGTH = 100
"""Digits. DynamoDB takes 2,048, of which an answer of 10,000 rows would be larger than Lambda may send."""

MAX_COUNT = 10**12
"""Of one row or correction. DynamoDB keeps sums exact to 38 digits, JavaScript reads them exactly to 2**53."""

CSV_HEADER = "EventId,EventDay,EventCount"

_SHOWN_CHARACTERS = 40

# Compiled when first used: a cold start need not wait for those that its request has no use for.
_DAY = r"([0-9]{4})(-?)([0-9]{2})\2([0-9]{2})"
_WHOLE_NUMBER = r"[+-]?0{0,99}[0-9]{1,13}"


class DayCount(NamedTuple):
    """The visits of one event on one day (`YYYYMMDD`, UTC)."""

    event_id: str
    day: int
    visits: int | float


class InvalidValue(ValueError):
    """A text that breaks a rule: the message names both, without echoing more than its beginning."""

    def __init__(self, value: str, rule: str) -> None:
        shown = repr(value)
        if len(value) > _SHOWN_CHARACTERS:
            shown = f"{value[:_SHOWN_CHARACTERS]!r}… ({len(value):,} characters)"
        super().__init__(f"{shown} {rule}")
        self.value = value
        self.rule = rule


def parse_event_id(text: str) -> str:
    """Return `text` if it can be an event's id: ASCII digits, kept as they are (`007` is not `7`).

    Raises InvalidValue for anything else, the reserved `all` included.
    """
    if not _is_digits(text):
        raise InvalidValue(text, "is not a number (ASCII digits)")
    if len(text) > MAX_EVENT_ID_LENGTH:
        raise InvalidValue(text, f"is longer than {MAX_EVENT_ID_LENGTH:,} digits")
    return text


def parse_series_id(text: str) -> str:
    """Return `text` if it names a series that can be read: an event's id or `all`; else raise InvalidValue."""
    if text == ALL_EVENTS:
        return text
    if not _is_digits(text):
        raise InvalidValue(text, f"is neither a number (ASCII digits) nor '{ALL_EVENTS}'")
    return parse_event_id(text)


@lru_cache(maxsize=4096)  # a file has far fewer days than rows
def parse_day(text: str) -> int:
    """Return the day as a number, 20171002 for `20171002` or `2017-10-02`.

    Raises InvalidValue unless the text is one of the two forms and the day exists in the proleptic Gregorian calendar
    (years 1 to 9999).
    """
    if match := re.fullmatch(_DAY, text):
        year, month, day = int(match[1]), int(match[3]), int(match[4])
        try:
            date(year, month, day)
        except ValueError:
            pass
        else:
            return year * 10_000 + month * 100 + day
    raise InvalidValue(text, "is not a calendar date (YYYYMMDD)")


def parse_count(text: str, minimum: int = 0) -> int:
    """Return a whole number from `minimum` to MAX_COUNT; else raise InvalidValue."""
    return parse_whole_number(text, minimum, MAX_COUNT)


def parse_correction(text: str) -> int:
    """Return a count that may be negative, to take visits away again."""
    return parse_count(text, -MAX_COUNT)


def parse_whole_number(text: str, minimum: int, maximum: int) -> int:
    """Return a whole number from `minimum` to `maximum`, of at most 13 digits; else raise InvalidValue."""
    if not re.fullmatch(_WHOLE_NUMBER, text) or not minimum <= (number := int(text)) <= maximum:
        raise InvalidValue(text, f"is not a whole number from {minimum:,} to {maximum:,}")
    return number


def parse_choice(text: str, *choices: str) -> str:
    """Return `text` if it is one of the choices, letter by letter; else raise InvalidValue."""
    if text not in choices:
        *others, last = choices
        raise InvalidValue(text, "is not " + " or ".join(filter(None, [", ".join(others), last])))
    return text


def shown(text: str) -> str:
    """Return `text` as it can be shown in a terminal, a log or a mail: characters that cannot be seen are escaped.

    Control characters would move a cursor, a line end would begin a line that somebody else wrote, and marks of
    direction turn what stands around them.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
