"""The client of DynamoDB does what botocore's own does, only sooner."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import handlers
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.loaders import Loader
from conftest import Reply, ScriptedDynamoDB
from dynamodb_api import subset

import dynamodb_client
from repository import VisitsTable
from tools import local_cloud

QUERY = {
    "TableName": "t",
    "KeyConditionExpression": "EventId = :event",
    "ExpressionAttributeValues": {":event": {"S": "1"}},
}
PARTITIONS = Loader().load_data("partitions")["partitions"]
REGIONS = [region for partition in PARTITIONS for region in partition["regions"]]


def make() -> Any:
    return dynamodb_client.make(local_cloud.REGION, 1, 2, 1)


def plain(region: str = local_cloud.REGION) -> Any:
    return boto3.client("dynamodb", region_name=region)


def sent(client: Any, call: Callable[[Any], object]) -> AWSPreparedRequest:
    """Return the request that a call comes to, which is answered by `{}` instead of being sent."""
    requests: list[AWSPreparedRequest] = []

    class Empty:
        @staticmethod
        def stream() -> list[bytes]:
            return [b"{}"]

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        requests.append(request)
        headers: Any = {}
        return AWSResponse(request.url, 200, headers, Empty())

    client.meta.events.register_first("before-send.dynamodb", answer)
    call(client)
    (request,) = requests
    return request


def test_the_api_is_botocores() -> None:
    """To raise botocore's version is to write the file anew: CONTRIBUTING.md says how."""
    assert subset() == json.loads((Path(dynamodb_client.__file__).parent / "dynamodb_api.json").read_text())


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.query(**QUERY),
        lambda client: client.get_item(
            TableName="t", Key={"Bucket": {"S": "b"}, "Key": {"S": "ä"}}, ConsistentRead=True
        ),
        lambda client: client.put_item(TableName="t", Item={"Rows": {"N": "1"}, "Reason": {"S": ""}}),
        lambda client: VisitsTable(client, "t", sleep=lambda _: None).add("324", 20171001, -1),
    ],
    ids=["query", "get", "put", "transact"],
)
def test_it_sends_what_botocore_sends(call: Callable[[Any], object]) -> None:
    """The same body, and the same headers but for what tells one request, or one program, from another."""
    ours, theirs = sent(make(), call), sent(plain(), call)
    own = {
        "ClientRequestToken": "",
        "Authorization": "",
        "User-Agent": "",
        "X-Amz-Date": "",
        "amz-sdk-invocation-id": "",
    }

    def told(request: AWSPreparedRequest) -> tuple[object, ...]:
        headers = {name: own.get(name, value) for name, value in request.headers.items()}
        assert isinstance(request.body, bytes)
        return request.method, request.url, headers, {**json.loads(request.body), **own}

    # The number of attempts, which are ours to choose, is told as well.
    ours.headers["amz-sdk-request"] = theirs.headers["amz-sdk-request"]
    assert told(theirs) == told(ours)


@pytest.mark.parametrize("region", REGIONS)
def test_it_asks_where_botocore_does(region: str) -> None:
    """In every region of every partition, signed for that region."""
    ours = sent(dynamodb_client.make(region, 1, 2, 1), lambda client: client.query(**QUERY))
    theirs = sent(plain(region), lambda client: client.query(**QUERY))

    assert theirs.url == ours.url
    assert scope(theirs) == scope(ours)


def scope(request: AWSPreparedRequest) -> str:
    """Return region and service that a request is signed for."""
    signed: Any = request.headers["Authorization"]
    return "/".join((signed.decode() if isinstance(signed, bytes) else signed).split("/")[2:4])


@pytest.mark.parametrize("region", [next(iter(partition["regions"])) for partition in PARTITIONS])
@pytest.mark.parametrize("variants", [["FIPS"], ["DUALSTACK"], ["FIPS", "DUALSTACK"]], ids="+".join)
def test_it_asks_at_the_same_special_endpoints(
    monkeypatch: pytest.MonkeyPatch, region: str, variants: list[str]
) -> None:
    """Or fails where botocore does, as not every partition has them."""
    for variant in variants:
        monkeypatch.setenv(f"AWS_USE_{variant}_ENDPOINT", "true")

    def url(make_client: Callable[[], Any]) -> str:
        try:
            return sent(make_client(), lambda client: client.query(**QUERY)).url
        except Exception as error:  # noqa: BLE001 - whatever it is, it has to be the same
            return repr(error)

    assert url(lambda: plain(region)) == url(lambda: dynamodb_client.make(region, 1, 2, 1))


def test_whoever_has_data_of_his_own_for_botocore_is_given_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """AWS_DATA_PATH goes before what botocore, and this service, bring along."""
    api = subset()
    api["metadata"]["signingName"] = "mine"
    folder = tmp_path / "dynamodb" / "2012-08-10"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text(json.dumps(api))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))

    assert "mine" == make().meta.service_model.signing_name


@pytest.mark.parametrize(
    "body",
    [
        '{"Items": [], "Count": 0, "ScannedCount": 0}',
        '{"Items": [{"EventDay": {"N": "1"}, "EventCount": {"N": "2.5"}}], "Count": 1}',
        '{"Items": [{"a": {"S": "ä"}}, {"b": {"L": [{"M": {"c": {"BOOL": true}}}, {"NULL": true}, {"SS": ["1"]}]}}]}',
        '{"Items": [], "LastEvaluatedKey": {"EventId": {"S": "1"}, "EventDay": {"N": "20171001"}}}',
        '{"Items": [], "LastEvaluatedKey": null, "Unknown": 1}',
        '{"Items": null}',
        "{}",
        "no JSON",
        "",
    ],
)
def test_a_query_is_read_as_botocore_reads_it(
    scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """Whatever of it comes over the wire, junk included."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", scripted.endpoint)
    scripted.replies = [Reply(body=body)]
    expected = plain().query(**QUERY)

    found = make().query(**QUERY)

    for answer in (expected, found):
        assert 200 == answer.pop("ResponseMetadata")["HTTPStatusCode"]
    assert expected == found


def test_a_proxy_is_used_where_one_is_set(scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sending is then left to botocore, which can do that."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://dynamodb.invalid")
    monkeypatch.setenv("HTTP_PROXY", scripted.endpoint)
    scripted.replies = [Reply(body='{"Items": [], "Count": 7}')]

    assert 7 == make().query(**QUERY)["Count"]


def test_handlers_for_all_services_and_for_dynamodb_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order that they ask for; those of others are not."""
    called: list[str] = []
    more: Any = [
        ("before-call", lambda **_: called.append("all")),
        ("before-call.dynamodb", lambda **_: called.append("last"), handlers.REGISTER_LAST),
        ("before-call.dynamodb", lambda **_: called.append("ours")),
        ("before-call.dynamodb", lambda **_: called.append("first"), handlers.REGISTER_FIRST),
        ("before-call.s3", lambda **_: called.append("another's")),
    ]
    monkeypatch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *more])

    sent(make(), lambda client: client.query(**QUERY))

    assert ["first", "ours", "last", "all"] == called
