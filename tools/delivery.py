"""Commands that deliver files, by hand or again: load, upload, replay, redeliver."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING

import boto3
import click
from botocore.config import Config

from converter import Converter, Report, Result, Source
from lines import Limits
from s3_events import Announced, NotAnS3Event, announced_by, event_of
from sources import INCOMING, Settings
from tools.source import of_source
from tools.stage import Stage, on_stage, on_tables
from tools.tables import every_receipt
from tools.terminal import FILE, progress_bar
from visit_files import rejects_key
from visits import shown

if TYPE_CHECKING:
    from receipts import Receipt

HERE = "(command line)"
"""Stands for a bucket in the receipts of files that were loaded from here; no bucket can have this name."""

POLL_S = 0.2
LONGEST_RUN = Config(connect_timeout=5, read_timeout=930, retries={"total_max_attempts": 1}, tcp_keepalive=True)
"""A run may take 900 s and must not be started twice, and no firewall may drop the connection while it is silent."""


@click.command()
@click.argument("file", type=FILE)
@of_source
@on_tables
def load(stage: Stage, file: Path, settings: Settings) -> None:
    """Count a visit FILE from here, exactly once: loaded again, the same name and content count nothing."""
    rejects = rejects_of(file)
    if len(os.fsencode(rejects.name)) > os.pathconf(file.parent, "PC_NAME_MAX"):
        raise click.ClickException(f"{shown(file.name)} has too long a name: that of its rejected rows would be longer")

    def keep_rejects(report: Report) -> None:
        if report.file and report.file.rows_rejected:
            report.file.rejects.seek(0)
            replace(rejects, report.file.rejects)

    with file.open("rb") as content, progress_bar(file.name) as progress:
        etag = hashlib.file_digest(content, "sha256").hexdigest()
        content.seek(0)
        converter = Converter(
            stage.files, stage.visits, keep_rejects, Limits(), may_go_on=lambda: True, progress=progress
        )
        # A name that is not UTF-8 comes with surrogates, which DynamoDB does not take.
        name = os.fsencode(file.name).decode(errors="replace")
        source = Source(HERE, f"{etag}/{name}", etag)
        before = stage.files.get(source.bucket, source.key)
        # Begun on another day, it must come to the same plan.
        delivered = datetime.fromisoformat(before.began_at) if before and not before.refused else datetime.now(UTC)
        result, receipt = converter.convert(source, content, settings, delivered)
    conclude(file.name, result, receipt, str(rejects))


@click.command()
@click.argument("file", type=FILE)
@click.option("--key", help="The object's name under incoming/; the file's own unless told otherwise.")
@click.option("--timeout", "timeout_s", default=900, show_default=True, help="Seconds to wait for the receipt.")
@of_source
@on_stage
def upload(stage: Stage, file: Path, key: str | None, timeout_s: int, settings: Settings) -> None:
    """Drop a visit FILE into the stage's inbox, into its source's folder, and wait for its receipt."""
    folder = f"{INCOMING}{settings.name}/" if settings.name else INCOMING
    inbox, key = stage.output("InboxName"), f"{folder}{key or file.name}"
    if key.endswith("/"):
        raise click.UsageError(f"--key {key.removeprefix(folder)} is the name of a folder")
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


@click.command()
@click.option("--discard", is_flag=True, help="Take messages out that are no events of this inbox.")
@on_stage
def replay(stage: Stage, *, discard: bool) -> None:
    """Feed the events that failed for good to the file converter again; what fails again stays in the queue."""
    queue, inbox = stage.output("FailedEventsUrl"), stage.output("InboxName")
    sqs = boto3.client("sqs", region_name=stage.region)
    convert = file_converter(stage)
    failed: list[str] = []
    replayed = strange = 0
    try:
        while messages := sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1).get("Messages"):
            for message in messages:
                failed.append(message["ReceiptHandle"])
                try:
                    objects = failed_event(message["Body"], inbox)
                except NotAnS3Event as mistake:
                    strange += 1
                    click.echo(f"message {message['MessageId']} is no event of {inbox}: {mistake}", err=True)
                    if discard:
                        sqs.delete_message(QueueUrl=queue, ReceiptHandle=failed.pop())
                    continue
                keys = shown(", ".join(found.key for found in objects))
                if error := convert(objects):
                    click.echo(f"{keys}: failed again: {shown(error)}", err=True)
                    continue
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=failed.pop())
                replayed += 1
                click.echo(f"{keys}: replayed")
    finally:
        # Only now, whatever ended it: made visible at once, they would have come round again.
        for handle in failed:
            sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0)
    if strange:
        click.echo(f"{strange:,} messages {'discarded' if discard else 'left, which `--discard` takes out'}")
    if failed:
        raise click.ClickException(f"{len(failed):,} of {len(failed) + replayed:,} events failed again")
    click.echo(f"{replayed:,} events replayed")


def failed_event(body: str, inbox: str) -> list[Announced]:
    """Return the objects of this inbox that a message's event announces; raise NotAnS3Event for any other message."""
    try:
        payload = json.loads(body)["requestPayload"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise NotAnS3Event("it is no event that a function failed at") from None
    objects = announced_by(payload)
    if not objects or any(found.bucket != inbox for found in objects):
        raise NotAnS3Event("it announces no object, or one of another bucket")
    return objects


@click.command()
@on_stage
def redeliver(stage: Stage) -> None:
    """Feed the files of the inbox that no receipt closes to the file converter.

    For events that got lost, and after tables were restored; what is counted already is not counted again.
    """
    inbox = stage.output("InboxName")
    receipts = every_receipt(stage.boto3, stage.files)
    closed = {file.key for file in receipts if file.bucket == inbox and (file.done or file.refused)}
    pages = boto3.client("s3", region_name=stage.region).get_paginator("list_object_versions")
    convert = file_converter(stage)
    delivered = failed = 0
    for page in pages.paginate(Bucket=inbox, Prefix=INCOMING):
        for version in page.get("Versions", []):
            if not version["IsLatest"] or version["Key"] in closed or not version["Size"]:
                continue
            found = Announced(inbox, version["Key"], version["ETag"].strip('"'), version["VersionId"], version["Size"])
            if error := convert([found]):
                failed += 1
                click.echo(f"{shown(found.key)}: failed: {shown(error)}", err=True)
            else:
                delivered += 1
                click.echo(f"{shown(found.key)}: delivered again")
    if failed:
        raise click.ClickException(f"{failed:,} of {failed + delivered:,} files failed")
    click.echo(f"{delivered:,} files delivered again")


def file_converter(stage: Stage) -> Callable[[Sequence[Announced]], str | None]:
    """Return a function that announces objects to the file converter, and returns what it died of, if it did."""
    functions = boto3.client("lambda", region_name=stage.region, config=LONGEST_RUN)

    def convert(objects: Sequence[Announced]) -> str | None:
        payload = json.dumps(event_of(objects))
        answer = functions.invoke(FunctionName=f"visits-{stage.name}-ingestFile", Payload=payload)
        return str(json.load(answer["Payload"]).get("errorMessage")) if "FunctionError" in answer else None

    return convert


def replace(path: Path, content: IO[bytes]) -> None:
    """Write a file, whole or not at all: a link of this name, or an older file, is replaced and not written to."""
    with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as new:
        try:
            shutil.copyfileobj(content, new)
            Path(new.name).replace(path)
        finally:
            Path(new.name).unlink(missing_ok=True)


def rejects_of(file: Path) -> Path:
    """Return where the rejected rows of a loaded file go."""
    return file.with_name(f"{file.name}.rejected.jsonl")


def rejects_in(inbox: str, key: str) -> str:
    """Return where the rejected rows of a delivered file go."""
    return f"s3://{inbox}/{rejects_key(key)}"


def conclude(name: str, result: Result, receipt: Receipt, rejects: str) -> None:
    """Say what became of a file; raise ClickException where not all of it counts."""
    name, rejects = shown(name), shown(rejects)
    if result is Result.REFUSED:
        raise click.ClickException(f"{name} {receipt.reason}; nothing of it is counted")
    if result is Result.ALREADY_INGESTED:
        click.echo(f"{name}: already ingested {receipt.ended_at}, nothing counted")
    else:
        remark = f"; it {receipt.reason}" if receipt.reason else ""
        click.echo(f"{name}: {receipt.visits:,} visits in {receipt.rows_applied:,} rows{remark}")
    if receipt.rows_rejected:
        rows = f"{receipt.rows_rejected:,} of {receipt.rows_read:,} rows"
        raise click.ClickException(f"{rows} of {name} are rejected, see {rejects}")
