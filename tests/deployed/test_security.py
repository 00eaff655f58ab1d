"""Who may do what: callers, the third party and the functions, deployed on a local cloud with IAM enforced."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import jwt
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from cloud import ACCOUNT, PLAIN_HTTP, THIRD_PARTY, Api, rows
from cryptography.hazmat.primitives.asymmetric import rsa
from databases import client_at
from packages import Packager, listed
from settings import KEYS_TABLE, STAGE
from stack import HEADER, Stack

from keys import KeysTable, ReaderKey, make_key
from receipts import Receipt
from tools.local_cloud import REGION, LocalCloud

GUARDED = "guarded"
"""A stage that demands authorization and TLS."""


@dataclass(frozen=True)
class Issuer:
    """An OpenID provider on loopback: its keys, found as API Gateway looks for them."""

    url: str
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def token(self, algorithm: str = "RS256", **changes: object) -> str:
        """Return a token for the audience `visits` that is good for a minute, with these claims changed."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": "visits", "sub": "somebody", "iat": now, "nbf": now, "exp": now + 60}
        key = "" if algorithm == "none" else self.key
        return jwt.encode({**claims, **changes}, key, algorithm, headers={"kid": "1"})

    def document(self, path: str) -> object:
        """Return what is answered on a path."""
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": [{**public, "kid": "1", "alg": "RS256", "use": "sig"}]},
        }[path]


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """A running issuer."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(provider.document(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the tests' output to the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = Issuer(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield provider
        server.shutdown()


@pytest.fixture(scope="module")
def guarded(cloud: LocalCloud, api: Api) -> Api:  # noqa: ARG001 - the third party comes with it
    """The guarded stage, which takes signed requests."""
    return Api(cloud.deploy(GUARDED, auth="iam", thirdPartyArn=THIRD_PARTY))


def signed(api: Api, path: str, credentials: Credentials) -> dict[str, str]:
    """Return the headers of a GET that somebody has signed."""
    request = AWSRequest("GET", f"{api.url}{path}")
    SigV4Auth(credentials, "execute-api", REGION).add_auth(request)
    return dict(request.headers.items())


def user(cloud: LocalCloud, name: str) -> Credentials:
    """Return credentials of a user's own."""
    key = cloud.client("iam").create_access_key(UserName=name)["AccessKey"]
    return Credentials(key["AccessKeyId"], key["SecretAccessKey"])


def test_auth_iam_lets_in_whoever_signs_and_may(cloud: LocalCloud, guarded: Api) -> None:
    """Only a user whose policy allows it gets the counts; without a signature, a known key or a policy it is 403.

    (MiniStack looks up who signed, and does not check the signature.)
    """
    cloud.run("visits", "add", "324", "20171001", "--stage", GUARDED)
    iam = cloud.client("iam")
    iam.create_user(UserName="reader")
    reader = user(cloud, "reader")

    def status(credentials: Credentials) -> int:
        return guarded.get("/visits/324", signed(guarded, "/visits/324", credentials)).status

    unsigned = guarded.get("/visits/324")
    assert (403, {"message": "Forbidden"}) == (unsigned.status, unsigned.json())
    assert [403, 403] == [status(Credentials("AKIA0000000000000000", "x")), status(reader)]

    resource = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{cloud.outputs(GUARDED)['HttpApiId']}/$default/GET/visits/*"
    statement = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=policy)
    answer = guarded.get("/visits/324", signed(guarded, "/visits/324", reader))
    assert 200 == guarded.get("/visits/324/chart").status  # which has no count in it

    assert [(20171001, 1)] == rows(answer)
    assert "private, max-age=60" == answer.headers["Cache-Control"]


@pytest.mark.usefixtures("guarded")
def test_who_comes_without_tls_is_turned_away(cloud: LocalCloud) -> None:
    """Without TLS nobody gets at inbox, queue and topic: neither the third party nor a user who may do everything.

    No request has TLS here. (MiniStack's root is above every policy.)
    """
    outputs = cloud.outputs(GUARDED)
    iam = cloud.client("iam")
    iam.create_user(UserName="administrator")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_user_policy(UserName="administrator", PolicyName="all", PolicyDocument=json.dumps(everything))
    administrator = session_of(user(cloud, "administrator"))

    for session in (third_party(cloud), administrator):
        s3 = session.client("s3", endpoint_url=cloud.endpoint)
        denied(s3.put_object, Bucket=outputs["InboxName"], Key="incoming/a.csv", Body=b"")
    sqs = administrator.client("sqs", endpoint_url=cloud.endpoint)
    denied(sqs.receive_message, QueueUrl=outputs["FailedEventsUrl"])
    sns = administrator.client("sns", endpoint_url=cloud.endpoint)
    denied(sns.publish, TopicArn=outputs["AlertsTopicArn"], Message="a message")


@pytest.mark.usefixtures("guarded")
def test_auth_jwt_lets_in_whoever_has_a_token(cloud: LocalCloud, issuer: Issuer) -> None:
    """Only a token of the issuer, for the audience and within its time, gets the counts; any other is 401."""
    params = {"auth": "jwt", "jwtIssuer": issuer.url, "jwtAudience": "visits"}
    api = Api(cloud.deploy(GUARDED, **params, thirdPartyArn=THIRD_PARTY, **PLAIN_HTTP))
    cloud.run("visits", "add", "318", "20171001", "--stage", GUARDED)
    hour_s = 3600
    header, claims, signature = issuer.token().split(".")
    tokens = {
        "expired": issuer.token(exp=int(time.time()) - hour_s),
        "not yet valid": issuer.token(nbf=int(time.time()) + hour_s, exp=int(time.time()) + 2 * hour_s),
        "wrong audience": issuer.token(aud="somebody-else"),
        "wrong issuer": issuer.token(iss="https://issuer.example"),
        "alg none": issuer.token("none"),
        "another key": Issuer(issuer.url).token(),
        "other claims": ".".join([header, issuer.token(sub="root").split(".")[1], signature]),
        "no signature": f"{header}.{claims}.",
        "not a token": "x",
    }

    refused = {name: api.get("/visits/318", {"Authorization": f"Bearer {token}"}) for name, token in tokens.items()}
    refused["none"] = api.get("/visits/318")
    assert dict.fromkeys(refused, 401) == {name: answer.status for name, answer in refused.items()}
    assert {"message": "Unauthorized"} == refused["none"].json()
    answer = api.get("/visits/318", {"Authorization": f"Bearer {issuer.token()}"})
    assert [(20171001, 1)] == rows(answer)
    assert "private, max-age=60" == answer.headers["Cache-Control"]


def session_of(credentials: Credentials) -> boto3.Session:
    return boto3.Session(credentials.access_key, credentials.secret_key, credentials.token, REGION)


def third_party(cloud: LocalCloud) -> boto3.Session:
    """Return a session with the third party's own credentials."""
    return session_of(user(cloud, THIRD_PARTY.rpartition("/")[2]))


def denied(call: Callable[..., object], **parameters: object) -> None:
    """Make a call that has to be refused."""
    assert not allowed(call, **parameters)


def allowed(call: Callable[..., object], **parameters: object) -> bool:
    """Return whether a call is let through."""
    try:
        call(**parameters)
    except ClientError as error:
        # SNS has a code of its own.
        if error.response["Error"]["Code"] not in {"AccessDenied", "AccessDeniedException", "AuthorizationError"}:
            raise
        return False
    return True


def test_the_third_party_delivers_and_does_nothing_else(stack: Stack, api: Api) -> None:
    """The third party may put files under incoming/, by the inbox's policy alone, and is denied everything else."""
    session = third_party(stack.cloud)
    s3 = session.client("s3", endpoint_url=stack.cloud.endpoint)
    key, inbox = "incoming/2017/october.csv", stack.inbox

    s3.put_object(Bucket=inbox, Key=key, Body=f"{HEADER}9001,19910101,3\n".encode())
    assert stack.receipt(key).done
    assert [(19910101, 3)] == rows(api.get("/visits/9001"))

    for elsewhere in ("october.csv", "rejected/october.csv", "incomin/g.csv", "../incoming/x.csv"):
        denied(s3.put_object, Bucket=inbox, Key=elsewhere, Body=b"")
    denied(s3.get_object, Bucket=inbox, Key=key)
    denied(s3.list_objects_v2, Bucket=inbox, Prefix="incoming/")
    denied(s3.list_object_versions, Bucket=inbox)
    denied(s3.delete_object, Bucket=inbox, Key=key)
    denied(s3.put_object_acl, Bucket=inbox, Key=key, ACL="public-read")
    denied(s3.get_bucket_policy, Bucket=inbox)
    denied(s3.delete_bucket_policy, Bucket=inbox)
    denied(s3.put_bucket_versioning, Bucket=inbox, VersioningConfiguration={"Status": "Suspended"})
    dynamodb = session.client("dynamodb", endpoint_url=stack.cloud.endpoint)
    denied(dynamodb.scan, TableName=f"user-visits-{STAGE}")
    denied(dynamodb.get_item, TableName=f"user-visits-{STAGE}", Key={"EventId": {"S": "1"}, "EventDay": {"N": "1"}})
    functions = session.client("lambda", endpoint_url=stack.cloud.endpoint)
    denied(functions.invoke, FunctionName=f"visits-{STAGE}-ingestFile", Payload=b"{}")
    sqs = session.client("sqs", endpoint_url=stack.cloud.endpoint)
    denied(sqs.receive_message, QueueUrl=stack.failed_events_url)


def test_a_user_of_the_account_without_a_policy_may_not_deliver(stack: Stack) -> None:
    """A user whom the stage does not name is denied, as long as no policy of the account lets it in."""
    stack.cloud.client("iam").create_user(UserName="passer-by")
    s3 = session_of(user(stack.cloud, "passer-by")).client("s3", endpoint_url=stack.cloud.endpoint)

    denied(s3.put_object, Bucket=stack.inbox, Key="incoming/a.csv", Body=b"")


@dataclass(frozen=True)
class Grant:
    """An action that a role is granted, on one resource, by one of its policies."""

    role: str
    policy: str
    statement: int
    action: str
    resource: str
    """The logical id and, of an object, its prefix."""

    def __str__(self) -> str:
        return f"{self.role} {self.action} {self.resource}"


def grants(packaged: Mapping[str, Any]) -> list[Grant]:
    """Return all that a template grants to its roles."""
    found = []
    for name, resource in packaged["Resources"].items():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::IAM::Role":
            policies = [(name, each["PolicyName"], each["PolicyDocument"]) for each in properties["Policies"]]
        elif resource["Type"] == "AWS::IAM::Policy":
            (role,) = properties["Roles"]
            policies = [(role["Ref"], properties["PolicyName"], properties["PolicyDocument"])]
        else:
            continue
        for role_id, policy, document in policies:
            for number, statement in enumerate(document["Statement"]):
                where = described(statement["Resource"])
                found += [Grant(role_id, policy, number, action, where) for action in listed(statement["Action"])]
    return found


def described(resource: object) -> str:
    """Return a short name of a statement's resource."""
    match resource:
        case {"Fn::GetAtt": [str(name), _]} | {"Ref": str(name)} | {"Fn::Sub": str(name)} | str(name):
            return name
    raise AssertionError(resource)


class Roles:
    """The roles of the deployed stage, and what each is for."""

    def __init__(self, stack: Stack, api: Api) -> None:
        self.stack = stack
        self.api = api
        self.iam = stack.cloud.client("iam")
        self.key = "incoming/least privilege.csv"
        self.event = stack.drop(self.key, f"{HEADER}9101,19910101,3\n9101,19911301,3\n")
        self.receipt = stack.receipt(self.key)
        self.reader_key = make_key()
        keys = KeysTable(client_at(stack.cloud.endpoint), KEYS_TABLE)
        keys.add(ReaderKey.of(self.reader_key, "least-privilege", datetime.now(UTC), days=1))

        stacks = stack.cloud.client("cloudformation")
        resources = stacks.describe_stack_resources(StackName=f"visits-{STAGE}")["StackResources"]
        self.names = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}

    def client(self, service: Any, role: str) -> Any:
        """Return a client with a role's own credentials."""
        assumed = self.stack.cloud.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{self.names[role]}", RoleSessionName="test"
        )["Credentials"]
        session = boto3.Session(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"], REGION)
        return session.client(service, endpoint_url=self.stack.cloud.endpoint)

    @contextmanager
    def without(self, grant: Grant) -> Iterator[None]:
        """Take an action away, for a while."""
        role = self.names[grant.role]
        whole = self.iam.get_role_policy(RoleName=role, PolicyName=grant.policy)["PolicyDocument"]
        less = json.loads(json.dumps(whole))
        actions = listed(less["Statement"][grant.statement]["Action"])
        actions.remove(grant.action)
        if actions:
            less["Statement"][grant.statement]["Action"] = actions
        else:
            del less["Statement"][grant.statement]
        self.iam.put_role_policy(RoleName=role, PolicyName=grant.policy, PolicyDocument=json.dumps(less))
        try:
            yield
        finally:
            self.iam.put_role_policy(RoleName=role, PolicyName=grant.policy, PolicyDocument=json.dumps(whole))

    def answers(self) -> bool:
        """Return whether the API answers with counts."""
        return self.api.get("/visits/9101").status == 200

    def lists(self) -> bool:
        """Return whether the API lists the events of a day that was loaded."""
        return self.api.get("/visits?startDate=20310101&endDate=20310101").status == 200

    def queries_index(self) -> bool:
        """Return whether the list's role may query the index, by IAM's own evaluation: MiniStack asks for the table."""
        simulated = self.iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/{self.names['ListVisitsRole']}",
            ActionNames=["dynamodb:Query"],
            ResourceArns=[f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{self.names['VisitsTable']}/index/EventsByDay"],
        )["EvaluationResults"]
        return ["allowed"] == [result["EvalDecision"] for result in simulated]

    def authorizes(self) -> bool:
        """Return whether the authorizer lets in who has a key; in this stage, API Gateway does not ask it."""
        answer = self.stack.cloud.client("lambda").invoke(
            FunctionName=f"visits-{STAGE}-authorizeReader", Payload=json.dumps({"identitySource": [self.reader_key]})
        )
        return "FunctionError" not in answer and json.load(answer["Payload"])["isAuthorized"] is True

    def converts(self) -> bool:
        """Return whether a file with a bad row is counted, its rejects kept and reported."""
        self.forget(None)
        s3 = self.stack.cloud.client("s3")
        s3.delete_object(Bucket=self.stack.inbox, Key=f"rejected/{self.key}.jsonl")
        return (
            self.invoke()
            and s3.list_objects_v2(Bucket=self.stack.inbox, Prefix=f"rejected/{self.key}")["KeyCount"] == 1
        )

    def takes_over(self) -> bool:
        """Return whether a file whose converter died after its claim is counted by the next."""
        self.forget(self.receipt._replace(status="applying", chunks_applied=0, ended_at=""))
        return self.invoke()

    def hands_over(self) -> bool:
        """Return whether the converter's role may leave a failed event, which Lambda does as that role."""
        sqs = self.client("sqs", "IngestFileRole")
        return allowed(sqs.send_message, QueueUrl=self.stack.failed_events_url, MessageBody="{}")

    def logs(self, function: str) -> bool:
        """Return whether a function's role may begin a log and write to it, which Lambda does as that role.

        By IAM's own evaluation: where MiniStack checks such a call, it leaves the stream out of the resource.
        """
        group = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{self.names[f'{function}LogGroup']}"
        simulated = self.iam.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/{self.names[f'{function}Role']}",
            ActionNames=["logs:CreateLogStream", "logs:PutLogEvents"],
            ResourceArns=[f"{group}:log-stream:2026/11/24/[$LATEST]0"],
        )["EvaluationResults"]
        return {"allowed"} == {result["EvalDecision"] for result in simulated}

    def forget(self, receipt: Receipt | None) -> None:
        """Replace the file's receipt by another, or by none."""
        client, table = self.stack.cloud.client("dynamodb"), self.stack.files.name
        client.delete_item(TableName=table, Key={"Bucket": {"S": self.stack.inbox}, "Key": {"S": self.key}})
        if receipt:
            self.stack.files.claim(receipt)

    def invoke(self) -> bool:
        """Return whether the converter counts the file."""
        functions = self.stack.cloud.client("lambda")
        answer = functions.invoke(FunctionName=f"visits-{STAGE}-ingestFile", Payload=self.event)
        return "FunctionError" not in answer and self.stack.receipt(self.key).done

    def broken(self, role: str) -> list[str]:
        """Return what does not work of that which a role is for."""
        parts: dict[str, dict[str, Callable[[], bool]]] = {
            "GetVisitsRole": {"answers": self.answers, "logs": partial(self.logs, "GetVisits")},
            "ListVisitsRole": {
                "lists": self.lists,
                "queries the index": self.queries_index,
                "logs": partial(self.logs, "ListVisits"),
            },
            "GetPageRole": {"logs": partial(self.logs, "GetPage")},
            "AuthorizeReaderRole": {"authorizes": self.authorizes, "logs": partial(self.logs, "AuthorizeReader")},
            "IngestFileRole": {
                "converts": self.converts,
                "takes over": self.takes_over,
                "hands over": self.hands_over,
                "logs": partial(self.logs, "IngestFile"),
            },
        }
        return [name for name, works in parts[role].items() if not works()]


UNPROVEN = {
    "xray:PutTelemetryRecords": "MiniStack has no X-Ray, and Lambda sends traces by itself",
    "xray:PutTraceSegments": "the same",
}


def test_whatever_action_is_taken_away_something_breaks(stack: Stack, api: Api, package: Packager) -> None:
    """Without any one of its actions, a role fails at something; with all of them, everything works, before and after.

    The functions themselves run, with one action fewer. What Lambda does as their role, but MiniStack without asking
    IAM, the test does in Lambda's place: a message to the queue of failed events is sent, a line of the log evaluated.
    """
    roles = Roles(stack, api)
    granted = [grant for grant in grants(package("dev").template) if grant.action not in UNPROVEN]
    every_role = {grant.role for grant in granted}
    assert [] == [part for role in every_role for part in roles.broken(role)]

    breaks: dict[str, list[str]] = {}
    for grant in granted:
        with roles.without(grant):
            breaks[str(grant)] = roles.broken(grant.role)

    assert {
        "AuthorizeReaderRole dynamodb:GetItem KeysTable": ["authorizes"],
        "AuthorizeReaderRole logs:CreateLogStream AuthorizeReaderLogGroup": ["logs"],
        "AuthorizeReaderRole logs:PutLogEvents AuthorizeReaderLogGroup": ["logs"],
        "GetPageRole logs:CreateLogStream GetPageLogGroup": ["logs"],
        "GetPageRole logs:PutLogEvents GetPageLogGroup": ["logs"],
        "GetVisitsRole dynamodb:Query VisitsTable": ["answers"],
        "GetVisitsRole logs:CreateLogStream GetVisitsLogGroup": ["logs"],
        "GetVisitsRole logs:PutLogEvents GetVisitsLogGroup": ["logs"],
        "IngestFileRole dynamodb:GetItem FilesTable": ["takes over"],
        "IngestFileRole dynamodb:PutItem FilesTable": ["converts", "takes over"],
        "IngestFileRole dynamodb:UpdateItem FilesTable": ["converts", "takes over"],
        "IngestFileRole dynamodb:UpdateItem VisitsTable": ["converts", "takes over"],
        "IngestFileRole logs:CreateLogStream IngestFileLogGroup": ["logs"],
        "IngestFileRole logs:PutLogEvents IngestFileLogGroup": ["logs"],
        "IngestFileRole s3:GetObjectVersion ${Inbox.Arn}/incoming/*": ["converts", "takes over"],
        "IngestFileRole s3:PutObject ${Inbox.Arn}/rejected/*": ["converts", "takes over"],
        "IngestFileRole sns:Publish AlertsTopic": ["converts", "takes over"],
        "IngestFileRole sqs:SendMessage FailedEvents": ["hands over"],
        "ListVisitsRole dynamodb:Query ${VisitsTable.Arn}/index/EventsByDay": ["queries the index"],
        "ListVisitsRole dynamodb:Query VisitsTable": ["lists"],
        "ListVisitsRole logs:CreateLogStream ListVisitsLogGroup": ["logs"],
        "ListVisitsRole logs:PutLogEvents ListVisitsLogGroup": ["logs"],
    } == breaks
    assert [] == [part for role in every_role for part in roles.broken(role)]
