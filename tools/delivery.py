"""Commands that deliver files, by hand or again: load, upload, replay, redeliver."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, unquote_plus

import boto3
import click
from botocore.config import Config

from converter import Converter, Report, Result, Source
from lines import Limits
from tools.stage import Stage, on_stage, on_tables
from tools.tables import every_receipt
from tools.terminal import progress_bar
from visit_files import rejects_key

if TYPE_CHECKING:
    from receipts import Receipt

HERE = "(command line)"
"""Stands for a bucket in the receipts of files that were loaded from here; no bucket can have this name."""

POLL_S = 0.2
LONGEST_RUN = Config(connect_timeout=5, read_timeout=930, retries={"total_max_attempts": 1})
"""A function may take 900 s, and must not be invoked again because nobody waited for it."""


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
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
        converter = Converter(
            stage.files, stage.visits, keep_rejects, Limits(), may_go_on=lambda: True, progress=progress
        )
        # A name that is not UTF-8 comes with surrogates, which DynamoDB does not take.
        name = os.fsencode(file.name).decode(errors="replace")
        result, receipt = converter.convert(Source(HERE, f"{etag}/{name}", etag), content)
    conclude(file.name, result, receipt, str(rejects_of(file)))


@click.command()
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


@click.command()
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


@click.command()
@on_stage
def redeliver(stage: Stage) -> None:
    """Feed the files of the inbox that no receipt closes to the file converter.

    For events that got lost, and after tables were restored; what is counted already is not counted again.
    """
    inbox = stage.output("InboxName")
    closed = {
        file.key
        for file in every_receipt(stage.boto3, stage.files)
        if file.bucket == inbox and (file.done or file.refused)
    }
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
