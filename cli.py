#!/usr/bin/env python3
"""The command line, for operators and scripts: add, load and read visits over the repository."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from repository import RepositoryError, Unavailable, VisitsTable, connect, transactions
from visit_files import BadFile, read_csv
from visits import DayCount, InvalidValue, parse_correction, parse_day, parse_event_id, parse_series_id, to_csv, to_json

DEFAULT_REGION = "eu-west-1"
"""As in serverless.yml."""


PROGRESS_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())


class Parsed[T](click.ParamType[T]):
    """A parameter read by a function that raises InvalidValue."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """Return the parsed value; click's way to refuse one is `fail`."""
        try:
            return self._parse(value)
        except InvalidValue as error:
            self.fail(str(error), param, ctx)


DAY = Parsed("day", parse_day)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Count visits and read them, in the table of a stage.

    Credentials and AWS_ENDPOINT_URL are taken from where every AWS tool takes them.
    """


def on_table(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which table, and that table as its first argument."""

    @click.option("--stage", default="dev", envvar="VISITS_STAGE", show_default=True, help="The stage's table.")
    @click.option("--table", help="A table by name, whatever the stage.")
    @click.option("--region", default=DEFAULT_REGION, envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], show_default=True)
    @functools.wraps(command)
    def with_table(*, stage: str, table: str | None, region: str, **parameters: object) -> None:
        command(VisitsTable(connect(region), table or f"user-visits-{stage}"), **parameters)

    return with_table


@cli.command()
@click.argument("event_id", type=Parsed("id", parse_event_id))
@click.argument("day", type=DAY)
@click.option("--count", type=Parsed("count", parse_correction), default="1", show_default=True)
@on_table
def add(table: VisitsTable, event_id: str, day: int, count: int) -> None:
    """Add visits to DAY of EVENT_ID and to that day's `all`, both or neither; a negative count corrects."""
    try:
        table.add(event_id, day, count)
    except Unavailable as error:
        raise click.ClickException(f"{error}; added or not: query it before you repeat") from error
    click.echo(f"{table.name}: {count:+,} for event {event_id} on {day}")


@cli.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@on_table
def load(table: VisitsTable, file: Path) -> None:
    """Add the counts of a CSV FILE (EventId,EventDay,EventCount); one bad row, and nothing is added."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            counts = read_csv(lines)
    except (BadFile, OSError) as error:
        raise click.ClickException(f"{file}: {error}") from error
    parts = list(transactions(counts))
    console = Console(stderr=True)
    with Progress(*PROGRESS_COLUMNS, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(file.name, total=len(parts))
        for applied, part in enumerate(parts):
            try:
                table.add_together(part)
            except (RepositoryError, KeyboardInterrupt) as error:
                reason = str(error) or "interrupted"
                raise click.ClickException(
                    f"{reason}; {applied:,} of {len(parts):,} parts were added before"
                ) from error
            progress.advance(bar)
    click.echo(
        f"{table.name}: {sum(counts.values()):,} visits in {len(counts):,} counts, "
        f"{len({event_id for event_id, _ in counts}):,} events on {len({day for _, day in counts}):,} days"
    )


@cli.command()
@click.argument("event_id", type=Parsed("id", parse_series_id))
@click.option("--start", type=DAY, help="First day, YYYYMMDD or YYYY-MM-DD.")
@click.option("--end", type=DAY, help="Last day, inclusive.")
@click.option("--json", "output", flag_value="json", help="As the API answers it.")
@click.option("--csv", "output", flag_value="csv", help="As a visit file; the default where the output is no terminal.")
@on_table
def query(table: VisitsTable, event_id: str, start: int | None, end: int | None, output: str | None) -> None:
    """Show the daily visits of EVENT_ID, or of `all` events together, oldest day first."""
    if start is not None and end is not None and end < start:
        raise click.UsageError(f"--end {end} is before --start {start}")
    rows = table.query(event_id, start, end)
    if output == "json":
        click.echo(to_json(rows), nl=False)
    elif output == "csv" or not sys.stdout.isatty():
        click.echo(to_csv(rows), nl=False)
    else:
        Console().print(_as_table(event_id, rows))


@cli.command()
@on_table
def create_table(table: VisitsTable) -> None:
    """Create the table in a DynamoDB outside the stack (`sls deploy` creates the stack's own)."""
    table.create()
    click.echo(f"{table.name}: created")


def _as_table(event_id: str, rows: list[DayCount]) -> Table:
    table = Table("EventDay", title=f"Event {event_id}", show_footer=True)
    table.columns[0].footer = f"{len(rows):,} days"
    table.add_column("EventCount", justify="right", footer=f"{sum(row.visits for row in rows):,}")
    for row in rows:
        table.add_row(str(row.day), f"{row.visits:,}")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; whatever goes wrong is one line on stderr and an exit code other than 0."""
    try:
        cli(arguments, standalone_mode=False)
    except click.Abort:
        sys.exit("interrupted")
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except RepositoryError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
