"""The operator's runbook, docs/operations.md: its commands as they stand there, on a stage `prod` of a local cloud."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cloud import PLAIN_HTTP, Api, inventory, rows
from stack import HEADER, Stack

from tools import local_cloud
from tools.local_cloud import LocalCloud

OPERATIONS = (local_cloud.PROJECT / "docs" / "operations.md").read_text()


def commands(section: str) -> list[str]:
    """Return the blocks of commands of a section, for the stage `prod`."""
    text = OPERATIONS.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    blocks: list[str] = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    assert blocks
    return [block.replace("<stage>", "prod") for block in blocks]


def run(cloud: LocalCloud, script: str, **variables: str) -> str:
    """Return what commands print in a terminal that has these variables; each of them has to succeed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=local_cloud.PROJECT,
        env={**os.environ, **cloud.settings, **variables},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    return done.stdout


@pytest.fixture
def prod(cloud: LocalCloud) -> Iterator[Api]:
    """A stage `prod`, open to the tests; what it leaves behind on purpose is gone in the end."""
    before = inventory(cloud)
    yield Api(cloud.deploy("prod", auth="none", **PLAIN_HTTP))
    if ("stack", "visits-prod") in inventory(cloud):
        cloud.run("sls", "remove", "--stage", "prod")
    dynamodb, s3 = cloud.client("dynamodb"), cloud.client("s3")
    for kind, name in inventory(cloud) - before:
        if kind == "table":
            dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
            dynamodb.delete_table(TableName=name)
        elif kind == "bucket":
            for version in s3.list_object_versions(Bucket=name).get("Versions", []):
                s3.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])
            s3.delete_bucket(Bucket=name)


def test_both_tables_are_restored_and_what_came_in_since_is_counted(cloud: LocalCloud, prod: Api) -> None:
    """Step by step as the runbook has it; what was counted before is not counted again.

    (MiniStack restores a table as it stands, whatever the second; so what is to be lost comes after the restore.)
    """
    stack = Stack.of(cloud, "prod")
    stack.drop("incoming/before.csv", f"{HEADER}324,20171001,3\n")
    assert stack.receipt("incoming/before.csv").done
    stop, beside, in_place, settings, go_on = commands("Restore")

    run(cloud, stop)
    looked = run(cloud, beside, WHEN=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    assert "all,20171001,3\n" in looked
    assert '"key": "incoming/before.csv"' in looked

    # What the tables are restored from: a count that nobody wants, a file that came in meanwhile.
    cloud.run("visits", "add", "324", "20171001", "--count", "1000", "--stage", "prod")
    stack.drop("incoming/since.csv", f"{HEADER}324,20171002,5\n")
    for table, restored in (("user-visits-prod", "visits-restored"), ("visit-files-prod", "visits-restored-files")):
        run(cloud, in_place, TABLE=table, RESTORED=restored)
        run(cloud, settings, TABLE=table)
        assert {"protected": True, "recoverable": "ENABLED"} == safety(cloud, table)
    assert [(20171001, 3)] == rows(prod.get("/visits/324"))

    assert "1 files delivered again\n" in run(cloud, go_on)
    assert [(20171001, 3), (20171002, 5)] == rows(prod.get("/visits/324"))
    assert [(20171001, 3), (20171002, 5)] == rows(prod.get("/visits/all"))
    assert run(cloud, "visits redeliver --stage prod").endswith("0 files delivered again\n")


def safety(cloud: LocalCloud, table: str) -> dict[str, object]:
    """Return what keeps a table from being lost."""
    dynamodb = cloud.client("dynamodb")
    backups: Any = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    return {
        "protected": dynamodb.describe_table(TableName=table)["Table"]["DeletionProtectionEnabled"],
        "recoverable": backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"],
    }


def test_prod_keeps_its_tables_and_its_inbox_and_nothing_else(cloud: LocalCloud, prod: Api) -> None:
    """Protected as they were, with all that is in them."""
    stack = Stack.of(cloud, "prod")
    stack.drop("incoming/a.csv", f"{HEADER}324,20171001,3\n")
    receipt = stack.receipt("incoming/a.csv")

    cloud.run("sls", "remove", "--stage", "prod")

    assert 404 == prod.get("/visits/324").status
    left = {each for each in inventory(cloud) if "prod" in each[1]}
    kept = {("table", "user-visits-prod"), ("table", "visit-files-prod"), ("bucket", stack.inbox)}
    assert kept == left
    assert safety(cloud, "user-visits-prod")["protected"]  # MiniStack's CloudFormation forgets to make it recoverable
    assert receipt == stack.files.get(stack.inbox, "incoming/a.csv")
    assert "all,20171001,3\n" in cloud.run("visits", "query", "all", "--stage", "prod")
    s3 = cloud.client("s3")
    assert ["incoming/a.csv"] == [each["Key"] for each in s3.list_objects_v2(Bucket=stack.inbox)["Contents"]]


def test_backfilled_days_count_as_loaded(cloud: LocalCloud, api: Api) -> None:
    """A day of the file without visits is 0, any other is still null."""
    (load,) = commands("Backfill")
    file = local_cloud.PROJECT / "history.csv"
    file.write_text(f"{HEADER}9201,19950101,7\n9202,19950103,1\n")
    try:
        assert "history.csv: 8 visits in 2 rows\n" == run(cloud, load.replace("prod", "test"))
    finally:
        file.unlink()

    answer = api.get("/visits/9201?startDate=19950101&endDate=19950103&fill=zero")
    assert [(19950101, 7), (19950102, None), (19950103, 0)] == rows(answer)
