"""Lambda entry point of the file converter: S3 event in, receipt out; rejects, alert, metrics and a log line beside."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config
from botocore.exceptions import ClientError

from converter import Converter, Report, Result, Source
from dynamodb import connect
from lines import Limits
from receipts import FilesTable, Receipt
from repository import VisitsTable
from s3_events import Announced, announced_by
from sources import Sources, read_sources, settings_of
from visit_files import rejects_key
from visits import shown

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef
    from mypy_boto3_sns import SNSClient

    from http_utils import Context

MAX_KEY_BYTES = 1024 - len(rejects_key(""))
"""S3 takes keys of 1,024 bytes, and the rejects of a file need one too."""


@dataclass(frozen=True)
class Teller:
    """Tells people what was not counted: the rejected rows beside the inbox, a summary to the topic of alerts."""

    s3: S3Client
    sns: SNSClient
    topic_arn: str
    stage: str

    def tell(self, report: Report) -> None:
        """Write the rejected rows, then send the alert, which says where they are."""
        receipt, file = report
        if file and file.rows_rejected:
            file.rejects.seek(0)
            self.s3.put_object(
                Bucket=receipt.bucket,
                Key=rejects_key(receipt.key),
                Body=file.rejects,
                ContentType="application/x-ndjson",
            )
        self.sns.publish(TopicArn=self.topic_arn, Subject=self._subject(receipt), Message=_summary(report))

    def _subject(self, receipt: Receipt) -> str:
        # SNS takes 100 characters of ASCII, so no file's name.
        what = "a file was refused" if receipt.refused else f"{receipt.rows_rejected:,} rows of a file were rejected"
        return f"Visits {self.stage}: {what}"[:100]


def _summary(report: Report) -> str:
    """Return an alert's text: no value of any row, only which rules were broken where."""
    receipt, file = report
    lines = [f"File: s3://{receipt.bucket}/{shown(receipt.key)}"]
    if receipt.rows_read:
        counted = f"{receipt.rows_read:,} read, {receipt.rows_applied:,} applied, {receipt.rows_rejected:,} rejected"
        lines.append(f"Rows: {counted}")
    if receipt.refused:
        lines.append(f"Refused, nothing was applied: the file {receipt.reason}.")
    elif receipt.reason:
        lines.append(f"Note: the file {receipt.reason}.")
    if file and file.rows_rejected:
        lines += [f"- {reason}" for reason in file.reasons]
        if more := file.rows_rejected - len(file.reasons):
            lines.append(f"- and {more:,} more")
        lines.append(f"Rejected rows: s3://{receipt.bucket}/{shown(rejects_key(receipt.key))}")
    return "\n".join(lines)


_UNREADABLE = {
    "PreconditionFailed": "was replaced before it could be read",
    "InvalidObjectState": "cannot be read: it is in the storage class of an archive; deliver it in STANDARD",
    "InvalidRequest": "cannot be read: it is encrypted with a key of its sender (SSE-C); deliver it without",
}
"""Errors of S3 that come again however often the object is read. AccessDenied is none: it may be our own mistake."""
_OTHER_KEY = "cannot be read: it is encrypted with a KMS key of its sender; deliver it without"


def ingest(announced: Announced, s3: S3Client, converter: Converter, sources: Sources) -> tuple[Result, Receipt]:
    """Count the announced content of a file, and no other, once; return what came of it."""
    source = Source(announced.bucket, announced.key, announced.etag)
    if len(source.key.encode()) > MAX_KEY_BYTES:
        return converter.refuse(source, f"has a name of more than {MAX_KEY_BYTES:,} bytes")
    if announced.size > converter.limits.max_bytes:
        return converter.refuse(source, f"has more than {converter.limits.max_bytes:,} bytes")
    request: GetObjectRequestTypeDef = {"Bucket": source.bucket, "Key": source.key, "IfMatch": f'"{source.etag}"'}
    if announced.version_id:
        request["VersionId"] = announced.version_id
    try:
        answer = s3.get_object(**request)
    except ClientError as error:
        reason = _why_unreadable(error)
        if not reason:
            raise
        return converter.refuse(source, reason)
    # Not `with answer["Body"]`: what that gives checks neither length nor checksum.
    with closing(answer["Body"]) as body:
        # Its time, not ours: read again on another day, it must come to the same plan.
        return converter.convert(source, body, settings_of(source.key, sources), answer["LastModified"])


def _why_unreadable(error: ClientError) -> str | None:
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    # This service uses no KMS key for files, so a refusal to decrypt is never for want of a permission of ours.
    if code.startswith("KMS.") or (code == "AccessDenied" and "kms:Decrypt" in message):
        return _OTHER_KEY
    return _UNREADABLE.get(code)


RESERVE_MS = 60_000
"""A run that has no more time left than this gives up on a conflict, and Lambda delivers its event again."""

# Lambda reads the level of a line only if its time is RFC 3339.
logger = Logger(service="file-converter", use_rfc3339=True)
metrics = Metrics(namespace="Visits", service="file-converter")


@dataclass(frozen=True)
class Environment:
    """What the function is given, read once."""

    s3: S3Client
    converter: Converter
    sources: Sources

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Environment:
        """Return clients and limits as the environment names them."""
        region = environment["AWS_REGION"]
        config = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 3})
        dynamodb = connect(region)
        s3 = boto3.client("s3", region_name=region, config=config)
        sns = boto3.client("sns", region_name=region, config=config)
        limits = Limits(
            max_bytes=int(environment["MAX_FILE_BYTES"]),
            max_uncompressed_bytes=int(environment["MAX_UNCOMPRESSED_BYTES"]),
            max_line_bytes=int(environment["MAX_LINE_BYTES"]),
            max_pairs=int(environment["MAX_PAIRS"]),
            max_rejected_bytes=int(environment["MAX_REJECTED_BYTES"]),
        )
        teller = Teller(s3, sns, environment["ALERTS_TOPIC_ARN"], environment["STAGE"])
        files = FilesTable(dynamodb, environment["FILES_TABLE"])
        visits = VisitsTable(dynamodb, environment["VISITS_TABLE"])
        sources = read_sources(Path(__file__).parent / environment["SOURCES_FILE"])
        return cls(s3, Converter(files, visits, teller.tell, limits), sources)


ENVIRONMENT = Environment.read(os.environ)
metrics.set_default_dimensions(stage=os.environ["STAGE"])


@logger.inject_lambda_context
def ingest_file(event: Mapping[str, Any], context: Context) -> None:
    """Count the file that S3 announces, once. Raises whatever keeps it from that: Lambda delivers the event again.

    Raises NotAnS3Event as well: the event then waits in the queue of those that failed, where it can be looked at.
    """
    # A chunk goes on through conflicts and throttling while there is time for the rest of the run.
    converter = replace(ENVIRONMENT.converter, may_go_on=lambda: context.get_remaining_time_in_millis() > RESERVE_MS)
    for announced in announced_by(event):
        if announced.size == 0:
            logger.info("empty object passed over", extra={"key": announced.key})  # a folder, or a mark of its sender's
            continue
        result, receipt = ingest(announced, ENVIRONMENT.s3, converter, ENVIRONMENT.sources)
        _count(result, receipt)
        logger.info(f"file {result.value}", extra={"file": receipt._asdict()})


def _count(result: Result, receipt: Receipt) -> None:
    names = {
        Result.INGESTED: "FilesIngested",
        Result.ALREADY_INGESTED: "FilesAlreadyIngested",
        Result.REFUSED: "FilesRefused",
    }
    values = dict.fromkeys(names.values(), 0) | {names[result]: 1}
    if result is not Result.ALREADY_INGESTED:
        values |= {"RowsRead": receipt.rows_read, "RowsRejected": receipt.rows_rejected}
        values |= {"VisitsCounted": receipt.visits}
    for name, value in values.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    metrics.flush_metrics()
