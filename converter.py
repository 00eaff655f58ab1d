"""From a file's bytes to the table, exactly once: read all of it, claim it, apply it chunk by chunk."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from lines import BadFile, Limits, Stream
from plan import MAX_CHUNK_SIZE, cut, digest
from receipts import FenceMoved, FilesTable, Receipt
from sources import NO_SETTINGS, Settings
from visit_files import VisitFile

if TYPE_CHECKING:
    from repository import VisitsTable

PATIENCE_S = 1.0
"""A chunk takes some 20 ms: a file that stands still for a second or two has lost whoever was at it."""


class Result(Enum):
    """What a delivery came to."""

    INGESTED = "ingested"
    ALREADY_INGESTED = "already ingested"
    REFUSED = "refused"


class Source(NamedTuple):
    """A file's name (bucket and object key) and the version of its content."""

    bucket: str
    key: str
    etag: str


class Report(NamedTuple):
    """What people are to be told: the receipt as it is or will be, and the file, if its bad rows are to be kept."""

    receipt: Receipt
    file: VisitFile | None


class RulesChanged(Exception):
    """A file that was begun reads differently now: neither its other chunks nor all of it may be applied."""


@dataclass(frozen=True)
class Converter:
    """Converts files into counts. `tell` must not return before what it is told is safe; it may be told twice."""

    files: FilesTable
    visits: VisitsTable
    tell: Callable[[Report], None]
    limits: Limits
    chunk_size: int = MAX_CHUNK_SIZE
    patience_s: float = PATIENCE_S
    may_go_on: Callable[[], bool] = lambda: False
    """Whether there is time to wait longer for conflicts and throttling to pass."""
    sleep: Callable[[float], None] = time.sleep
    progress: Callable[[Receipt], None] = lambda _: None

    def convert(
        self, source: Source, stream: Stream, settings: Settings = NO_SETTINGS, delivered: datetime | None = None
    ) -> tuple[Result, Receipt]:
        """Count a file's rows once, however often it is delivered, and return what came of it.

        A file is known by its name. Its content again: what is left of it is done, or nothing. Other content: refused.
        Its source's settings and when it was delivered (now, by default) say how it is read: they are part of the plan.
        Raises DynamoDBError, RulesChanged, or what `stream` and `tell` raise: then deliver it again.
        """
        # Tomorrow has begun east of UTC. A later day is a slip, and would be the newest day for years.
        tomorrow = (delivered or datetime.now(UTC)).astimezone(UTC) + timedelta(days=1)
        with VisitFile(settings, self.limits, last_day=int(f"{tomorrow:%Y%m%d}")) as file:
            try:
                file.read(source.key, stream)
            except BadFile as error:
                return self.refuse(source, str(error), file)
            return self._apply(source, file)

    def refuse(self, source: Source, reason: str, file: VisitFile | None = None) -> tuple[Result, Receipt]:
        """Tell that nothing of a file was applied, and why, and write that down where it has no other receipt."""
        standing = self.files.get(source.bucket, source.key)
        if standing and standing.etag == source.etag and not standing.refused:
            return self._already(standing)  # it was good when it was begun, under other rules
        if standing and not standing.refused:
            file = None  # its bad rows must not take the place of those of the file that was counted
        now = _now()
        receipt = Receipt(*source, "refused", now, now, reason)
        if file:
            receipt = receipt._replace(rows_read=file.rows_read, rows_rejected=file.rows_rejected)
        if not standing or (standing.status, standing.etag, standing.reason) != ("refused", source.etag, reason):
            self.tell(Report(receipt, file))
        self.files.claim(receipt)
        return Result.REFUSED, receipt

    def _apply(self, source: Source, file: VisitFile) -> tuple[Result, Receipt]:
        chunks = cut(file.counts, self.chunk_size)
        receipt = Receipt(
            *source,
            "applying",
            _now(),
            reason=file.remark,
            digest=digest(file.counts),
            chunk_size=self.chunk_size,
            chunks=len(chunks),
            rows_read=file.rows_read,
            rows_applied=file.rows_applied,
            rows_rejected=file.rows_rejected,
            visits=sum(file.counts.values()),
        )
        standing = self.files.claim(receipt)
        if standing:
            if standing.etag != source.etag:
                name = f"has the name of a file of {standing.began_at}"
                return self.refuse(source, f"{name} with other content; deliver it under a name of its own")
            if standing.done or standing.digest != receipt.digest:
                return self._already(standing)
            receipt = self._wait_for_others(standing)
            # The stored chunk size cuts the same chunks again, whatever size this version would choose.
            chunks = cut(file.counts, receipt.chunk_size)
        result = Result.ALREADY_INGESTED
        while not receipt.done:
            if receipt.chunks_applied == receipt.chunks - 1 and file.rows_rejected:
                # Before the chunk that closes the receipt: whoever dies in between leaves it open, and people are told
                # again. Afterwards, nobody would come back to tell them.
                self.tell(Report(receipt, file))
            try:
                receipt = self.files.apply(receipt, chunks[receipt.chunks_applied], self.visits, _now(), self.may_go_on)
                self.progress(receipt)
                if receipt.done:  # whoever closes it has ingested it, however many others helped
                    result = Result.INGESTED
            except FenceMoved:
                receipt = self._wait_for_others(self._standing(receipt))
        return result, receipt

    def _already(self, standing: Receipt) -> tuple[Result, Receipt]:
        if standing.done:
            return Result.ALREADY_INGESTED, standing
        begun = f"{standing.chunks_applied:,} of {standing.chunks:,} chunks"
        raise RulesChanged(f"{standing.key} was begun by other rules, which made another plan of it ({begun} applied)")

    def _wait_for_others(self, receipt: Receipt) -> Receipt:
        """Return the receipt when it is closed, or has stood still for long enough: then its file is ours.

        To wait costs one read a look; to race whoever is at it, a cancelled transaction a chunk. Either is safe.
        """
        while not receipt.done:
            # Each waits another while, so that of several one goes on and the others see it move.
            self.sleep(self.patience_s * random.uniform(1, 2))
            later = self._standing(receipt)
            if later.chunks_applied == receipt.chunks_applied:
                return later
            receipt = later
        return receipt

    def _standing(self, receipt: Receipt) -> Receipt:
        standing = self.files.get(receipt.bucket, receipt.key)
        if standing is None or standing.digest != receipt.digest:
            raise RulesChanged(f"the receipt of {receipt.key} was taken away or changed by hand")
        return standing


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
