"""Which rows of series are asked for: their days, and the intervals that they are compared with. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

from intervals import Interval, first_day, index_of, intervals_before, last_day, year_before

MAX_ROWS = 10_000
"""Rows of one answer: some 600 kB of JSON."""


class Selection(NamedTuple):
    """The rows that are asked for: of days from `start` to `end`, inclusive, None = open."""

    start: int | None = None
    end: int | None = None
    fill: bool = False
    """Whether every interval of the range has a row. An open end is the first or last day that has a count."""
    interval: Interval = Interval.DAY
    descending: bool = False
    limit: int = MAX_ROWS
    """Rows of a page, at least one for each event; where `wide`, days."""
    compare: Literal["previous", "year"] | int | None = None
    """What a row is compared with, which takes `fill` and both ends; a number: the row so many intervals before."""
    wide: bool = False
    """Whether all events of a day are in one row."""
    latest: int | None = None
    """With `fill`, the last day that an open end can be."""

    def ending(self, newest: int, last: int) -> Selection:
        """Return the selection of the `last` intervals up to the newest day; of a total, of as many days."""
        interval = self._counted_interval
        return self._replace(start=first_day(interval, index_of(interval, newest) - last + 1), end=newest)

    def following(self, day: int) -> Selection:
        """Return the selection of the rows that follow the row of `day`."""
        index = index_of(self.interval, day)
        if self.descending:
            return self._replace(end=last_day(self.interval, index - 1))
        return self._replace(start=first_day(self.interval, index + 1))

    def first_part(self, near: int, far: int, most: int) -> tuple[int, int]:
        """Return the first and last day of the first `most` intervals on the way from `near` to `far`."""
        index = index_of(self.interval, near)
        if self.descending:
            return max(far, first_day(self.interval, index - most + 1)), near
        return near, min(far, last_day(self.interval, index + most - 1))

    def with_distance(self) -> Selection:
        """Return the same selection, `previous` replaced by the number of intervals that it stands for.

        The number stays right where a range gets shorter, page by page.
        """
        if self.compare != "previous" or self.start is None or self.end is None:
            return self
        first, last = (index_of(self._counted_interval, day) for day in (self.start, self.end))
        return self._replace(compare=last - first + 1)

    def compared_with(self, day: int) -> int | None:
        """Return the first day of what the interval of `day` is compared with; None before the calendar."""
        if isinstance(self.compare, int):
            return intervals_before(self._counted_interval, day, self.compare)
        return year_before(self._counted_interval, day)

    @property
    def _counted_interval(self) -> Interval:
        return Interval.DAY if self.interval is Interval.TOTAL else self.interval
