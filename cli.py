#!/usr/bin/env python3
"""The command line, for operators and scripts: count and read visits, deliver files, see what became of them."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, unquote_plus

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from click.exceptions import NoArgsIsHelpError
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from converter import Converter, Report, Result, RulesChanged, Source
from repository import FilesTable, Receipt, RepositoryError, TableExists, Unavailable, VisitsTable, connect
from series import Interval, Rows, Selection
from terminal_chart import ASCII, BLOCKS, draw, fitting_interval
from visit_files import Limits, rejects_key
from visits import InvalidValue, parse_correction, parse_day, parse_event_id, parse_series_id, to_csv, to_json

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DEFAULT_REGION = "eu-west-1"
"""As in serverless.yml."""

HERE = "(command line)"
"""Stands for a bucket in the receipts of files that were loaded from here; no bucket can have this name."""

POLL_S = 0.2
LONGEST_RUN = Config(connect_timeout=5, read_timeout=930, retries={"total_max_attempts": 1})
"""A function may take 900 s, and must not be invoked again because nobody waited for it."""


@dataclass(frozen=True)
class Stage:
    """A stage's tables, and whatever else of it a command needs."""

    name: str
    region: str
    dynamodb: DynamoDBClient
    table: str | None

    @property
    def visits(self) -> VisitsTable:
        """The table of counts."""
        return VisitsTable(self.dynamodb, self.table or f"user-visits-{self.name}")

    @property
    def files(self) -> FilesTable:
        """The table of receipts."""
        return FilesTable(self.dynamodb, f"{self.table}-files" if self.table else f"visit-files-{self.name}")

    def output(self, name: str) -> str:
        """Return an output of the deployed stack."""
        stacks = boto3.client("cloudformation", region_name=self.region)
        stack = stacks.describe_stacks(StackName=f"visits-{self.name}")["Stacks"][0]
        for output in stack.get("Outputs", []):
            if output["OutputKey"] == name:
                return output["OutputValue"]
        raise click.ClickException(f"the stack {stack['StackName']} has no output {name}; deploy it again")


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
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Count visits and read them, deliver visit files and see what became of them.

    Credentials and AWS_ENDPOINT_URL are taken from where every AWS tool takes them.
    """


def on_stage(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which stage, and that stage as its first argument."""

    @click.option("--stage", default="dev", envvar="VISITS_STAGE", show_default=True, help="The stage to work on.")
    @click.option("--region", default=DEFAULT_REGION, envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], show_default=True)
    @functools.wraps(command)
    def with_stage(*, stage: str, region: str, table: str | None = None, **parameters: object) -> None:
        command(Stage(stage, region, connect(region), table), **parameters)

    return with_stage


def on_tables(command: Callable[..., None]) -> Callable[..., None]:
    """Do as `on_stage`, for a command that needs no more of the stage than its tables: there may be others."""
    option = click.option("--table", help="A table outside the stages; its receipts are in TABLE-files.")
    return option(on_stage(command))


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
@click.argument("event_id", type=Parsed("id", parse_series_id))
@click.option("--start", type=DAY, help="First day, YYYYMMDD or YYYY-MM-DD.")
@click.option("--end", type=DAY, help="Last day, inclusive.")
@click.option("--fill", is_flag=True, help="Show days without visits: 0, or nothing where no data has arrived.")
@click.option(
    "--interval",
    type=click.Choice([each.value for each in Interval]),
    help="What a row sums up; a day unless told otherwise, with --plot what fits.",
)
@click.option("--plot", "output", flag_value="plot", help="Draw bars; every day of the range has its place.")
@click.option("--json", "output", flag_value="json", help="As the API answers it.")
@click.option("--csv", "output", flag_value="csv", help="As a visit file; the default where the output is no terminal.")
@on_tables
def query(
    stage: Stage,
    event_id: str,
    start: int | None,
    end: int | None,
    *,
    fill: bool,
    interval: str | None,
    output: str | None,
) -> None:
    """Show the visits of EVENT_ID, or of `all` events together, oldest day first."""
    if start is not None and end is not None and end < start:
        raise click.UsageError(f"--end {end:08} is before --start {start:08}")
    selection = Selection(start, end, fill or output == "plot", Interval(interval or "day"))
    rows = every_row(stage.visits, event_id, selection)
    if output == "plot":
        if not interval and (fitting := fitting_interval(rows)) is not Interval.DAY:
            selection = selection._replace(interval=fitting)
            rows = every_row(stage.visits, event_id, selection)
        blocks = BLOCKS if can_print(BLOCKS) else ASCII
        click.echo("\n".join(draw(event_id, selection.interval, rows, shutil.get_terminal_size().columns, blocks)))
    elif output == "json":
        click.echo(to_json(event_id, rows), nl=False)
    elif output == "csv" or not on_terminal():
        click.echo(to_csv(event_id, rows), nl=False)
    else:
        Console().print(as_table(event_id, selection.interval, rows))


@cli.command()
@click.argument("file", type=FILE)
@on_tables
def load(stage: Stage, file: Path) -> None:
    """Count a visit FILE from here, exactly once: loaded again, the same name and content count nothing."""

    def keep_rejects(report: Report) -> None:
        if report.file and report.file.rows_rejected:
            report.file.rejects.seek(0)
            rejects_of(file).write_bytes(report.file.rejects.read())

    with file.open("rb") as content, progress_bar(file.name) as progress:
        etag = hashlib.file_digest(content, "sha256").hexdigest()
        content.seek(0)
        converter = Converter(stage.files, stage.visits, keep_rejects, Limits(), progress=progress)
        # A name that is not UTF-8 comes with surrogates, which DynamoDB does not take.
        name = os.fsencode(file.name).decode(errors="replace")
        result, receipt = converter.convert(Source(HERE, f"{etag}/{name}", etag), content)
    conclude(file.name, result, receipt, str(rejects_of(file)))


@cli.command()
@click.argument("file", type=FILE)
@click.option("--key", help="The object's name under incoming/; the file's own unless told otherwise.")
@click.option("--timeout", "timeout_s", default=900, show_default=True, help="Seconds to wait for the receipt.")
@on_stage
def upload(stage: Stage, file: Path, key: str | None, timeout_s: int) -> None:
    """Drop a visit FILE into the stage's inbox and wait for its receipt."""
    inbox, key = stage.output("InboxName"), f"incoming/{key or file.name}"
    if key.endswith("/"):
        raise click.UsageError(f"--key {key.removeprefix('incoming/')} is the name of a folder")
    before = stage.files.get(inbox, key)
    with file.open("rb") as content, progress_bar(file.name) as progress:
        if before and not before.refused:
            # The ETag that S3 will give it.
            if hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest() != before.etag:
                raise click.ClickException(
                    f"{key} was delivered before, {before.began_at}, with other content; deliver it under another --key"
                )
            if before.done:
                return conclude(key, Result.ALREADY_INGESTED, before, rejects_in(inbox, key))
            content.seek(0)
            before = None  # begun, and not done: another delivery goes on with it
        # In one part, so that its ETag is the one in the receipt.
        etag = boto3.client("s3", region_name=stage.region).put_object(Bucket=inbox, Key=key, Body=content)["ETag"]
        deadline = time.monotonic() + timeout_s
        while True:
            receipt = stage.files.get(inbox, key)
            if receipt and receipt != before and receipt.etag == etag.strip('"'):
                progress(receipt)
                if receipt.done or receipt.refused:
                    break
            if time.monotonic() > deadline:
                raise click.ClickException(f"{key} is not done after {timeout_s} s; see later with `receipts {key}`")
            time.sleep(POLL_S)
    result = Result.REFUSED if receipt.refused else Result.INGESTED
    return conclude(key, result, receipt, rejects_in(inbox, key))


@cli.command()
@click.argument("key", required=False)
@click.option("--json", "as_json", is_flag=True, help="Every field, a receipt a line; so where there is no terminal.")
@on_tables
def receipts(stage: Stage, key: str | None, as_json: bool) -> None:
    """Show what became of every file, or of those whose name ends in KEY, the last begun first."""
    found = [receipt for receipt in stage.files.every() if receipt.key.endswith(key or "")]
    if key and not found:
        raise click.ClickException(f"{stage.files.name} has no receipt of a file {key}")
    if as_json or not on_terminal():
        for receipt in found:
            click.echo(json.dumps(receipt._asdict(), ensure_ascii=False))
        return
    table = Table(title=stage.files.name)
    for column in ("File", "Status", "Begun", "Reason"):
        table.add_column(column, overflow="fold")
    for column in ("Read", "Applied", "Rejected", "Visits"):
        table.add_column(column, justify="right")
    for receipt in found:
        numbers = (receipt.rows_read, receipt.rows_applied, receipt.rows_rejected, receipt.visits)
        table.add_row(
            escape(receipt.key), receipt.status, receipt.began_at, receipt.reason, *(f"{n:,}" for n in numbers)
        )
    Console().print(table)


@cli.command()
@on_stage
def replay(stage: Stage) -> None:
    """Feed the events that failed for good to the file converter again; what fails again stays in the queue."""
    queue = stage.output("FailedEventsUrl")
    sqs = boto3.client("sqs", region_name=stage.region)
    convert = file_converter(stage)
    failed: list[str] = []
    replayed = 0
    try:
        while messages := sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"):
            for message in messages:
                failed.append(message["ReceiptHandle"])
                try:
                    event = json.loads(message["Body"])["requestPayload"]
                    keys = ", ".join(unquote_plus(record["s3"]["object"]["key"]) for record in event["Records"])
                except (ValueError, KeyError, TypeError):
                    click.echo(f"message {message['MessageId']} is not a failed event", err=True)
                    continue
                if error := convert(event):
                    click.echo(f"{keys}: failed again: {error}", err=True)
                    continue
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=failed.pop())
                replayed += 1
                click.echo(f"{keys}: replayed")
    finally:
        # Only now, whatever ended it: made visible at once, they would have come round again.
        for handle in failed:
            sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0)
    if failed:
        raise click.ClickException(f"{len(failed):,} of {len(failed) + replayed:,} events failed again")
    click.echo(f"{replayed:,} events replayed")


@cli.command()
@on_stage
def redeliver(stage: Stage) -> None:
    """Feed the files of the inbox that no receipt closes to the file converter.

    For events that got lost, and after tables were restored; what is counted already is not counted again.
    """
    inbox = stage.output("InboxName")
    closed = {file.key for file in stage.files.every() if file.bucket == inbox and (file.done or file.refused)}
    pages = boto3.client("s3", region_name=stage.region).get_paginator("list_object_versions")
    convert = file_converter(stage)
    delivered = failed = 0
    for page in pages.paginate(Bucket=inbox, Prefix="incoming/"):
        for version in page.get("Versions", []):
            if not version["IsLatest"] or version["Key"] in closed:
                continue
            # As S3 announces it.
            entity = {
                "key": quote_plus(version["Key"], safe="/"),
                "size": version["Size"],
                "eTag": version["ETag"].strip('"'),
                "versionId": version["VersionId"],
            }
            error = convert({"Records": [{"s3": {"bucket": {"name": inbox}, "object": entity}}]})
            if error:
                failed += 1
                click.echo(f"{version['Key']}: failed: {error}", err=True)
            else:
                delivered += 1
                click.echo(f"{version['Key']}: delivered again")
    if failed:
        raise click.ClickException(f"{failed:,} of {failed + delivered:,} files failed")
    click.echo(f"{delivered:,} files delivered again")


def file_converter(stage: Stage) -> Callable[[object], str | None]:
    """Return a function that feeds an event to the stage's file converter, and returns what it died of, if it did."""
    functions = boto3.client("lambda", region_name=stage.region, config=LONGEST_RUN)

    def convert(event: object) -> str | None:
        answer = functions.invoke(FunctionName=f"visits-{stage.name}-ingestFile", Payload=json.dumps(event))
        return str(json.load(answer["Payload"]).get("errorMessage")) if "FunctionError" in answer else None

    return convert


@cli.command()
@on_tables
def create_table(stage: Stage) -> None:
    """Create the tables of counts and receipts in a DynamoDB outside the stack (`sls deploy` creates the stack's)."""
    for table in (stage.visits, stage.files):
        try:
            table.create()
            click.echo(f"{table.name}: created")
        except TableExists:
            click.echo(f"{table.name}: exists already")


def every_row(table: VisitsTable, event_id: str, selection: Selection) -> Rows:
    """Return the rows of every page."""
    rows: dict[int, int | float | None] = {}
    following: Selection | None = selection
    while following:
        page = table.series(event_id, following)
        rows |= page.rows
        following = page.more
    return rows


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


def rejects_of(file: Path) -> Path:
    """Return where the rejected rows of a loaded file go."""
    return file.with_name(f"{file.name}.rejected.jsonl")


def rejects_in(inbox: str, key: str) -> str:
    """Return where the rejected rows of a delivered file go."""
    return f"s3://{inbox}/{rejects_key(key)}"


def conclude(name: str, result: Result, receipt: Receipt, rejects: str) -> None:
    """Say what became of a file; raise ClickException where not all of it counts."""
    if result is Result.REFUSED:
        raise click.ClickException(f"{name} {receipt.reason}; nothing of it is counted")
    if result is Result.ALREADY_INGESTED:
        click.echo(f"{name}: already ingested {receipt.ended_at}, nothing counted")
    else:
        click.echo(f"{name}: {receipt.visits:,} visits in {receipt.rows_applied:,} rows")
    if receipt.rows_rejected:
        rows = f"{receipt.rows_rejected:,} of {receipt.rows_read:,} rows"
        raise click.ClickException(f"{rows} of {name} are rejected, see {rejects}")


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[Receipt], None]]:
    """Show, on a terminal, how many chunks of a file are applied."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(escape(name), total=None)
        yield lambda receipt: progress.update(bar, completed=receipt.chunks_applied, total=receipt.chunks)


def as_table(event_id: str, interval: Interval, rows: Rows) -> Table:
    """Return a series for the terminal, with its sum below."""
    table = Table("EventDay", title=f"Event {event_id}", show_footer=True)
    table.columns[0].footer = f"{len(rows):,} {interval}s"
    table.add_column("EventCount", justify="right", footer=f"{sum(visits or 0 for visits in rows.values()):,}")
    for day, visits in rows.items():
        table.add_row(f"{day:08}", "" if visits is None else f"{visits:,}")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; whatever goes wrong is one line on stderr and an exit code other than 0."""
    try:
        cli(arguments, standalone_mode=False)
    except NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit("error: interrupted")
    except click.ClickException as error:
        click.echo(f"error: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except (RepositoryError, RulesChanged, ClientError, BotoCoreError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
