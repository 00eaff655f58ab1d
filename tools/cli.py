"""The command line `visits`: count and read visits, deliver files, see what became of them."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence

import click
from botocore.exceptions import BotoCoreError, ClientError
from click.exceptions import NoArgsIsHelpError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from converter import RulesChanged
from dynamodb import DynamoDBError, Unavailable
from tools import delivery, reading
from tools.check import check
from tools.keys import keys
from tools.stage import Parsed, Stage, on_tables
from tools.tables import create, every_receipt
from tools.terminal import on_terminal
from visits import parse_correction, parse_day, parse_event_id, shown

DAY = Parsed("day", parse_day)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Count visits and read them, deliver visit files and see what became of them.

    Credentials and AWS_ENDPOINT_URL are taken from where every AWS tool takes them.
    """


COMMANDS = (
    *(reading.query, reading.events, check),
    *(delivery.load, delivery.upload, delivery.replay, delivery.redeliver, keys),
)

for command in COMMANDS:
    cli.add_command(command)


@cli.command()
@click.argument("event_id", type=Parsed("id", parse_event_id))
@click.argument("day", type=DAY)
@click.option("--count", type=Parsed("count", parse_correction), default="1", show_default=True)
@on_tables
def add(stage: Stage, event_id: str, day: int, count: int) -> None:
    """Add visits to DAY of EVENT_ID and to that day's `all`, both or neither; a negative count corrects."""
    try:
        stage.visits.add(event_id, day, count)
    except (Unavailable, KeyboardInterrupt) as error:
        reason = str(error) or "interrupted"
        raise click.ClickException(f"{reason}; added or not: query it before you repeat") from error
    click.echo(f"{stage.visits.name}: {count:+,} for event {event_id} on {day}")


@cli.command()
@click.argument("key", required=False)
@click.option("--json", "as_json", is_flag=True, help="Every field, a receipt a line; so where there is no terminal.")
@on_tables
def receipts(stage: Stage, key: str | None, as_json: bool) -> None:
    """Show what became of every file, or of those whose name ends in KEY, the last begun first."""
    found = [receipt for receipt in every_receipt(stage.boto3, stage.files) if receipt.key.endswith(key or "")]
    if key and not found:
        raise click.ClickException(f"{stage.files.name} has no receipt of a file {key}")
    if as_json or not on_terminal():
        for receipt in found:
            click.echo(json.dumps(receipt._asdict()))
        return
    table = Table(title=stage.files.name)
    for column in ("File", "Status", "Begun", "Reason"):
        table.add_column(column, overflow="fold")
    for column in ("Read", "Applied", "Rejected", "Visits"):
        table.add_column(column, justify="right")
    for receipt in found:
        numbers = (receipt.rows_read, receipt.rows_applied, receipt.rows_rejected, receipt.visits)
        texts = (receipt.key, receipt.status, receipt.began_at, receipt.reason)
        table.add_row(*(escape(shown(text)) for text in texts), *(f"{number:,}" for number in numbers))
    Console().print(table)


@cli.command()
@on_tables
def create_table(stage: Stage) -> None:
    """Create the tables of counts and receipts in a DynamoDB outside the stack (`sls deploy` creates the stack's)."""
    for table in (stage.visits, stage.files):
        created = create(stage.boto3, table)
        click.echo(f"{table.name}: {'created' if created else 'exists already'}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; whatever goes wrong is one line on stderr and an exit code other than 0."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a character that the output cannot write is no reason to fail
    try:
        cli(arguments, standalone_mode=False)
    except NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit("error: interrupted")
    except click.ClickException as error:
        click.echo(f"error: {shown(error.format_message())}", err=True)
        sys.exit(error.exit_code)
    except (DynamoDBError, RulesChanged, ClientError, BotoCoreError, OSError) as error:
        sys.exit(f"error: {shown(str(error))}")
