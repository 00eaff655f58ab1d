"""What the command line shows on a terminal: a series as bars or as a table, and how far a file is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from intervals import Interval
from visits import shown

if TYPE_CHECKING:
    from events import EventRow
    from receipts import Receipt
    from series import Page, Rows

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
"""What a command's argument must be."""

MOST_BARS = 62
"""That are taken in at a glance: two months of days, more than a year of weeks, five years of months."""

BLOCKS = "▏▎▍▌▋▊▉█"
"""From an eighth to a whole."""

ASCII = "#"
"""In the place of BLOCKS where they cannot be written."""

_NOT_LOADED = " not loaded "

_LABELS = {
    Interval.DAY: "%Y-%m-%d %a",
    Interval.WEEK: "%Y-%m-%d",
    Interval.MONTH: "%Y-%m",
    Interval.QUARTER: "%Y-%m",
    Interval.YEAR: "%Y",
}
"""How an interval is named, by its first day; a week is named by its Monday."""


def fitting_interval(days: Collection[int]) -> Interval:
    """Return the finest interval of which MOST_BARS are enough for so many days."""
    lengths = {Interval.DAY: 1, Interval.WEEK: 7, Interval.MONTH: 30}
    return next((each for each, length in lengths.items() if len(days) <= MOST_BARS * length), Interval.YEAR)


def draw(event_ids: str, interval: Interval, page: Page, width: int, blocks: str = BLOCKS) -> Iterator[str]:
    """Yield the lines of a chart, at most `width` characters wide where numbers leave room for bars.

    A row without visits has no bar; one for which no data has arrived is filled and says so, without a number. Several
    events have a line each, named; so has what they are compared with.
    """
    yield f"{_title(event_ids)}, visits by {interval}"
    yield ""
    columns = _columns(page)
    known = [visits for _, rows in columns for visits in rows.values() if visits is not None]
    most = max(known, default=0)
    number_width = max((len(f"{visits:,}") for visits in known), default=0)
    name_width = max((len(name) + 2 for name, _ in columns), default=0) if len(columns) > 1 else 0
    fill = "░" if blocks == BLOCKS else "."
    for day in page.days:
        label = _label(interval, day)
        room = max(width - len(label) - name_width - number_width - 4, len(_NOT_LOADED) + 2)
        for name, rows in columns:
            visits = rows[day]
            number, bar = ("", f"{_NOT_LOADED:{fill}^{room}}") if visits is None else (f"{visits:,}", "")
            if visits and visits > 0:
                bar = _bar(visits / most * room, blocks)
            name = f"  {name:<{name_width - 2}}" if name_width else ""
            yield f"{label}{name}  {number:>{number_width}}  {bar}".rstrip()
            label = " " * len(label)
    yield ""
    if not columns:
        yield _sum_up(interval, {})
    for name, rows in columns:
        yield (f"{name}: " if name_width else "") + _sum_up(interval, rows)


def series_table(event_ids: str, interval: Interval, page: Page) -> Table:
    """Return series for the terminal, with their sums below."""
    columns = _columns(page)
    table = Table("EventDay", title=_title(event_ids), show_footer=True)
    table.columns[0].footer = _counted(len(page.days), interval)
    for name, rows in columns or [("EventCount", {})]:
        footer = f"{sum(visits or 0 for visits in rows.values()):,}"
        table.add_column(name if len(columns) > 1 else "EventCount", justify="right", footer=footer)
    for day in page.days:
        counts = (rows.get(day) for _, rows in columns)
        table.add_row(f"{day:08}", *("" if visits is None else f"{visits:,}" for visits in counts))
    return table


def events_table(rows: Sequence[EventRow]) -> Table:
    """Return events for the terminal, with their sum below."""
    table = Table("EventId", show_footer=True)
    table.columns[0].footer = f"{len(rows):,} event{'s'[: len(rows) != 1]}"
    table.add_column("EventCount", justify="right", footer=f"{sum(row.visits for row in rows):,}")
    table.add_column("FirstDay")
    table.add_column("LastDay")
    for row in rows:
        table.add_row(row.event_id, f"{row.visits:,}", f"{row.first_day:08}", f"{row.last_day:08}")
    return table


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[Receipt], None]]:
    """Show, on a terminal, how many chunks of a file are applied."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(escape(shown(name)), total=None)
        yield lambda receipt: progress.update(bar, completed=receipt.chunks_applied, total=receipt.chunks)


@contextmanager
def reading_bar(file: Path, content: BinaryIO) -> Iterator[BinaryIO]:
    """Show, on a terminal, how much of a file is read, as what is returned is read."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        yield progress.wrap_file(content, file.stat().st_size, description=escape(shown(file.name)))


def can_print(text: str) -> bool:
    """Return whether the output's encoding has every character of `text`."""
    encoding = sys.stdout.encoding if sys.stdout else None
    try:
        text.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def on_terminal() -> bool:
    """Return whether somebody looks at what is printed; it may also be closed (`>&-`)."""
    return sys.stdout is not None and sys.stdout.isatty()


def _label(interval: Interval, day: int) -> str:
    first = date(day // 10_000, day // 100 % 100, day % 100)
    # A year before 1000 has no leading zeros in what strftime writes.
    return first.strftime(_LABELS.get(interval, "%Y-%m-%d").replace("%Y", f"{first.year:04}"))


def _bar(length: float, blocks: str) -> str:
    """Return a bar so many characters long, to the part of a character that there is a block for, and never none."""
    whole, part = divmod(max(round(length * len(blocks)), 1), len(blocks))
    return blocks[-1] * whole + (blocks[part - 1] if part else "")


def _title(event_ids: str) -> str:
    if event_ids == "all":
        return "All events"
    return f"Events {event_ids.replace(',', ', ')}" if "," in event_ids else f"Event {event_ids}"


def _columns(page: Page) -> list[tuple[str, Rows]]:
    """Return each event's rows with its name, followed by what they are compared with."""
    columns: list[tuple[str, Rows]] = []
    for event_id, rows in page.rows.items():
        columns.append((event_id, rows))
        if page.previous:
            columns.append(("before" if len(page.rows) == 1 else f"{event_id} before", page.previous[event_id]))
    return columns


def _sum_up(interval: Interval, rows: Rows) -> str:
    known = [visits for visits in rows.values() if visits is not None]
    total, missing = sum(known), len(rows) - len(known)
    words = f"{total:,} visit{'s'[: total != 1]} in {_counted(len(rows), interval)}"
    if len(known) > 1:
        words += f", {total / len(known):,.1f} a {interval} on average"
    return f"{words}; {missing:,} not loaded" if missing else words


def _counted(count: int, interval: Interval) -> str:
    unit = "range" if interval is Interval.TOTAL else interval.value
    return f"{count:,} {unit}{'s'[: count != 1]}"
