"""The operator's runbook, docs/operations.md: its commands as they stand there, on a stage `prod` of a local cloud."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from cloud import ACCOUNT, PLAIN_HTTP, Answer, Api, inventory, rows
from slow_dynamodb import slow_dynamodb
from stack import HEADER, Stack

from tools import local_cloud
from tools.local_cloud import LocalCloud

OPERATIONS = (local_cloud.PROJECT / "docs" / "operations.md").read_text()


def commands(section: str) -> list[str]:
    """Return the blocks of commands of a section, for the stage `prod`."""
    text = re.split(r"^##+ ", OPERATIONS.partition(f"# {section}\n")[2], flags=re.MULTILINE)[0]
    blocks: list[str] = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    assert blocks
    return [block.replace("<stage>", "prod") for block in blocks]


def run(cloud: LocalCloud, script: str, **variables: str) -> str:
    """Return what commands print in a terminal that has these variables; each of them has to succeed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=cloud.service,
        env={**os.environ, **cloud.settings, **variables},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def prod(cloud: LocalCloud) -> Iterator[Callable[[str], Answer]]:
    """A stage `prod`, deployed for the first time as the runbook says; a function that asks its API.

    What the stage leaves behind on purpose is gone in the end.
    """
    before = inventory(cloud)
    (first,) = commands("Deploy for the first time")
    run(cloud, open_to_tests(first))

    def get(path: str) -> Answer:
        return Api(f"http://{cloud.outputs('prod')['HttpApiId']}.execute-api.localhost:{cloud.port}").get(path)

    yield get
    if ("stack", "visits-prod") in inventory(cloud):
        cloud.run("sls", "remove", "--stage", "prod")
    discard(cloud, inventory(cloud) - before)


def open_to_tests(script: str) -> str:
    """Return commands that deploy, with the params by which the tests can reach the stage."""
    params = f"auth=none tlsOnly={PLAIN_HTTP['tlsOnly']}"
    return re.sub(
        r'^( *make deploy STAGE=prod)(?: PARAMS="(.*)")?$', rf'\1 PARAMS="\2 {params}"', script, flags=re.MULTILINE
    )


def discard(cloud: LocalCloud, left: Collection[tuple[str, str]]) -> None:
    """Delete the tables and buckets that a stage has left behind on purpose."""
    dynamodb, s3 = cloud.client("dynamodb"), cloud.client("s3")
    for kind, name in left:
        if kind == "table":
            dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
            dynamodb.delete_table(TableName=name)
        elif kind == "bucket":
            for version in s3.list_object_versions(Bucket=name).get("Versions", []):
                s3.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])
            s3.delete_bucket(Bucket=name)


def test_both_tables_are_restored_and_what_came_in_since_is_counted(
    cloud: LocalCloud, prod: Callable[[str], Answer]
) -> None:
    """The runbook's steps restore both tables although each takes time, and count nothing twice.

    MiniStack restores a table as it is, whatever the second, so the unwanted counts are made after the restore.
    """
    stack = Stack.of(cloud, "prod")
    stack.drop("incoming/before.csv", f"{HEADER}324,20171001,3\n")
    assert stack.receipt("incoming/before.csv").done
    helpers, stop, beside, back_up, in_place, settings, go_on, clean_up = commands("Restore")
    helpers = re.sub(r"^WHEN=.*$", f"WHEN={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", helpers, flags=re.MULTILINE)
    without_waiting = "sleep() { :; }\n"

    with slow_dynamodb(cloud.endpoint) as dynamodb:
        terminal = {"AWS_ENDPOINT_URL_DYNAMODB": dynamodb.endpoint}
        looked = run(cloud, without_waiting + helpers + stop + beside, **terminal)
        assert "all,20171001,3\n" in looked
        assert '"key": "incoming/before.csv"' in looked

        # The live tables change: by a count that is not wanted, and by a file that is.
        cloud.run("visits", "add", "324", "20171001", "--count", "1000", "--stage", "prod")
        cloud.client("lambda").delete_function_concurrency(FunctionName="visits-prod-ingestFile")
        stack.drop("incoming/since.csv", f"{HEADER}324,20171002,5\n")
        assert stack.receipt("incoming/since.csv").done
        run(cloud, stop)

        run(cloud, without_waiting + helpers + back_up + in_place + settings + clean_up, **terminal)

    for table in ("user-visits-prod", "visit-files-prod"):
        assert {"protected": True, "recoverable": "ENABLED"} == safety(cloud, table)
    assert [(20171001, 3)] == rows(prod("/visits/324"))
    assert "1 files delivered again\n" in run(cloud, go_on)
    assert [(20171001, 3), (20171002, 5)] == rows(prod("/visits/324"))
    assert [(20171001, 3), (20171002, 5)] == rows(prod("/visits/all?endDate=20171231"))
    assert run(cloud, "visits redeliver --stage prod").endswith("0 files delivered again\n")
    assert_nothing_is_deleted_too_early(dynamodb.calls)


def assert_nothing_is_deleted_too_early(calls: Sequence[tuple[str, str]]) -> None:
    """Check that each table is deleted only when both copies are active and both backups are available."""
    copies = {name for operation, name in calls if operation == "RestoreTableToPointInTime"}
    backups = {name for operation, name in calls if operation == "DescribeBackup"}
    assert (2, 2) == (len(copies), len(backups))
    first = next(number for number, (operation, _) in enumerate(calls) if operation == "DeleteTable")
    # A look is among the calls only when it found the table or the backup ready.
    ready = {name for operation, name in calls[:first] if operation.startswith("Describe")}
    assert copies | backups <= ready
    replaced = {name for operation, name in calls if operation == "RestoreTableFromBackup"}
    last_restore = max(number for number, (operation, _) in enumerate(calls) if operation == "RestoreTableFromBackup")
    assert replaced <= {name for operation, name in calls[last_restore:] if operation == "DescribeTable"}
    copies_deleted = [number for number, call in enumerate(calls) if call[0] == "DeleteTable" and call[1] in copies]
    assert last_restore < min(copies_deleted)


def safety(cloud: LocalCloud, table: str) -> dict[str, object]:
    """Return what keeps a table from being lost."""
    dynamodb = cloud.client("dynamodb")
    backups: Any = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    return {
        "protected": dynamodb.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"],
        "recoverable": backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
    }


def test_prod_keeps_its_tables_and_its_inbox_and_can_take_the_tables_back(
    cloud: LocalCloud, prod: Callable[[str], Answer]
) -> None:
    """`sls remove` leaves the tables and the inbox as they were, and a deployment can serve them again."""
    stack = Stack.of(cloud, "prod")
    stack.drop("incoming/a.csv", f"{HEADER}9301,20180101,3\n")
    receipt = stack.receipt("incoming/a.csv")
    before = inventory(cloud)

    cloud.run("sls", "remove", "--stage", "prod")

    tables = {("table", f"{name}-prod") for name in ("user-visits", "visit-files", "visit-keys")}
    left = {each for each in inventory(cloud) & before if "prod" in each[1]}
    assert tables | {("bucket", stack.inbox)} == left
    assert safety(cloud, "user-visits-prod")["protected"]
    assert receipt == stack.files.get(stack.inbox, "incoming/a.csv")
    s3 = cloud.client("s3")
    assert "incoming/a.csv" in {each["Key"] for each in s3.list_objects_v2(Bucket=stack.inbox)["Contents"]}

    (again,) = commands("Deploy a stage again")
    run(cloud, open_to_tests(again))

    assert [(20180101, 3)] == rows(prod("/visits/9301"))
    assert stack.inbox != Stack.of(cloud, "prod").inbox


@pytest.mark.usefixtures("prod")
def test_somebody_can_be_told_and_readers_can_be_given_keys(cloud: LocalCloud) -> None:
    """The runbook's commands subscribe an address to the alerts, and make, list and revoke a reader's key."""
    (subscribe,) = commands("Be told")
    assert "you@example.com" not in run(cloud, subscribe, TOPIC=cloud.outputs("prod")["AlertsTopicArn"])
    (keys,) = commands("Give a reader a key")
    assert "finance-sheet" in run(cloud, keys)


def test_a_stage_that_was_deployed_to_keep_its_inbox_keeps_it_whatever_params_it_is_removed_with(
    cloud: LocalCloud,
) -> None:
    """What the deployed stack says of its inbox decides, not the params of the removal."""
    before = inventory(cloud)
    cloud.deploy("keeping", deletionPolicy="Retain", **PLAIN_HTTP)
    inbox = cloud.outputs("keeping")["InboxName"]
    s3 = cloud.client("s3")
    s3.put_object(Bucket=inbox, Key="elsewhere/a.csv", Body=b"")

    cloud.run("sls", "remove", "--stage", "keeping")

    assert ["elsewhere/a.csv"] == [each["Key"] for each in s3.list_objects_v2(Bucket=inbox)["Contents"]]
    discard(cloud, inventory(cloud) - before)


def test_the_documented_rights_suffice_to_deploy_and_to_remove(cloud: LocalCloud) -> None:
    """A user with the policy of docs/deploy-policy.json deploys and removes a stage, and may not touch another one."""
    before = inventory(cloud)
    policy = (local_cloud.PROJECT / "docs" / "deploy-policy.json").read_text()
    for placeholder, value in {"stage": "limited", "region": local_cloud.REGION, "account": ACCOUNT}.items():
        policy = policy.replace(f"<{placeholder}>", value)
    iam = cloud.client("iam")
    iam.create_user(UserName="deployer")
    iam.put_user_policy(UserName="deployer", PolicyName="deploy", PolicyDocument=policy)
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    deployer = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    deploy = "sls deploy --stage limited --param=tlsOnly=false"

    # The bucket that osls makes for itself refuses plain HTTP, which is all that is spoken here.
    assert "deployment bucket" in run(cloud, f"! {deploy}", **deployer)
    bucket = cloud.outputs("limited")["ServerlessDeploymentBucketName"]
    cloud.client("s3").delete_bucket_policy(Bucket=bucket)
    run(cloud, deploy, **deployer)
    assert ("function", "visits-limited-getVisits") in inventory(cloud)
    assert "is not authorized" in run(cloud, "! sls deploy --stage unlimited --param=tlsOnly=false", **deployer)
    run(cloud, "sls remove --stage limited", **deployer)

    assert before == inventory(cloud)
    iam.delete_access_key(UserName="deployer", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="deployer", PolicyName="deploy")
    iam.delete_user(UserName="deployer")


def test_backfilled_days_count_as_loaded(cloud: LocalCloud, api: Api) -> None:
    """A day of the file without visits is 0, any other is still null."""
    (load,) = commands("Backfill")
    file = cloud.service / "history.csv"
    file.write_text(f"{HEADER}9201,19950101,7\n9202,19950103,1\n")
    try:
        assert "history.csv: 8 visits in 2 rows\n" == run(cloud, load.replace("prod", "test"))
    finally:
        file.unlink()

    answer = api.get("/visits/9201?startDate=19950101&endDate=19950103&fill=zero")
    assert [(19950101, 7), (19950102, None), (19950103, 0)] == rows(answer)
