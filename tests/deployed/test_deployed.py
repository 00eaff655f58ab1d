"""The service as `sls deploy` puts it up on a local cloud with IAM enforced, asked over HTTP."""

from __future__ import annotations

import os
import pty
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from pathlib import Path

import pytest
from cloud import PLAIN_HTTP, Api, inventory, rows
from samples import BOOK_324, calendar
from settings import STAGE

from repository import VisitsTable
from tools import local_cloud
from tools.local_cloud import LocalCloud


def test_a_loaded_file_is_served_and_all_is_the_sum(cloud: LocalCloud, api: Api, tmp_path: Path) -> None:
    """A file that the command line loads is served whole, and `all` has the sums of its events."""
    days = calendar(date(1961, 1, 1), 1000)
    counts = {(event, day): (day * event) % 997 for event in (2001, 2002, 2003, 2004) for day in days}
    file = tmp_path / "visits.csv"
    lines = [f"{event},{day},{count}\n" for (event, day), count in counts.items()]
    file.write_text("EventId,EventDay,EventCount\n" + "".join(lines))

    said = cloud.run("visits", "load", str(file), "--stage", STAGE)

    assert f"visits.csv: {sum(counts.values()):,} visits in 4,000 rows\n" == said
    assert [(day, counts[2001, day]) for day in days] == rows(api.get("/visits/2001"))
    totals = [(day, sum(counts[event, day] for event in (2001, 2002, 2003, 2004))) for day in days]
    assert totals == rows(api.get(f"/visits/all?startDate={days[0]}&endDate={days[-1]}"))


def test_additions_at_once_all_count(cloud_table: VisitsTable, api: Api) -> None:
    """Of eight writers to one day of two events none loses a visit, and `all` is the sum."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: cloud_table.add(str(4001 + n % 2), 19710101, 1 + n % 3), range(60)))

    assert [(19710101, sum(1 + n % 3 for n in range(0, 60, 2)))] == rows(api.get("/visits/4001"))
    assert [(19710101, sum(1 + n % 3 for n in range(1, 60, 2)))] == rows(api.get("/visits/4002"))
    assert [(19710101, 120)] == rows(api.get("/visits/all?startDate=19710101&endDate=19710101"))


@pytest.mark.usefixtures("book_api")
def test_the_command_line_shows_progress_and_a_table_on_a_terminal(cloud: LocalCloud, tmp_path: Path) -> None:
    """On a real terminal, `load` draws a progress bar and `query` a table."""
    file = tmp_path / "visits.csv"
    lines = [f"5001,{day},1\n" for day in calendar(date(2018, 3, 1), 200)]
    file.write_text("EventId,EventDay,EventCount\n" + "".join(lines))

    progress = on_terminal(cloud, "load", str(file))
    assert "visits.csv ━━" in progress
    assert "5/5" in progress
    table = on_terminal(cloud, "query", "324", "--end", "20171002")
    assert "│ 20171002 │          5 │" in table
    assert "│ 2 days   │          8 │" in table


def on_terminal(cloud: LocalCloud, *arguments: str) -> str:
    """Return what `visits` writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["visits", *arguments, "--stage", STAGE],
        cwd=local_cloud.PROJECT,
        env={**os.environ, **cloud.settings, "TERM": "dumb", "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    with suppress(OSError):  # Linux says so when the last writer is gone.
        while chunk := os.read(ours, 65536):
            written += chunk
    os.close(ours)
    assert 0 == process.wait(60), written.decode()
    return written.decode()


@pytest.mark.timeout(600)  # it deploys a stage of its own, and removes it
def test_sls_remove_leaves_nothing_and_touches_no_other_stage(cloud: LocalCloud, book_api: Api) -> None:
    """A second stage that comes and goes leaves nothing behind and the first one as it was."""
    before = inventory(cloud)
    other = Api(cloud.deploy("other", **PLAIN_HTTP))
    cloud.run("visits", "add", "324", "20171018", "--stage", "other")
    cloud.run("visits", "upload", str(local_cloud.SAMPLE), "--stage", "other")
    # The inbox then has a file in two versions, with a delete marker on top, and a key that cannot stand in XML.
    s3 = cloud.client("s3")
    (inbox,) = [name for kind, name in inventory(cloud) - before if kind == "bucket" and "inbox" in name]
    s3.put_object(Bucket=inbox, Key="incoming/visits.csv", Body=b"")
    s3.delete_object(Bucket=inbox, Key="incoming/visits.csv")
    s3.put_object(Bucket=inbox, Key="incoming/a\x1b+b c%20d.csv", Body=b"")

    assert [*BOOK_324.items(), (20171018, 1)] == rows(other.get("/visits/324"))
    assert inventory(cloud) > before

    cloud.run("sls", "remove", "--stage", "other")

    assert before == inventory(cloud)
    assert 404 == other.get("/visits/324").status
    assert list(BOOK_324.items()) == rows(book_api.get("/visits/324"))
