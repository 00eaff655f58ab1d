"""The command `visits check`: what a visit file would come to, without AWS."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from csv_rows import DELIMITERS
from lines import BadFile, Limits
from tools.source import of_source
from tools.terminal import FILE, reading_bar
from visit_files import VisitFile
from visits import shown

if TYPE_CHECKING:
    from sources import Settings

MAX_REJECTS = 100
"""Bad rows that --json has one by one."""
MAX_SHOWN = 10
"""Events, and bad rows, that are shown one by one."""
MAX_SHOWN_TEXT = 100


@click.command()
@click.argument("file", type=FILE)
@click.option("--json", "as_json", is_flag=True, help="One object, with the first 100 bad rows.")
@of_source
def check(file: Path, settings: Settings, *, as_json: bool) -> None:
    """Say what a visit FILE would come to, without counting it; the exit code is 0 only if every row is good."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    refused = None
    with VisitFile(settings, Limits(), last_day=int(f"{tomorrow:%Y%m%d}")) as read:
        try:
            with file.open("rb") as content, reading_bar(file, content) as stream:
                read.read(file.name, stream)
        except BadFile as error:
            refused = str(error)
        result = _result(read, settings, refused)
        click.echo(json.dumps(result) if as_json else "\n".join(_report(file.name, read, settings, refused)))
    if refused:
        raise click.ClickException(f"{shown(file.name)} {refused}; nothing of it would count")
    if read.rows_rejected:
        raise click.ClickException(f"{read.rows_rejected:,} of {read.rows_read:,} rows of {shown(file.name)} are bad")


def _result(read: VisitFile, settings: Settings, refused: str | None) -> dict[str, object]:
    events, days = _counted(read, refused)
    read.rejects.seek(0)
    return {
        "format": read.format.name or None,
        "delimiter": read.format.delimiter or None,
        "encoding": read.format.encoding or None,
        "packing": read.format.packing or None,
        "source": settings.name or None,
        "rows_read": read.rows_read,
        "rows_good": read.rows_applied,
        "rows_bad": read.rows_rejected,
        "visits": events.total(),
        "events": dict(events.most_common()),
        "first_day": min(days, default=None),
        "last_day": max(days, default=None),
        "remark": read.remark or None,
        "refused": refused,
        "rejects": [json.loads(row) for row in islice(read.rejects, MAX_REJECTS)],
    }


def _report(name: str, read: VisitFile, settings: Settings, refused: str | None) -> Iterator[str]:
    """Yield the lines that people see."""
    between = DELIMITERS.get(read.format.delimiter)
    taken_for = [
        read.format.name,
        between and f"{between} between columns",
        read.format.encoding,
        read.format.packing,
        settings.name and f"source {settings.name}",
    ]
    yield f"{shown(name)}: {', '.join(filter(None, taken_for)) or 'unknown'}"
    yield f"{read.rows_read:,} rows: {read.rows_applied:,} good, {read.rows_rejected:,} bad"
    events, days = _counted(read, refused)
    if days:
        yield f"{events.total():,} visits, from {min(days):08} to {max(days):08}, of {len(events):,} events:"
        yield from (f"  {event}: {visits:,}" for event, visits in events.most_common(MAX_SHOWN))
        if len(events) > MAX_SHOWN:
            yield f"  and {len(events) - MAX_SHOWN:,} events more"
    if read.remark:
        yield f"note: it {read.remark}"
    if read.rows_rejected:
        yield "bad rows:"
        yield from (f"  {rows:,} row{'s'[: rows != 1]}: {shown(rule)}" for rule, rows in read.rules.most_common())
        read.rejects.seek(0)
        for row in map(json.loads, islice(read.rejects, MAX_SHOWN)):
            text = row["text"] if len(row["text"]) <= MAX_SHOWN_TEXT else f"{row['text'][:MAX_SHOWN_TEXT]}…"
            yield f"  line {row['line']:,}: {shown(row['reason'])}"
            yield f"    {shown(text)}"
        if read.rows_rejected > MAX_SHOWN:
            yield f"  and {read.rows_rejected - MAX_SHOWN:,} rows more"


def _counted(read: VisitFile, refused: str | None) -> tuple[Counter[str], set[int]]:
    """Return the visits by event, and the days."""
    events: Counter[str] = Counter()
    counts = {} if refused else read.counts
    for (event_id, _), visits in counts.items():
        events[event_id] += visits
    return events, {day for _, day in counts}
