"""`make smoke`: what it says of a stage that is well, of one that is not, and that it changes neither."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials
from cloud import PLAIN_HTTP, Api
from gateway import Gateway, in_front_of
from settings import STAGE
from stack import subscribe

from tools import local_cloud
from tools.local_cloud import LocalCloud
from tools.smoke import http
from tools.smoke.__main__ import check_stage, report
from tools.smoke.account import check_account
from tools.smoke.api import check_api
from tools.smoke.findings import Finding, Verdict
from tools.smoke.stack import Connect, Stack, read_stack

CREDENTIALS = ReadOnlyCredentials("test", "test", None)

SERIES = "GET /visits/{resourceId}"
HEAD = "HEAD /visits/{resourceId}"
LIST = "GET /visits"


def but_ok(findings: Sequence[Finding]) -> set[str]:
    """Return what is not ok, as `FAILED Inbox: versioning`; there has to be something that is."""
    assert any(finding.verdict is Verdict.OK for finding in findings)
    return {f"{finding.verdict} {finding.what}" for finding in findings if finding.verdict is not Verdict.OK}


@dataclass(frozen=True)
class Smoked:
    """A stage to be checked; `as_deployed` is what was found before anybody touched it."""

    cloud: LocalCloud
    connect: Connect
    stack: Stack
    gateway: Gateway
    as_deployed: Sequence[Finding]

    def check(self, connect: Connect | None = None) -> Sequence[Finding]:
        return list(check_stage("smoke", connect or self.connect, CREDENTIALS, url=self.gateway.url))


@pytest.fixture(scope="module")
def own_cloud(
    free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory, service: Path
) -> Iterator[LocalCloud]:
    """A local cloud with nothing else on it: MiniStack's alarms mind no dimensions, others' errors raise them."""
    with local_cloud.running(free_port(), tmp_path_factory.mktemp("smoked"), service) as running:
        yield running


@pytest.fixture(scope="module")
def smoked(own_cloud: LocalCloud) -> Iterator[Smoked]:
    """A stage that demands signatures, with what MiniStack lost of it set by hand: everything is as it should be."""
    cloud = own_cloud
    with in_front_of(Api(cloud.deploy("smoke", **PLAIN_HTTP, auth="iam"))) as gateway:
        connect = cache(cloud.client)
        stack = read_stack(connect, "visits-smoke")
        url = f"{cloud.endpoint}/_aws/execute-api/{stack.ids['HttpApi']}/$default"
        as_deployed = list(check_stage("smoke", connect, CREDENTIALS, url=url))
        dynamodb = cloud.client("dynamodb")
        for table in ("VisitsTable", "FilesTable", "KeysTable"):
            recover(cloud, stack, table, enabled=True)
            dynamodb.update_table(TableName=stack.ids[table], SSESpecification={"Enabled": True})
        throttle(cloud, stack, 50)
        subscribe(cloud, stack.ids["AlertsTopic"], "smoke-alerts")
        yield Smoked(cloud, connect, stack, gateway, as_deployed)


def recover(cloud: LocalCloud, stack: Stack, table: str, *, enabled: bool) -> None:
    cloud.client("dynamodb").update_continuous_backups(
        TableName=stack.ids[table], PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": enabled}
    )


def throttle(cloud: LocalCloud, stack: Stack, rate: int) -> None:
    settings = {"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": 100, "DetailedMetricsEnabled": False}
    of_list = {"ThrottlingRateLimit": 5, "ThrottlingBurstLimit": 10, "DetailedMetricsEnabled": False}
    cloud.client("apigatewayv2").update_stage(
        ApiId=stack.ids["HttpApi"],
        StageName="$default",
        DefaultRouteSettings=settings,
        RouteSettings={"GET /visits": of_list, "HEAD /visits": of_list},
    )


def test_of_a_stage_on_the_local_cloud_it_misses_what_that_does_not_emulate(smoked: Smoked) -> None:
    """And what nobody has done yet, and nothing else; the signed requests are let in."""
    assert {
        # CloudFormation's words for these are lost there.
        "FAILED HttpApiStage: throttling",
        "FAILED HttpApiStage: settings of single routes",
        "FAILED VisitsTable: encrypted with a key of KMS",
        "FAILED FilesTable: encrypted with a key of KMS",
        "FAILED KeysTable: encrypted with a key of KMS",
        "FAILED VisitsTable: point-in-time recovery",
        "FAILED FilesTable: point-in-time recovery",
        "FAILED KeysTable: point-in-time recovery",
        f"FAILED {SERIES}, its preflight",
        f"FAILED {SERIES}/chart, its preflight",
        f"FAILED {LIST}, its preflight",
        # Nobody has subscribed.
        "FAILED AlertsTopic: tells somebody",
    } == but_ok(smoked.as_deployed)


def test_an_open_stage_is_asked_without_a_signature(cloud: LocalCloud, api: Api) -> None:
    """Whoever the credentials belong to; where preflights are answered, all is well."""
    stack = read_stack(cloud.client, f"visits-{STAGE}")
    with in_front_of(api) as gateway:
        asked = http.Api(gateway.url, stack.region, "NONE", ReadOnlyCredentials("nobody", "nothing", None))
        findings = list(check_api(asked, stack))

    assert set() == but_ok(findings)
    assert Finding(Verdict.OK, f"{SERIES}, unsigned and without token or key") in findings


def test_a_stage_for_tokens_is_asked_with_one_or_not_at_all(own_cloud: LocalCloud, unused_endpoint: str) -> None:
    """Without a token what needs one is skipped, and nobody gets in; one that is refused is told."""
    params = {"auth": "jwt", "jwtIssuer": unused_endpoint, "jwtAudience": "visits"}
    with in_front_of(Api(own_cloud.deploy("smoke-jwt", **PLAIN_HTTP, **params))) as gateway:
        stack = read_stack(own_cloud.client, "visits-smoke-jwt")
        without, refused = (
            list(check_api(http.Api(gateway.url, stack.region, "JWT", CREDENTIALS, token), stack))
            for token in (None, "of-another-issuer")
        )
        of_account = list(check_account(stack, cache(own_cloud.client)))

    assert {f"skipped {what}" for what in ("who may ask", "series", "csv", "problems", "any page may read")} == but_ok(
        without
    )
    assert {
        f"{SERIES}, unsigned and without token or key",
        f"{SERIES}, with nonsense for a token",
        f"{SERIES}, with an unsigned token",
        f"{HEAD}, unsigned and without token or key",
        f"{HEAD}, with nonsense for a token",
        f"{HEAD}, with an unsigned token",
        f"{SERIES}, its preflight",
        *(
            f"{LIST}, {what}"
            for what in ("unsigned and without token or key", "with nonsense for a token", "with an unsigned token")
        ),
        *(
            f"HEAD /visits, {what}"
            for what in ("unsigned and without token or key", "with nonsense for a token", "with an unsigned token")
        ),
        f"{LIST}, its preflight",
        # The page has no count in it.
        f"{SERIES}/chart, unsigned and without token or key",
        f"{HEAD}/chart, unsigned and without token or key",
        f"{SERIES}/chart, its preflight",
        "GET /visits/all/chart?limit=1",
        "GET /no-such-route",
    } == {finding.what for finding in without if finding.verdict is Verdict.OK}
    assert Finding(Verdict.FAILED, f"{SERIES}, with authorization", "expected 200, got 401") in refused
    assert ["ok"] == [finding.verdict for finding in of_account if finding.what.endswith("AuthorizerJwt: settings")]


def test_it_changes_nothing(smoked: Smoked) -> None:
    """Each call of AWS is a Get, a List or a Describe, and each request to the API a GET, a HEAD or a preflight."""
    called: list[tuple[str, str]] = []

    @cache
    def recording(service: str) -> Any:
        client = smoked.cloud.client(service)
        client.meta.events.register("before-call", lambda model, **_: called.append((service, model.name)))
        return client

    smoked.gateway.methods.clear()
    smoked.check(recording)

    services = {"apigatewayv2", "cloudformation", "cloudwatch", "dynamodb", "iam", "lambda", "logs", "s3", "sns", "sqs"}
    assert services == {service for service, _ in called}
    assert [] == [each for each in called if not re.match(r"(Get|List|Describe)[A-Z]", each[1])]
    assert {"GET", "HEAD", "OPTIONS"} == smoked.gateway.methods


type Break = Callable[[Smoked], Callable[[], object]]
"""Changes something of a stage; returns what sets it right again."""


def attached_policy(smoked: Smoked) -> Callable[[], object]:
    iam, role = smoked.connect("iam"), smoked.stack.ids["GetVisitsRole"]
    policy = {"RoleName": role, "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
    iam.attach_role_policy(**policy)
    return lambda: iam.detach_role_policy(**policy)


def one_more_grant(smoked: Smoked) -> Callable[[], object]:
    iam, policy = smoked.connect("iam"), {"RoleName": smoked.stack.ids["IngestFileRole"], "PolicyName": "more"}
    statement = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    iam.put_role_policy(**policy, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    return lambda: iam.delete_role_policy(**policy)


def one_grant_less(smoked: Smoked) -> Callable[[], object]:
    iam, policy = smoked.connect("iam"), {"RoleName": smoked.stack.ids["IngestFileRole"], "PolicyName": "inbox"}
    document = iam.get_role_policy(**policy)["PolicyDocument"]
    less = {**document, "Statement": document["Statement"][:1]}
    iam.put_role_policy(**policy, PolicyDocument=json.dumps(less))
    return lambda: iam.put_role_policy(**policy, PolicyDocument=json.dumps(document))


def another_service_trusted(smoked: Smoked) -> Callable[[], object]:
    iam, role = smoked.connect("iam"), smoked.stack.ids["GetVisitsRole"]
    document = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    (statement,) = document["Statement"]
    more = {**document, "Statement": [{**statement, "Principal": {"Service": "ec2.amazonaws.com"}}]}
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(more))
    return lambda: iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(document))


def the_others_role(smoked: Smoked) -> Callable[[], object]:
    functions, name = smoked.connect("lambda"), smoked.stack.ids["IngestFileLambdaFunction"]
    role = functions.get_function_configuration(FunctionName=name)["Role"]
    others = smoked.connect("iam").get_role(RoleName=smoked.stack.ids["GetVisitsRole"])["Role"]["Arn"]
    functions.update_function_configuration(FunctionName=name, Role=others)
    return lambda: functions.update_function_configuration(FunctionName=name, Role=role)


def answers_kept_for_a_year(smoked: Smoked) -> Callable[[], object]:
    functions, name = smoked.connect("lambda"), smoked.stack.ids["GetVisitsLambdaFunction"]
    environment = functions.get_function_configuration(FunctionName=name)["Environment"]
    changed = {"Variables": {**environment["Variables"], "CACHE_CONTROL": "public, max-age=31536000"}}
    functions.update_function_configuration(FunctionName=name, Environment=changed)
    return lambda: functions.update_function_configuration(FunctionName=name, Environment=environment)


def open_to_everybody(smoked: Smoked) -> Callable[[], object]:
    gateway, api_id = smoked.connect("apigatewayv2"), smoked.stack.ids["HttpApi"]
    (route,) = (each["RouteId"] for each in gateway.get_routes(ApiId=api_id)["Items"] if each["RouteKey"] == SERIES)
    gateway.update_route(ApiId=api_id, RouteId=route, AuthorizationType="NONE")
    return lambda: gateway.update_route(ApiId=api_id, RouteId=route, AuthorizationType="AWS_IAM")


def throttled_less(smoked: Smoked) -> Callable[[], object]:
    throttle(smoked.cloud, smoked.stack, 5000)
    return lambda: throttle(smoked.cloud, smoked.stack, 50)


def not_recoverable(smoked: Smoked) -> Callable[[], object]:
    recover(smoked.cloud, smoked.stack, "FilesTable", enabled=False)
    return lambda: recover(smoked.cloud, smoked.stack, "FilesTable", enabled=True)


def protected_from_deletion(smoked: Smoked) -> Callable[[], object]:
    dynamodb, name = smoked.connect("dynamodb"), smoked.stack.ids["VisitsTable"]
    dynamodb.update_table(TableName=name, DeletionProtectionEnabled=True)
    return lambda: dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)


def inbox_not_versioned(smoked: Smoked) -> Callable[[], object]:
    s3, bucket = smoked.connect("s3"), smoked.stack.ids["Inbox"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    return lambda: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def inbox_nearly_public(smoked: Smoked) -> Callable[[], object]:
    s3, bucket = smoked.connect("s3"), smoked.stack.ids["Inbox"]
    settings = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={**settings, "RestrictPublicBuckets": False}
    )
    return lambda: s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=settings)


def another_account_may_deliver(smoked: Smoked) -> Callable[[], object]:
    s3, bucket = smoked.connect("s3"), smoked.stack.ids["Inbox"]
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    document = json.loads(policy)
    document["Statement"][0]["Principal"] = {"AWS": "210987654321"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    return lambda: s3.put_bucket_policy(Bucket=bucket, Policy=policy)


def no_inbox_policy(smoked: Smoked) -> Callable[[], object]:
    s3, bucket = smoked.connect("s3"), smoked.stack.ids["Inbox"]
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    return lambda: s3.put_bucket_policy(Bucket=bucket, Policy=policy)


def failed_events_kept_an_hour(smoked: Smoked) -> Callable[[], object]:
    sqs, queue = smoked.connect("sqs"), smoked.stack.ids["FailedEvents"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"MessageRetentionPeriod": "3600"})
    return lambda: sqs.set_queue_attributes(QueueUrl=queue, Attributes={"MessageRetentionPeriod": "1209600"})


def nobody_told(smoked: Smoked) -> Callable[[], object]:
    sns, topic = smoked.connect("sns"), smoked.stack.ids["AlertsTopic"]
    (subscription,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    return lambda: sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=subscription["Endpoint"])


def alarm_silenced(smoked: Smoked) -> Callable[[], object]:
    cloudwatch, alarms = smoked.connect("cloudwatch"), [smoked.stack.ids["LatencyAlarm"]]
    cloudwatch.disable_alarm_actions(AlarmNames=alarms)
    return lambda: cloudwatch.enable_alarm_actions(AlarmNames=alarms)


def alarm_raised(smoked: Smoked) -> Callable[[], object]:
    cloudwatch, alarm = smoked.connect("cloudwatch"), {"AlarmName": smoked.stack.ids["FailedEventsAlarm"]}
    cloudwatch.set_alarm_state(**alarm, StateValue="ALARM", StateReason="2 events wait")
    return lambda: cloudwatch.set_alarm_state(**alarm, StateValue="OK", StateReason="none waits")


def alarm_gone(smoked: Smoked) -> Callable[[], object]:
    cloudwatch, name = smoked.connect("cloudwatch"), smoked.stack.ids["RefusedFilesAlarm"]
    (described,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    cloudwatch.delete_alarms(AlarmNames=[name])
    accepted = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    return lambda: cloudwatch.put_metric_alarm(**{key: part for key, part in described.items() if key in accepted})


def logs_kept_for_ever(smoked: Smoked) -> Callable[[], object]:
    logs, group = smoked.connect("logs"), {"logGroupName": smoked.stack.ids["IngestFileLogGroup"]}
    logs.delete_retention_policy(**group)
    return lambda: logs.put_retention_policy(**group, retentionInDays=14)


BREAKS: dict[Break, set[str]] = {
    attached_policy: {"GetVisitsRole: managed policies"},
    one_more_grant: {"IngestFileRole: what it may", "IngestFileRole: no wildcard"},
    one_grant_less: {"IngestFileRole: what it may"},
    another_service_trusted: {"GetVisitsRole: who may take it on"},
    the_others_role: {"IngestFileLambdaFunction: role"},
    answers_kept_for_a_year: {
        "GetVisitsLambdaFunction: settings",
        "GET /visits/all?limit=1",
        "GET /visits/all?limit=1: Vary",
    },
    open_to_everybody: {"HttpApi: routes, and who may call them", f"{SERIES}, unsigned and without token or key"},
    throttled_less: {"HttpApiStage: throttling"},
    not_recoverable: {"FilesTable: point-in-time recovery"},
    protected_from_deletion: {"VisitsTable: deletion protection"},
    inbox_not_versioned: {"Inbox: versioning"},
    inbox_nearly_public: {"Inbox: closed to the public"},
    another_account_may_deliver: {"InboxPolicy: what it says"},
    no_inbox_policy: {"InboxPolicy"},  # the call fails, and the checks after it are made
    failed_events_kept_an_hour: {"FailedEvents: settings"},
    nobody_told: {"AlertsTopic: tells somebody"},
    alarm_silenced: {"LatencyAlarm: settings"},
    alarm_raised: {"FailedEventsAlarm: quiet"},
    alarm_gone: {"RefusedFilesAlarm: settings"},
    logs_kept_for_ever: {"IngestFileLogGroup: retention in days"},
}


@pytest.mark.parametrize("spoil", BREAKS, ids=lambda spoil: spoil.__name__)
def test_what_is_not_as_it_was_deployed_is_told(smoked: Smoked, spoil: Break) -> None:
    """That, and nothing else: so what the test before this one spoilt is well again."""
    with ExitStack() as afterwards:
        afterwards.callback(spoil(smoked))
        spoilt = smoked.check()

    assert {f"FAILED {what}" for what in BREAKS[spoil]} == but_ok(spoilt)


def test_a_deployment_that_was_rolled_back_is_told(smoked: Smoked) -> None:
    """And a resource that the template wants and the stack does not have; the others are checked all the same."""
    ids = {logical_id: each for logical_id, each in smoked.stack.ids.items() if logical_id != "LatencyAlarm"}
    stack = replace(smoked.stack, status="UPDATE_ROLLBACK_COMPLETE", ids=ids)

    assert {"FAILED visits-smoke: status", "FAILED visits-smoke: resources"} == but_ok(
        list(check_account(stack, smoked.connect))
    )


def test_a_failure_says_what_differs_and_nothing_else(smoked: Smoked) -> None:
    """What was expected and is not, what is and was not expected."""
    with ExitStack() as afterwards:
        for spoil in (throttled_less, one_more_grant, alarm_raised):
            afterwards.callback(spoil(smoked))
        lines = {str(finding) for finding in smoked.check() if finding.verdict is Verdict.FAILED}

    assert {
        "FAILED  HttpApiStage: throttling: expected ThrottlingRateLimit 50, got ThrottlingRateLimit 5000.0",
        "FAILED  IngestFileRole: what it may: expected nothing, got more: Allow dynamodb:* on *",
        "FAILED  IngestFileRole: no wildcard: expected nothing, got more: Allow dynamodb:* on *",
        "FAILED  FailedEventsAlarm: quiet: expected OK or INSUFFICIENT_DATA, got ALARM (2 events wait)",
    } == lines


def run_smoke(smoked: Smoked, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as `make smoke` does, in an environment that leads to the local cloud."""
    environment = {"PATH": os.environ["PATH"], **smoked.cloud.settings}
    return subprocess.run(
        ["python", "-m", "tools.smoke", *arguments],
        cwd=local_cloud.PROJECT,
        env=environment,
        text=True,
        capture_output=True,
        check=False,
    )


def test_the_exit_code_tells_whether_all_is_well(smoked: Smoked) -> None:
    """0: all is well; 1: something is not; the last line counts."""
    well = run_smoke(smoked, "--stage", "smoke", "--url", smoked.gateway.url)
    with ExitStack() as afterwards:
        afterwards.callback(alarm_silenced(smoked))
        not_well = run_smoke(smoked, "--stage", "smoke", "--url", smoked.gateway.url)

    *lines, last = well.stdout.splitlines()
    assert (0, "") == (well.returncode, well.stderr)
    assert all(line.startswith("ok ") for line in lines)
    assert f"{len(lines)} ok, 0 FAILED, 0 skipped" == last
    assert (1, "") == (not_well.returncode, not_well.stderr)
    assert f"{len(lines) - 1} ok, 1 FAILED, 0 skipped" == not_well.stdout.splitlines()[-1]


def test_it_ends_with_2_where_nothing_can_be_checked(smoked: Smoked) -> None:
    """A stage that does not exist; no stage at all."""
    nowhere, unsaid = run_smoke(smoked, "--stage", "nowhere"), run_smoke(smoked)

    assert (2, "") == (nowhere.returncode, nowhere.stdout)
    assert re.fullmatch(r"error: .*visits-nowhere does not exist\n", nowhere.stderr)
    assert 2 == unsaid.returncode
    assert "Missing option '--stage'" in unsaid.stderr


def test_what_was_skipped_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    """But it is told."""
    assert report([Finding(Verdict.OK, "this"), Finding(Verdict.SKIPPED, "that", "there is no token")])
    assert "ok      this\nskipped that: there is no token\n1 ok, 0 FAILED, 1 skipped\n" == capsys.readouterr().out
