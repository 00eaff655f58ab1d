"""The receipts: claimed once, moved chunk by chunk, and read as they stand."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from databases import Reply, ScriptedDynamoDB, aws_error, cancelled, client_at, counts_of, every_receipt
from settings import FILES_TABLE

from dynamodb import Cancelled, ConditionFailed, DynamoDBError, Throttled, Unavailable
from receipts import FenceMoved, FilesTable, Receipt, receipt_of
from repository import VisitsTable
from visits import ALL_EVENTS, DayCount

CLAIM = Receipt(
    "inbox",
    "incoming/visits.csv",
    "e1",
    "applying",
    "2026-11-22T10:00:00.000+00:00",
    digest="d1",
    chunk_size=3,
    chunks=2,
    rows_read=5,
    rows_applied=4,
    rows_rejected=1,
    visits=10,
)
"""Of a file that CHUNKS are the plan of."""

CHUNKS = [
    [DayCount("324", 20171001, 1), DayCount("325", 20171001, 2), DayCount(ALL_EVENTS, 20171001, 3)],
    [DayCount("324", 20171002, 7), DayCount(ALL_EVENTS, 20171002, 7)],
]

STORED = {
    "Bucket": {"S": "inbox"},
    "Key": {"S": "incoming/visits.csv"},
    "ETag": {"S": "e1"},
    "Status": {"S": "applying"},
    "BeganAt": {"S": "2026-11-22T10:00:00.000+00:00"},
    "EndedAt": {"S": ""},
    "Reason": {"S": ""},
    "Digest": {"S": "d1"},
    "ChunkSize": {"N": "3"},
    "Chunks": {"N": "2"},
    "ChunksApplied": {"N": "0"},
    "RowsRead": {"N": "5"},
    "RowsApplied": {"N": "4"},
    "RowsRejected": {"N": "1"},
    "Visits": {"N": "10"},
}
"""CLAIM as DynamoDB has it."""

NOW = "2026-11-22T10:00:01.000+00:00"


@pytest.fixture
def scripted_files(scripted: ScriptedDynamoDB) -> FilesTable:
    """The receipts in the DynamoDB of canned answers, asked once a call."""
    return FilesTable(client_at(scripted.endpoint, max_attempts=1), FILES_TABLE, sleep=lambda _: None)


def counted(visits: VisitsTable) -> list[DayCount]:
    """Return what is in the table of the events that CHUNKS count."""
    events = ("324", "325", ALL_EVENTS)
    return [DayCount(event, day, int(count)) for event in events for day, count in counts_of(visits, event).items()]


def test_a_receipt_is_stored_as_ever(scripted: ScriptedDynamoDB, scripted_files: FilesTable) -> None:
    """The next version of the code has to find the fences of this one: attributes are neither renamed nor left out."""
    scripted.replies = [Reply()]

    scripted_files.claim(CLAIM)

    assert [STORED] == [request["Item"] for request in scripted.requests]


def test_a_new_file_is_claimed(files: FilesTable) -> None:
    """Its receipt is kept, under bucket and key."""
    assert files.claim(CLAIM) is None
    assert files.claim(CLAIM._replace(bucket="other")) is None
    assert files.claim(CLAIM._replace(key="incoming/other.csv")) is None

    assert CLAIM == files.get("inbox", "incoming/visits.csv")


@pytest.mark.parametrize("status", ["applying", "done"])
@pytest.mark.parametrize("etag", ["e1", "e2"])
def test_a_claimed_file_keeps_its_receipt(files: FilesTable, status: str, etag: str) -> None:
    """Whoever comes later is told what stands there, and changes nothing."""
    standing = CLAIM._replace(status=status, chunks_applied=1)
    files.claim(standing)

    assert standing == files.claim(CLAIM._replace(etag=etag, began_at=NOW))
    assert standing == files.get("inbox", "incoming/visits.csv")


def test_a_refused_file_can_be_claimed(files: FilesTable) -> None:
    """Nothing of it was applied, so its name is free for content that can be."""
    files.claim(Receipt("inbox", "incoming/visits.csv", "e0", "refused", NOW, NOW, "has no row"))

    assert files.claim(CLAIM) is None
    assert CLAIM == files.get("inbox", "incoming/visits.csv")


def test_a_claim_that_meets_another_returns_what_dynamodb_says_stands_there(
    scripted: ScriptedDynamoDB, scripted_files: FilesTable
) -> None:
    """The answer to the failed condition has it: there is no moment in between."""
    scripted.replies = [aws_error("ConditionalCheckFailedException", Item={**STORED, "ChunksApplied": {"N": "1"}})]

    assert CLAIM._replace(chunks_applied=1) == scripted_files.claim(CLAIM)
    assert ["ALL_OLD"] == [request["ReturnValuesOnConditionCheckFailure"] for request in scripted.requests]


def test_a_condition_that_nobody_expects_to_fail_is_an_error_of_ours(
    scripted: ScriptedDynamoDB, scripted_files: FilesTable
) -> None:
    """With what stands there."""
    scripted.replies = [aws_error("ConditionalCheckFailedException", Item=STORED)]

    with pytest.raises(ConditionFailed, match="GetItem on visit-files-test: ") as raised:
        scripted_files.get("inbox", "incoming/visits.csv")

    assert STORED == raised.value.item


def test_an_unknown_file_has_no_receipt(files: FilesTable) -> None:
    """Neither under its name elsewhere."""
    files.claim(CLAIM)

    assert files.get("other", "incoming/visits.csv") is None
    assert files.get("inbox", "visits.csv") is None


def test_a_receipt_is_read_as_it_stands_now(scripted: ScriptedDynamoDB, scripted_files: FilesTable) -> None:
    """An eventually consistent read could miss a chunk that was applied."""
    scripted.replies = [Reply(body=json.dumps({"Item": STORED}))]

    assert CLAIM == scripted_files.get("inbox", "incoming/visits.csv")
    assert [True] == [request["ConsistentRead"] for request in scripted.requests]


def test_every_receipt_is_listed_the_last_begun_first(moto: str, files: FilesTable) -> None:
    """Whatever became of the file."""
    first = CLAIM._replace(key="incoming/b.csv", began_at="2026-11-21T10:00:00.000+00:00", status="done")
    second = CLAIM._replace(key="incoming/a.csv", began_at="2026-11-22T09:00:00.000+00:00")
    third = CLAIM._replace(key="incoming/c.csv", status="refused", reason="has no row")
    for receipt in (second, third, first):
        files.claim(receipt)

    assert [third, second, first] == every_receipt(moto, files)


def test_every_page_of_receipts_is_followed(scripted: ScriptedDynamoDB, scripted_files: FilesTable) -> None:
    """DynamoDB ends a page at 1 MB."""
    place, further = ({"Bucket": STORED["Bucket"], "Key": {"S": key}} for key in ("incoming/m.csv", "incoming/n.csv"))
    other = {**STORED, "Key": {"S": "incoming/other.csv"}, "BeganAt": {"S": NOW}}
    scripted.replies = [
        Reply(body=json.dumps({"Items": [STORED], "LastEvaluatedKey": place})),
        Reply(body=json.dumps({"Items": [], "LastEvaluatedKey": further})),
        Reply(body=json.dumps({"Items": [other]})),
    ]

    assert [CLAIM._replace(key="incoming/other.csv", began_at=NOW), CLAIM] == every_receipt(
        scripted.endpoint, scripted_files
    )
    assert [None, place, further] == [request.get("ExclusiveStartKey") for request in scripted.requests]


def test_a_chunk_moves_the_fence_by_one_with_its_additions(files: FilesTable, table: VisitsTable) -> None:
    """What stood in the table before is added to."""
    table.add("324", 20171001, 5)
    files.claim(CLAIM)

    after = files.apply(CLAIM, CHUNKS[0], table, NOW)

    assert CLAIM._replace(chunks_applied=1) == after
    assert after == files.get("inbox", "incoming/visits.csv")
    assert [("324", 20171001, 6), ("325", 20171001, 2), ("all", 20171001, 8)] == counted(table)


def test_the_last_chunk_closes_the_receipt(files: FilesTable, table: VisitsTable) -> None:
    """With the time it is given."""
    files.claim(CLAIM)

    after = files.apply(files.apply(CLAIM, CHUNKS[0], table, "too early"), CHUNKS[1], table, NOW)

    assert CLAIM._replace(chunks_applied=2, status="done", ended_at=NOW) == after
    assert after == files.get("inbox", "incoming/visits.csv")
    assert [
        ("324", 20171001, 1),
        ("324", 20171002, 7),
        ("325", 20171001, 2),
        ("all", 20171001, 3),
        ("all", 20171002, 7),
    ] == counted(table)


def test_a_chunk_is_applied_once(files: FilesTable, table: VisitsTable) -> None:
    """Who comes second learns that the fence has moved, and adds nothing."""
    files.claim(CLAIM)
    after = files.apply(CLAIM, CHUNKS[0], table, NOW)
    before = counted(table)

    with pytest.raises(FenceMoved, match=r"incoming/visits\.csv no longer stands at chunk 0"):
        files.apply(CLAIM, CHUNKS[0], table, NOW)

    assert before == counted(table)
    assert after == files.get("inbox", "incoming/visits.csv")


@pytest.mark.parametrize(
    "believed",
    [
        CLAIM._replace(chunks_applied=1),
        CLAIM._replace(digest="d2"),
        CLAIM._replace(key="incoming/never-claimed.csv"),
        CLAIM._replace(bucket="other"),
    ],
    ids=["ahead of the fence", "of another plan", "without a receipt", "in another bucket"],
)
def test_a_chunk_that_is_not_the_next_is_not_applied(
    moto: str, files: FilesTable, table: VisitsTable, believed: Receipt
) -> None:
    """The table and the receipts stay as they are."""
    files.claim(CLAIM)

    with pytest.raises(FenceMoved):
        files.apply(believed, CHUNKS[1], table, NOW)

    assert [] == counted(table)
    assert [CLAIM] == every_receipt(moto, files)


@pytest.mark.parametrize(
    "codes",
    [
        ("TransactionConflict", "None", "None", "None"),
        ("None", "TransactionConflict", "None", "TransactionConflict"),
        ("None", "None", "ThrottlingError", "None"),
        ("ProvisionedThroughputExceeded", "None", "None", "None"),
    ],
)
def test_a_chunk_waits_conflicts_and_throttling_out_with_one_token(
    scripted: ScriptedDynamoDB, scripted_files: FilesTable, scripted_table: VisitsTable, codes: tuple[str, ...]
) -> None:
    """On the fence and on the items alike; it is one and the same transaction each time."""
    scripted.replies = [cancelled(*codes), cancelled(*codes), Reply()]

    assert CLAIM._replace(chunks_applied=1) == scripted_files.apply(CLAIM, CHUNKS[0], scripted_table, NOW)

    assert 3 == len(scripted.requests)
    assert [scripted.requests[0]] * 3 == scripted.requests
    assert scripted.requests[0]["ClientRequestToken"]


def test_two_chunks_have_two_tokens(
    scripted: ScriptedDynamoDB, scripted_files: FilesTable, scripted_table: VisitsTable
) -> None:
    """Else DynamoDB would take the second for the first again."""
    scripted.replies = [Reply()]

    scripted_files.apply(scripted_files.apply(CLAIM, CHUNKS[0], scripted_table, NOW), CHUNKS[1], scripted_table, NOW)

    assert 2 == len({request["ClientRequestToken"] for request in scripted.requests})


def test_a_moved_fence_counts_more_than_a_conflict(
    scripted: ScriptedDynamoDB, scripted_files: FilesTable, scripted_table: VisitsTable
) -> None:
    """To wait would be in vain: someone else has applied the chunk."""
    scripted.replies = [cancelled("ConditionalCheckFailed", "TransactionConflict", "None", "None")]

    with pytest.raises(FenceMoved):
        scripted_files.apply(CLAIM, CHUNKS[0], scripted_table, NOW)

    assert 1 == len(scripted.requests)


@pytest.mark.parametrize(
    "codes",
    [
        ("None", "ValidationError", "None", "None"),
        ("None", "ItemCollectionSizeLimitExceeded", "TransactionConflict", "None"),
        ("AccessDynamoDBError", "None", "None", "None"),
        ("None", "ConditionalCheckFailed", "None", "None"),
    ],
)
def test_a_chunk_cancelled_for_any_other_reason_is_an_error_with_the_reasons(
    scripted: ScriptedDynamoDB, scripted_files: FilesTable, scripted_table: VisitsTable, codes: tuple[str, ...]
) -> None:
    """Asking again would not help, and nothing is taken for applied."""
    scripted.replies = [cancelled(*codes)]

    with pytest.raises(Cancelled) as raised:
        scripted_files.apply(CLAIM, CHUNKS[0], scripted_table, NOW)

    assert list(codes) == list(raised.value.codes)
    assert 1 == len(scripted.requests)


@pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("GetItem", lambda files, _: files.get("inbox", "incoming/visits.csv")),
        ("PutItem", lambda files, _: files.claim(CLAIM)),
        ("TransactWriteItems", lambda files, visits: files.apply(CLAIM, CHUNKS[0], visits, NOW)),
    ],
    ids=["get", "claim", "apply"],
)
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (aws_error("ThrottlingException"), Throttled),
        (aws_error("InternalServerError", 500), Unavailable),
        (aws_error("TransactionInProgressException"), Throttled),
        (Reply(cut=True), Unavailable),
        (aws_error("AccessDynamoDBErrorException"), DynamoDBError),
        (aws_error("ResourceNotFoundException"), DynamoDBError),
        (aws_error("ValidationException"), DynamoDBError),
    ],
    ids=lambda value: ascii(value.body[:60]) if isinstance(value, Reply) else value.__name__,
)
def test_a_failed_call_for_receipts_is_one_of_our_own_errors(
    scripted: ScriptedDynamoDB,
    scripted_files: FilesTable,
    scripted_table: VisitsTable,
    operation: str,
    call: Callable[[FilesTable, VisitsTable], object],
    reply: Reply,
    kind: type[DynamoDBError],
) -> None:
    """It names operation and table; none of them is taken for `nothing there`."""
    scripted.replies = [reply]

    with pytest.raises(DynamoDBError) as raised:
        call(scripted_files, scripted_table)

    assert kind is type(raised.value)
    assert str(raised.value).startswith(operation)


@pytest.mark.parametrize(
    ("status", "done", "refused"), [("applying", False, False), ("done", True, False), ("refused", False, True)]
)
def test_a_receipt_says_how_its_file_stands(status: str, done: bool, refused: bool) -> None:
    """A file that is neither done nor refused is being applied, or waits for whoever goes on with it."""
    receipt = CLAIM._replace(status=status)

    assert (done, refused) == (receipt.done, receipt.refused)


def test_an_item_of_another_kind_is_no_receipt() -> None:
    """An item without a receipt's attributes is an error that names the first of them."""
    with pytest.raises(DynamoDBError, match="a receipt without 'Bucket' is not"):
        receipt_of({"EventId": {"S": "324"}})
