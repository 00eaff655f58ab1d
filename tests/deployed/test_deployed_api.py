"""The HTTP contract, asked of the deployed API: what is answered, page by page, and every error."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

import pytest
from cloud import Api, authorized_by, configured, pages, rows
from databases import ScriptedDynamoDB, aws_error
from samples import BOOK_324, calendar
from settings import TABLE

from repository import VisitsTable
from tools.local_cloud import LocalCloud

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, WriteRequestTypeDef


def test_the_counts_of_the_book_from_a_day_on(book_api: Api) -> None:
    """The body is exactly the book's rows from that day on, the oldest first, and any web page may read it."""
    answer = book_api.get("/visits/324?startDate=20171002")

    assert 200 == answer.status
    assert "application/json" == answer.headers["Content-Type"]
    assert "*" == answer.headers["Access-Control-Allow-Origin"]
    expected = ",\n".join(
        f'{{"EventCount": {visits}, "EventDay": {day}, "EventId": "324"}}'
        for day, visits in BOOK_324.items()
        if day >= 20171002
    )
    assert f"[\n{expected}\n]\n" == answer.body.decode()


def problem(status: int, title: str, detail: str, parameter: str | None = None) -> dict[str, object]:
    """Return the whole body of an error of ours."""
    body = {"title": title, "status": status, "detail": detail, "message": detail}
    return {**body, "parameter": parameter} if parameter else body


@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
    [
        ("startDate=20171399", "startDate", "startDate '20171399' is not a calendar date (YYYYMMDD)"),
        ("startDate=abc", "startDate", "startDate 'abc' is not a calendar date (YYYYMMDD)"),
        ("startDate=", "startDate", "startDate '' is not a calendar date (YYYYMMDD)"),
        ("endDate=2017-02-29", "endDate", "endDate '2017-02-29' is not a calendar date (YYYYMMDD)"),
        ("startDate=20171002&endDate=20171001", "endDate", "endDate 20171001 is before startDate 20171002"),
        ("limit=5&limit=5", "limit", "limit is given 2 times, where one value is allowed"),
        ("limit=10001", "limit", "limit '10001' is not a whole number from 1 to 10,000"),
        ("startdate=20171002", "startDate", "startdate is not a parameter; startDate is"),
        ("last=3&endDate=today", "last", "last 3 cannot be given together with endDate"),
        ("interval=hour", "interval", "interval 'hour' is not day, week, month, quarter, year or total"),
        ("order=%00", "order", r"order '\x00' is not asc or desc"),
        ("fill=null", "fill", "fill 'null' is not zero"),
        ("format=xml", "format", "format 'xml' is not json or csv"),
    ],
)
def test_400_names_the_parameter_the_value_and_the_rule(api: Api, query: str, parameter: str, detail: str) -> None:
    """The problem names all three, also to a client that asked for CSV."""
    answer = api.get(f"/visits/324?{query}", {"Accept": "text/csv"})

    assert (400, "application/problem+json") == (answer.status, answer.headers["Content-Type"])
    assert ("*", "no-store") == (answer.headers["Access-Control-Allow-Origin"], answer.headers["Cache-Control"])
    assert problem(400, "Bad Request", detail, parameter) == answer.json()


@pytest.mark.parametrize(
    ("resource_id", "shown"),
    [("abc", "'abc'"), ("%C2%B2", "'²'"), ("-1", "'-1'"), ("ALL", "'ALL'"), ("3%0A", r"'3\n'")],
)
def test_404_where_the_id_is_neither_digits_nor_all(api: Api, resource_id: str, shown: str) -> None:
    """An id that no event can have is not found, before anything else of the request is looked at."""
    answer = api.get(f"/visits/{resource_id}?startDate=abc")

    assert (404, "application/problem+json") == (answer.status, answer.headers["Content-Type"])
    detail = f"resourceId {shown} is neither a number (ASCII digits) nor 'all'"
    assert problem(404, "Not Found", detail, "resourceId") == answer.json()


@pytest.mark.parametrize("path", ["/", "/visits/324/", "/visits/324/days"])
def test_404_where_there_is_no_such_route(api: Api, path: str) -> None:
    """A path without a route is answered in API Gateway's own words."""
    answer = api.get(path)

    assert 404 == answer.status
    assert {"message": "Not Found"} == answer.json()


def test_401_and_403_where_the_gateway_lets_nobody_in(cloud: LocalCloud, api: Api) -> None:
    """A request without authorization is answered in API Gateway's own words, and the function is not called."""
    with authorized_by(cloud, "JWT"):
        unauthorized = api.get("/visits/324")
    with authorized_by(cloud, "AWS_IAM"):
        forbidden = api.get("/visits/324")

    assert (401, {"message": "Unauthorized"}) == (unauthorized.status, unauthorized.json())
    assert (403, {"message": "Forbidden"}) == (forbidden.status, forbidden.json())
    assert 200 == api.get("/visits/324").status


@pytest.mark.parametrize("path", ["/visits/324", "/visits/324?limit=0", "/visits?last=1", "/visits/324/chart"])
def test_head_is_answered_as_get_without_a_body(book_api: Api, path: str) -> None:
    """A HEAD request gets the status and the headers of the GET."""
    get, head = book_api.get(path), book_api.get(path, method="HEAD")

    assert get.body
    assert (get.status, b"") == (head.status, head.body)
    for name in ("Content-Type", "ETag", "Link", "Cache-Control", "Vary", "X-Content-Type-Options"):
        assert get.headers[name] == head.headers[name]


def test_an_event_nobody_visited_is_an_empty_series(api: Api) -> None:
    """An event without visits is no error: its id is well-formed, and its first visit may come tomorrow."""
    assert [] == rows(api.get("/visits/4711"))
    assert [] == rows(api.get("/visits/4711?fill=zero&interval=week&startDate=20171001"))
    assert "EventId,EventDay,EventCount\n" == api.get("/visits/4711?format=csv").text()


def put(cloud: LocalCloud, items: Sequence[Mapping[str, AttributeValueTypeDef]]) -> None:
    """Write items past the service, so that `all` knows nothing of them."""
    client = cloud.client("dynamodb")
    for some in batched(items, 25, strict=False):
        requests: list[WriteRequestTypeDef] = [{"PutRequest": {"Item": item}} for item in some]
        answer = client.batch_write_item(RequestItems={TABLE: requests})
        assert {} == answer["UnprocessedItems"]


def test_rows_over_several_of_dynamodbs_pages_are_answered_whole(cloud: LocalCloud, api: Api) -> None:
    """Rows of all of DynamoDB's pages are answered, in both orders, `limit` of them at most at a time, and in sums."""
    days = calendar(date(2100, 1, 1), 12_000)
    # DynamoDB's page is 1 MB of whole items, so these few rows fill several pages only because they are large.
    # (MiniStack reads a whole partition for each Query: with many rows it would take longer than the client waits.)
    items: list[dict[str, AttributeValueTypeDef]] = [
        {
            "EventId": {"S": "3001"},
            "EventDay": {"N": f"{day}"},
            "EventCount": {"N": f"{day % 9}"},
            "Note": {"S": "x" * 250},
        }
        for day in days
    ]
    put(cloud, items)
    first_page = cloud.client("dynamodb").query(
        TableName=TABLE, KeyConditionExpression="EventId = :id", ExpressionAttributeValues={":id": {"S": "3001"}}
    )
    assert first_page["Count"] < 5_000
    assert "LastEvaluatedKey" in first_page

    upwards = [rows(page) for page in pages(api, "/visits/3001")]
    assert [(day, day % 9) for day in days] == [row for page in upwards for row in page]
    assert [10_000, 2_000] == list(map(len, upwards))
    downwards = [row for page in pages(api, "/visits/3001?order=desc&limit=9999") for row in rows(page)]
    assert [(day, day % 9) for day in reversed(days)] == downwards
    assert [(21000101, sum(day % 9 for day in days))] == rows(api.get("/visits/3001?interval=total"))
    years = [row for page in pages(api, "/visits/3001?interval=year&limit=20") for row in rows(page)]
    assert [int(f"{year}0101") for year in range(2100, 2133)] == [day for day, _ in years]
    assert sum(day % 9 for day in days) == sum(count or 0 for _, count in years)


def test_gaps_are_filled_with_0_where_data_has_arrived_and_null_where_not(api: Api, cloud_table: VisitsTable) -> None:
    """Gaps are 0 or null over a year's end and a leap day, by day, week and month, and page by page."""
    for day, event in [(19991230, "3101"), (20000102, "3102"), (20000229, "3101"), (20000301, "3102")]:
        cloud_table.add(event, day, 5)

    path = "/visits/3101?fill=zero&endDate=20000302"
    whole = rows(api.get(path))
    expected = dict.fromkeys(calendar(date(1999, 12, 30), 64)) | {19991230: 5, 20000102: 0, 20000229: 5, 20000301: 0}
    assert list(expected.items()) == whole
    assert whole == [row for page in pages(api, f"{path}&limit=10") for row in rows(page)]
    assert whole[::-1] == [row for page in pages(api, f"{path}&limit=10&order=desc") for row in rows(page)]
    weeks = rows(api.get(f"{path}&interval=week"))
    assert [(19991227, 5), (20000103, None), (20000110, None)] == weeks[:3]
    assert [(20000214, None), (20000221, None), (20000228, 5)] == weeks[-3:]
    months = rows(api.get(f"{path}&interval=month"))
    assert [(19991201, 5), (20000101, 0), (20000201, 5), (20000301, 0)] == months
    assert 10 == sum(count for _, count in rows(api.get("/visits/3101")) if count)
    assert [(19991230, 10)] == rows(api.get(f"{path}&interval=total"))


def test_several_events_are_answered_and_compared(api: Api, cloud_table: VisitsTable) -> None:
    """Each of twenty events has its rows, day by day in the order of the ids, beside those of the days before."""
    ids = [f"33{n:02}" for n in range(20)]
    for number, event in enumerate(ids):
        for day in calendar(date(1992, 12, 30), 4):
            cloud_table.add(event, day, number + day % 10)

    answer = api.get(f"/visits/{','.join(ids)}?startDate=19930101&endDate=1993-01-02&compare=previous")

    expected = [
        {"EventCount": number + day % 10, "EventDay": day, "EventId": event, "PreviousCount": number + previous % 10}
        for day, previous in ((19930101, 19921230), (19930102, 19921231))
        for number, event in enumerate(ids)
    ]
    assert expected == answer.json()
    every = rows(api.get(f"/visits/{','.join(ids)}?endDate=19930102"))
    assert every == [
        row for page in pages(api, f"/visits/{','.join(ids)}?endDate=19930102&limit=33") for row in rows(page)
    ]


def test_events_are_listed_with_the_sums_of_their_series(api: Api, cloud_table: VisitsTable) -> None:
    """The most visited come first, page by page; the sums are those of the series, and an event without visits is 0."""
    for event, day, visits in [
        ("3402", 19960101, 7),
        ("3401", 19960101, 2),
        ("3401", 19960103, 5),
        ("3403", 19960102, 9),
        ("3403", 19960102, -9),
        ("3404", 19960104, 100),
    ]:
        cloud_table.add(event, day, visits)

    path = "/visits?startDate=1996-01-01&endDate=1996-01-03"
    listed: Any = api.get(path).json()
    assert [
        {"EventCount": 7, "EventId": "3401", "FirstDay": 19960101, "LastDay": 19960103},
        {"EventCount": 7, "EventId": "3402", "FirstDay": 19960101, "LastDay": 19960101},
        {"EventCount": 0, "EventId": "3403", "FirstDay": 19960102, "LastDay": 19960102},
    ] == listed
    total = api.get("/visits/3401,3402,3403?startDate=19960101&endDate=19960103&interval=total")
    assert [row["EventCount"] for row in listed] == [count for _, count in rows(total)]
    assert listed == [row for page in pages(api, f"{path}&limit=1") for row in cast("list[Any]", page.json())]
    assert (
        "EventId,EventCount,FirstDay,LastDay\n3401,5,1996-01-03,1996-01-03\n"
        == api.get("/visits?startDate=19960103&endDate=19960103&days=iso", {"Accept": "text/csv"}).text()
    )


def test_the_last_days_come_to_dates_that_can_be_kept(api: Api, cloud_table: VisitsTable) -> None:
    """The link to itself has the dates of the newest days, for series and for the list."""
    cloud_table.add("3501", 20200301, 3)

    for path in ("/visits/3501?last=3&fill=zero", "/visits?last=3"):
        answer = api.get(path)
        kept = answer.links()["self"]
        start, end = re.findall(r"startDate=(\d{8})&endDate=(\d{8})", kept)[0]
        assert 2 == (date.fromisoformat(end) - date.fromisoformat(start)).days
        assert end >= "20200301"
        assert (answer.status, answer.body, answer.headers["ETag"]) == (
            (again := api.get(kept)).status,
            again.body,
            again.headers["ETag"],
        )


def test_all_time_is_bounded_by_the_limit(book_api: Api) -> None:
    """An answer has 10,000 rows at most, and a link to the next ones."""
    answer = book_api.get("/visits/324?fill=zero&startDate=00010101&endDate=99991231")

    assert 10_000 == len(rows(answer))
    assert "/visits/324?startDate=00280519&endDate=99991231&fill=zero" == answer.links()["next"]


def test_one_url_gives_json_and_csv(book_api: Api) -> None:
    """The parameter `format` decides; without it the header `Accept`, and without both the answer is JSON."""
    path = "/visits/324?startDate=20171016"
    csv = "EventId,EventDay,EventCount\n324,20171016,6\n324,20171017,2\n"

    assert [(20171016, 6), (20171017, 2)] == rows(book_api.get(path, {"Accept": "text/html, application/xml;q=0.9"}))
    for answer in (book_api.get(f"{path}&format=csv"), book_api.get(path, {"Accept": "text/csv, */*;q=0.1"})):
        assert "text/csv; charset=utf-8; header=present" == answer.headers["Content-Type"]
        assert csv == answer.text()
    assert [(20171016, 6), (20171017, 2)] == rows(book_api.get(f"{path}&format=json", {"Accept": "text/csv"}))


def test_what_is_known_is_not_sent_again(api: Api, cloud_table: VisitsTable) -> None:
    """A series that the client has by its tag is answered with 304, and with 200 after a new count."""
    cloud_table.add("3201", 20180101, 5)
    first = api.get("/visits/3201")
    tag = first.headers["ETag"]

    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        answer = api.get("/visits/3201", {"If-None-Match": known})
        assert (304, b"") == (answer.status, answer.body)
        for name in ("ETag", "Link", "Cache-Control", "Vary", "Access-Control-Allow-Origin"):
            assert first.headers[name] == answer.headers[name]
    assert 200 == api.get("/visits/3201", {"If-None-Match": '"other", W/"another"'}).status

    cloud_table.add("3201", 20180101, 1)

    answer = api.get("/visits/3201", {"If-None-Match": tag})
    assert [(20180101, 6)] == rows(answer)
    assert tag != answer.headers["ETag"]


def test_a_body_and_its_gzip_are_the_same(book_api: Api) -> None:
    """An answer is compressed where the client accepts that and it saves something."""
    path = "/visits/324?fill=zero&startDate=20170101"
    plain, compressed = book_api.get(path), book_api.get(path, {"Accept-Encoding": "gzip"})

    assert (None, "gzip") == (plain.headers["Content-Encoding"], compressed.headers["Content-Encoding"])
    assert plain.text() == compressed.text()
    assert plain.headers["ETag"] == compressed.headers["ETag"]
    assert len(compressed.body) < len(plain.body) / 10
    assert None is book_api.get("/visits/324", {"Accept-Encoding": "gzip"}).headers["Content-Encoding"]


def unavailable(api: Api) -> None:
    began = time.monotonic()
    answer = api.get("/visits/324")
    took_s = time.monotonic() - began

    assert (503, "5") == (answer.status, answer.headers["Retry-After"])
    detail = "The counts cannot be read at the moment; try again in 5 seconds"
    assert problem(503, "Service Unavailable", detail) == answer.json()
    assert took_s < 29


def test_an_unreachable_dynamodb_is_503_within_the_functions_timeout(
    cloud: LocalCloud, book_api: Api, unused_endpoint: str
) -> None:
    """While DynamoDB cannot be reached the answer is 503, in time; when it is back, so are the counts."""
    with configured(cloud, "getVisits", AWS_ENDPOINT_URL=unused_endpoint):
        unavailable(book_api)

    assert list(BOOK_324.items()) == rows(book_api.get("/visits/324"))


def test_a_throttling_dynamodb_is_503_within_the_functions_timeout(
    cloud: LocalCloud, book_api: Api, scripted: ScriptedDynamoDB
) -> None:
    """The function asks DynamoDB three times, and then answers 503, in time."""
    scripted.replies = [aws_error("ThrottlingException")]
    with configured(cloud, "getVisits", AWS_ENDPOINT_URL=scripted.endpoint):
        unavailable(book_api)

    assert 3 == len(scripted.requests)


def test_500_has_the_request_id_and_nothing_else_of_a_bug(cloud: LocalCloud, api: Api) -> None:
    """An error that nobody expects, here a table that the role does not allow, is a 500 that gives nothing away."""
    with configured(cloud, "getVisits", VISITS_TABLE="somebody-elses"):
        answer = api.get("/visits/324")

    assert (500, "application/problem+json") == (answer.status, answer.headers["Content-Type"])
    (request_id,) = re.findall(r'its id is ([0-9a-f-]{36})",', answer.text())[:1]
    detail = f"The request failed for a reason of ours; its id is {request_id}"
    assert problem(500, "Internal Server Error", detail) == answer.json()
