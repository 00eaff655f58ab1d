"""Visits by event and day, added up from texts."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING

from columns import COUNT, DAY, EVENT
from lines import BadFile, Limits
from values import MAX_TEXT_LENGTH
from visits import InvalidValue, parse_event_id

if TYPE_CHECKING:
    from sources import Settings

_MAX_CACHED = 50_000
"""Texts: a few MB, as each is short."""


_BLANKS = " \t\u00a0\u2007\u202f\u3000\ufeff"
"""What may stand around a value; no line end, which only a quote holds there."""


class BadRow(ValueError):
    """A row that breaks a rule; `rule` says so without the row's own values, the message with them."""

    def __init__(self, rule: str, message: str | None = None) -> None:
        super().__init__(message or rule)
        self.rule = rule


class Tally:
    """What a file's rows add up to: `counts` by (event id, day), complete once `close` was called.

    Rows repeat. A pair of texts that was valid once, and a count, need not be read again: whoever reads rows may add
    to `sums` himself, what `visits` says, as long as both have the texts.
    """

    def __init__(self, settings: Settings, limits: Limits, last_day: int) -> None:
        """Take days as far as `last_day` (`YYYYMMDD`)."""
        self.counts: dict[tuple[str, int], int] = {}
        self.sums: dict[Hashable, int] = {}
        """Visits by texts (of event and day, or of what stands for both), besides those in `counts`."""
        self.visits: dict[str, int] = {}
        """Counts by their texts."""
        self._keys: dict[Hashable, tuple[str, int]] = {}
        self._settings = settings
        self._limits = limits
        self._last_day = last_day

    def add(self, texts: Hashable, event_text: str, day_text: str, count_text: str) -> None:
        """Add one row's visits, and know its texts from now on. Raises BadRow, and BadFile for too many pairs."""
        if texts in self.sums and count_text in self.visits:
            self.sums[texts] += self.visits[count_text]
            return
        key = self._parsed(EVENT, parse_event_id, event_text), self._day(day_text)
        visits = self._count(count_text)
        self._add(key, visits)
        if len(event_text) + len(day_text) <= 2 * MAX_TEXT_LENGTH and len(self._keys) < _MAX_CACHED:
            self._keys[texts] = key
            self.sums.setdefault(texts, 0)

    def add_counters(self, day_text: str, counters: Iterable[tuple[str, str]]) -> None:
        """Add a row that has a count for each of several events, all or none; an empty one is no count."""
        day = self._day(day_text)
        counted = [(event_id, self._count(text, event_id)) for event_id, text in counters if text.strip(_BLANKS)]
        if not counted:
            raise BadRow("has no count in any column of an event")
        for event_id, visits in counted:
            self._add((event_id, day), visits)

    def close(self) -> None:
        """Bring `counts` up to date."""
        for texts, visits in self.sums.items():
            self.counts[self._keys[texts]] += visits
            self.sums[texts] = 0

    def _add(self, key: tuple[str, int], visits: int) -> None:
        self.counts[key] = self.counts.get(key, 0) + visits
        if len(self.counts) > self._limits.max_pairs:
            raise BadFile(f"has more than {self._limits.max_pairs:,} different pairs of event and day")

    def _day(self, text: str) -> int:
        day = self._parsed(DAY, self._settings.read_day, text)
        if day > self._last_day:
            raise BadRow(f"{DAY} is later than {self._last_day}", f"{DAY} {day} is later than {self._last_day}")
        return day

    def _count(self, text: str, event_id: str = "") -> int:
        visits = self.visits.get(text)
        if visits is None:
            name = f"{COUNT} of event {event_id}" if event_id else COUNT
            visits = self._parsed(name, self._settings.read_count, text)
            if len(text) <= MAX_TEXT_LENGTH and len(self.visits) < _MAX_CACHED:
                self.visits[text] = visits
        return visits

    @staticmethod
    def _parsed[T](name: str, parse: Callable[[str], T], text: str) -> T:
        try:
            return parse(text.strip(_BLANKS))
        except InvalidValue as error:
            raise BadRow(f"{name} {error.rule}", f"{name} {error}") from error
