"""The receipts of files, `visit-files-<stage>`: what became of each, and the fence that has it counted once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dynamodb import Cancelled, ConditionFailed, DynamoDBError, Item, Table

if TYPE_CHECKING:
    from repository import VisitsTable
    from visits import DayCount


class FenceMoved(DynamoDBError):
    """A chunk was not applied: someone else has brought the file further, or the plan is another one."""


class Receipt(NamedTuple):
    """What became, or is becoming, of one file. Times are ISO 8601, UTC."""

    bucket: str
    key: str
    etag: str
    status: str
    """`applying`, `done` or `refused`."""
    began_at: str
    ended_at: str = ""
    reason: str = ""
    """Why it was refused, or a remark on how it was counted."""
    digest: str = ""
    """SHA-256 of the plan, see plan.py."""
    chunk_size: int = 0
    chunks: int = 0
    chunks_applied: int = 0
    rows_read: int = 0
    rows_applied: int = 0
    rows_rejected: int = 0
    visits: int = 0
    """The sum over the rows applied."""

    @property
    def done(self) -> bool:
        """Whether every chunk was applied."""
        return self.status == "done"

    @property
    def refused(self) -> bool:
        """Whether nothing was applied, and nothing will be."""
        return self.status == "refused"


class FilesTable(Table):
    """The receipts, one a file: partition key `Bucket`, sort key `Key`. A receipt is the fence of its file.

    Each chunk is one transaction that moves `ChunksApplied` from n to n+1, on condition that it stands at n, together
    with the chunk's additions. So chunk n is applied once, by whoever comes first. Two deliveries of one file:

        A: claim (n = 0) | chunk 0 (n = 1) |                    | chunk 1: n is 2, cancelled | look: done
        B:               | claim: exists,  | look: n = 1        |                            |
                         | n = 0           | chunk 1 (n = 2),   |
                         |                 | status done        |

    A's chunk 1 would have counted a second time; its condition fails, and with it all of its additions. Where A dies
    instead, anywhere, n says what was applied: B goes on from there. Where an answer to A is lost, A's client sends the
    same transaction again with the same token; and if A dies of it, n again says what was applied.
    """

    def get(self, bucket: str, key: str) -> Receipt | None:
        """Return a file's receipt as it stands now, or None."""
        answer = self._call("GetItem", Key=_file_key(bucket, key), ConsistentRead=True)
        return receipt_of(answer["Item"]) if "Item" in answer else None

    def claim(self, receipt: Receipt) -> Receipt | None:
        """Write the first receipt of a file, or of one that was refused; else return the receipt that stands there."""
        try:
            self._call(
                "PutItem",
                Item=item_of(receipt),
                # No receipt yet: claimed. A refused one: nothing of it was applied, so this content may be.
                # Any other: whoever wrote it may have applied chunks, and it must stay.
                ConditionExpression="attribute_not_exists(#key) OR #status = :refused",
                ExpressionAttributeNames={"#key": "Key", "#status": "Status"},
                ExpressionAttributeValues={":refused": {"S": "refused"}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as failed:
            return receipt_of(failed.item)
        return None

    def apply(
        self,
        receipt: Receipt,
        chunk: Sequence[DayCount],
        visits: VisitsTable,
        now: str,
        may_go_on: Callable[[], bool] = lambda: False,
    ) -> Receipt:
        """Apply the next chunk, once whoever else tries, and return the receipt after it; the last one closes it.

        Conflicts and throttling are waited out for as long as `may_go_on()` says so. Raises FenceMoved where another
        chunk than this is the next, and as every call.
        """
        after = receipt._replace(chunks_applied=receipt.chunks_applied + 1)
        if after.chunks_applied == after.chunks:
            after = after._replace(status="done", ended_at=now)
        fence = {
            "Update": {
                "TableName": self.name,
                "Key": _file_key(receipt.bucket, receipt.key),
                "UpdateExpression": "SET ChunksApplied = :after, #status = :status, EndedAt = :ended",
                # Stands at n: this chunk is the next. Has this digest: n counts the chunks of this very plan.
                "ConditionExpression": "ChunksApplied = :before AND Digest = :digest",
                "ExpressionAttributeNames": {"#status": "Status"},
                "ExpressionAttributeValues": {
                    ":before": _n(receipt.chunks_applied),
                    ":after": _n(after.chunks_applied),
                    ":digest": {"S": receipt.digest},
                    ":status": {"S": after.status},
                    ":ended": {"S": after.ended_at},
                },
            }
        }
        try:
            self._transact([fence, *(visits.addition(row) for row in chunk)], may_go_on)
        except Cancelled as cancelled:
            if cancelled.codes[0] != "ConditionalCheckFailed":
                raise
            raise FenceMoved(f"{receipt.key} no longer stands at chunk {receipt.chunks_applied:,}") from cancelled
        return after


# The attribute of each of a receipt's fields.
_ATTRIBUTES = {field: "ETag" if field == "etag" else field.title().replace("_", "") for field in Receipt._fields}


def item_of(receipt: Receipt) -> Item:
    """Return a receipt as it is stored."""
    return {
        _ATTRIBUTES[field]: _n(value) if isinstance(value, int) else {"S": value}
        for field, value in receipt._asdict().items()
    }


def receipt_of(item: Item) -> Receipt:
    """Return the receipt that an item is; raise DynamoDBError for an item of another kind."""
    values = (item[_ATTRIBUTES[field]] for field in Receipt._fields)
    try:
        return Receipt._make(int(value["N"]) if "N" in value else value["S"] for value in values)
    except KeyError as error:
        raise DynamoDBError(f"a receipt without {error} is not one of ours") from error


def _file_key(bucket: str, key: str) -> Item:
    return {"Bucket": {"S": bucket}, "Key": {"S": key}}


def _n(number: int) -> dict[str, str]:
    return {"N": str(number)}
