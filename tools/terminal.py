"""What the command line shows on a terminal: a series as bars or as a table, and how far a file is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from series import Count, Interval, Rows
from visits import shown

if TYPE_CHECKING:
    from receipts import Receipt

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
"""What a command's argument must be."""

MOST_BARS = 62
"""That are taken in at a glance: two months of days, more than a year of weeks, five years of months."""

BLOCKS = "▏▎▍▌▋▊▉█"
"""From an eighth to a whole."""

ASCII = "#"
"""In the place of BLOCKS where they cannot be written."""

_NOT_LOADED = " not loaded "

_LABELS = {Interval.DAY: "%Y-%m-%d %a", Interval.WEEK: "%Y-%m-%d", Interval.MONTH: "%Y-%m", Interval.YEAR: "%Y"}
"""Of an interval by its first day, of a week the Monday."""


def fitting_interval(rows: Rows) -> Interval:
    """Return the finest interval of which MOST_BARS are enough for so many days."""
    lengths = {Interval.DAY: 1, Interval.WEEK: 7, Interval.MONTH: 30}
    return next((each for each, length in lengths.items() if len(rows) <= MOST_BARS * length), Interval.YEAR)


def draw(event_id: str, interval: Interval, rows: Rows, width: int, blocks: str = BLOCKS) -> Iterator[str]:
    """Yield the lines of a chart, at most `width` characters wide where numbers leave room for bars.

    A row without visits has no bar; one for which no data has arrived is filled and says so, without a number.
    """
    yield f"{'All events' if event_id == 'all' else f'Event {event_id}'}, visits by {interval}"
    yield ""
    known = [visits for visits in rows.values() if visits is not None]
    most = max(known, default=0)
    number_width = max((len(f"{visits:,}") for visits in known), default=0)
    fill = "░" if blocks == BLOCKS else "."
    for day, visits in rows.items():
        label = _label(interval, day)
        room = max(width - len(label) - number_width - 4, len(_NOT_LOADED) + 2)
        number, bar = ("", f"{_NOT_LOADED:{fill}^{room}}") if visits is None else (f"{visits:,}", "")
        if visits and visits > 0:
            bar = _bar(visits / most * room, blocks)
        yield f"{label}  {number:>{number_width}}  {bar}".rstrip()
    yield ""
    yield _sum_up(interval, rows, known)


def as_table(event_id: str, interval: Interval, rows: Rows) -> Table:
    """Return a series for the terminal, with its sum below."""
    table = Table("EventDay", title=f"Event {event_id}", show_footer=True)
    table.columns[0].footer = f"{len(rows):,} {interval}s"
    table.add_column("EventCount", justify="right", footer=f"{sum(visits or 0 for visits in rows.values()):,}")
    for day, visits in rows.items():
        table.add_row(f"{day:08}", "" if visits is None else f"{visits:,}")
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


def _sum_up(interval: Interval, rows: Rows, known: list[Count]) -> str:
    total, missing = sum(known), len(rows) - len(known)
    unit = "range" if interval is Interval.TOTAL else interval.value
    words = f"{total:,} visit{'s'[: total != 1]} in {len(rows):,} {unit}{'s'[: len(rows) != 1]}"
    if len(known) > 1:
        words += f", {total / len(known):,.1f} a {unit} on average"
    return f"{words}; {missing:,} not loaded" if missing else words
