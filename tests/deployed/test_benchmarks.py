"""The benchmark runs, with whatever contenders are installed, and counts right; how long things take is not tested."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest

from tools import local_cloud
from tools.benchmarks import picture, stub
from tools.benchmarks.__main__ import Line, table, write_file


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """What a tiny run prints, of the code as it lies here."""
    sizes = ["--rounds", "1", "--rows", "1", "30", "--file-rows", "300"]
    done = subprocess.run(
        [sys.executable, "-m", "tools.benchmarks", *sizes, "--code", ".", "--json"],
        cwd=local_cloud.PROJECT,
        env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        stdout=subprocess.PIPE,
        check=False,
    )
    # So small a file is over its budget: it is little more than its transactions.
    assert done.returncode in (0, 1)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_every_budget_has_its_line(lines: list[dict[str, Any]]) -> None:
    """All contenders gave the rows that the stub has, or there would be none."""
    assert [
        "warm request, 1 row",
        "warm request, 30 rows",
        "ten events of 365 rows",
        "ten events of 365 rows, 5 ms a Query: time passed",
        "list of 1,000 events over 30 days",
        "cold start",
        "cold start, TLS",
        "file, 300 rows, 300 pairs: CPU",
        "file, 300 rows, 300 pairs: memory",
        "file, 300 rows, 300 pairs: DynamoDB calls",
        "the same rows in a source's form: CPU",
    ] == [line["what"] for line in lines]
    for line in (lines[0], lines[1], lines[5]):
        assert {"book", "signed call", "powertools"} <= set(line["ratios"])
        assert all(line[name] > 0 for name in ("ours", *line["ratios"]))


def test_the_calls_of_a_file_are_within_their_budget(lines: list[dict[str, Any]]) -> None:
    """300 pairs and the `all` of their days, 99 a transaction, and three calls beside."""
    calls = lines[-2]

    assert calls["ours"] <= calls["budgets"]["at most"] == 7 + 3
    assert calls["met"]


def line(**budgets: float) -> Line:
    return Line("request", "ms", {"ours": [1.0, 2.0, 3.0], "book": [2.0, 8.0, 6.0]}, budgets)


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """0.5, 0.25, 0.5: whatever slowed a round down slowed both."""
    assert 0.5 == line().ratio("book")


@pytest.mark.parametrize(
    ("budgets", "met"),
    [({"book": 0.5}, True), ({"book": 0.4}, False), ({"at most": 2}, True), ({"at most": 1.9}, False)],
)
def test_a_budget_is_met_or_missed(budgets: Mapping[str, float], met: bool) -> None:
    """A multiple of another's, or a figure."""
    assert met is line(**budgets).met


def test_the_table_has_figures_ratios_and_verdicts() -> None:
    """As Markdown."""
    assert table([line(book=0.4), Line("package", "MB", {"ours": [2.5]})]).splitlines() == [
        "| what | ours | book | budget |  |",
        "| --- | ---: | ---: | --- | --- |",
        "| request, ms | 2 | 6 (×0.50) | ≤ 0.4 × book | **missed** |",
        "| package, MB | 2.5 |  |  |  |",
    ]


def test_the_stub_answers_as_many_days_as_are_asked_for(tmp_path: Path) -> None:
    """The stub answers what the projection says, and counts what else is called."""
    with stub.running(tmp_path) as server:
        endpoint = server.endpoint
        connection = http.client.HTTPConnection(urlsplit(endpoint).netloc)
        query: dict[str, object] = {"ExpressionAttributeValues": {":event": {"S": "3"}}}

        def asked(operation: str, body: Mapping[str, object]) -> dict[str, Any]:
            connection.request("POST", "/", json.dumps(body), {"X-Amz-Target": f"DynamoDB_20120810.{operation}"})
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer

        whole = asked("Query", query)["Items"]
        projected = asked("Query", {**query, "ProjectionExpression": "EventDay, EventCount"})["Items"]
        asked("PutItem", {})

        assert {int(item["EventDay"]["N"]): int(item["EventCount"]["N"]) for item in projected} == stub.series(3)
        assert whole == [{"EventId": {"S": "3"}, **item} for item in projected]
        assert {"PutItem": 1} == stub.calls(endpoint)
        connection.close()


def test_a_file_has_so_many_rows_and_pairs(tmp_path: Path) -> None:
    """Each pair about as often."""
    write_file(tmp_path / "visits.csv", 1_000, 400)

    _, *rows = (tmp_path / "visits.csv").read_text().splitlines()
    pairs = {row.rpartition(",")[0] for row in rows}
    assert (1_000, 400) == (len(rows), len(pairs))


def test_the_picture_has_a_curve_for_each_contender() -> None:
    """Of requests, of files by rows and by pairs."""
    whats = ["warm request, 1 row", "warm request, 365 rows"]
    whats += [f"file, {rows} rows, {pairs} pairs: CPU" for rows, pairs in [("10,000", "1,000"), ("700,000", "10")]]
    found = [{"what": what, "ours": 2.0 + n, "book": 9.0, "ratios": {"book": 0.1}} for n, what in enumerate(whats)]

    tree = ET.fromstring(picture.growth(found))  # noqa: S314 - our own

    assert 6 == len(tree.findall(".//{*}polyline"))
    texts = [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"ours", "book", "ours, CPU ms", "book, CPU ms"} <= set(texts)
