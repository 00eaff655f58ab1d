"""Which column, or member of a JSON object, is which field of a visit: by its name, however that is spelled."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from operator import itemgetter
from unicodedata import category

from visits import CSV_HEADER, shown

EVENT, DAY, COUNT = FIELDS = tuple(CSV_HEADER.split(","))

_WITHOUT_MEANING = "_-'\"`"
"""Characters that make no difference in a name; blanks and invisible ones make none either."""
_NEARLY = 0.85
"""Of difflib's ratio: `EventCounts`, `EvntCount` and `Event_Cnt` are over it, `EventCost` and `EventCode` are not."""
_MAX_NAME_LENGTH = 20
"""Of a name that is compared for being nearly another: comparing takes longer than its length."""
_SHOWN_NAMES = 12
_SHOWN_LENGTH = 40


class NoColumns(ValueError):
    """Names that do not say what is what; the message says which rule the header, or the object, breaks."""


class MissingColumns(NoColumns):
    """Names that must be there are not."""


class Columns:
    """Where in a row of `width` values each field is.

    Without `event`, all rows are of one event; without `count`, each row is one visit. `counters` are columns of
    counts, each with its event's id.
    """

    def __init__(
        self,
        width: int,
        day: int,
        event: int | None = None,
        count: int | None = None,
        counters: Sequence[tuple[str, int]] = (),
    ) -> None:
        self.width = width
        self.day = day
        self.event = event
        self.count = count
        self.counters = counters
        self.row_is_visit = count is None and not counters
        self.last_is_read = width - 1 in (day, event, count, *(position for _, position in counters)) and width > 1
        self.texts_of: Callable[[Sequence[str]], Hashable] = (
            itemgetter(day) if event is None else itemgetter(event, day)
        )
        """Picks from a row what says event and day."""
        self.count_of: Callable[[Sequence[str]], str] = (lambda _: "1") if count is None else itemgetter(count)
        """Picks from a row what says the count."""

    def fields(self) -> Iterator[tuple[str, int]]:
        """Yield the name and the position of all that is read of a row."""
        yield DAY, self.day
        if self.event is not None:
            yield EVENT, self.event
        if self.count is not None:
            yield COUNT, self.count
        for event, position in self.counters:
            yield f"{COUNT} of event {event}", position


class Names:
    """The names to look for, as a source tells them or as they are by themselves."""

    def __init__(
        self,
        columns: Mapping[str, str] | None = None,
        event: str | None = None,
        events: Mapping[str, str] | None = None,
    ) -> None:
        """Take a source's settings: a field's column, the event of all rows, the events of columns."""
        self.columns = columns or {}
        self.event = event
        self._events = events or {}
        fields = (DAY,) if events else FIELDS
        self._roles = {plain_name(self.columns.get(field, field)): field for field in fields}
        self._roles |= {plain_name(name): name for name in self._events}
        wanted = {DAY, *self.columns, *self._events} | (set() if event or events else {EVENT})
        self._required = [role for role in self._roles.values() if role in wanted]

    def find(self, names: Sequence[str]) -> Columns:
        """Return which of the names is what, or raise NoColumns."""
        found: dict[str, int] = {}
        for position, name in enumerate(names):
            if role := self._roles.get(plain_name(name)):
                if role in found:
                    raise NoColumns(f"has {self._called(role)} twice")
                found[role] = position
        if missing := [role for role in self._required if role not in found]:
            raise MissingColumns(f"has no {' and no '.join(map(self._called, missing))}")
        if self.event and EVENT in found:
            raise NoColumns(f"has {EVENT}, but its source says that every row is of event {self.event}")
        if COUNT in self._roles.values() and COUNT not in found and (near := self._nearly_count(names)):
            raise NoColumns(f"has {near}, which is nearly {COUNT}: rename it")
        counters = tuple((event_id, found[name]) for name, event_id in self._events.items())
        return Columns(len(names), found[DAY], found.get(EVENT), found.get(COUNT), counters)

    def found_instead(self, names: Sequence[str]) -> str:
        """Return, for people, what names there are, and what would help; nothing of what looks like a row's values."""
        plain = {plain_name(name) for name in names}
        if any(_looks_like_data(name) for name in names):
            return "its first line looks like a row, not like a header"
        listed = ", ".join(_quoted(name) for name in names[:_SHOWN_NAMES])
        more = f" and {len(names) - _SHOWN_NAMES:,} more" if len(names) > _SHOWN_NAMES else ""
        if {"year", "month"} <= plain:
            help_ = "a day in several columns is not supported: it must be in one"
        else:
            help_ = "the `columns` of a source say what other names mean"
        return f"there is {listed}{more}; {help_}"

    def _called(self, role: str) -> str:
        """Return a role as people know it: by the name that its column must have."""
        if role in FIELDS and role not in self.columns:
            return role
        name = _quoted(self.columns.get(role, role))
        return f"{name} ({role})" if role in FIELDS else name

    def _nearly_count(self, names: Sequence[str]) -> str | None:
        for name in names:
            plain = plain_name(name)
            if len(plain) <= _MAX_NAME_LENGTH and get_close_matches(plain, [plain_name(COUNT)], cutoff=_NEARLY):
                return _quoted(name)
        return None


def plain_name(name: str) -> str:
    """Return what all spellings of a name have in common."""
    if name.isascii() and name.isalnum():
        return name.lower()
    return "".join(
        character
        for character in name.casefold()
        if not (character.isspace() or character in _WITHOUT_MEANING or category(character) == "Cf")
    )


def _looks_like_data(name: str) -> bool:
    """Return whether it is a number, a time or an address: what a row has and a header has not."""
    return "@" in name or re.fullmatch(r"[TZUC\s.,:;|/+-]*[0-9][0-9TZUC\s.,:;|/+-]*", name) is not None


def _quoted(name: str) -> str:
    return f"'{shown(name if len(name) <= _SHOWN_LENGTH else f'{name[:_SHOWN_LENGTH]}…')}'"
