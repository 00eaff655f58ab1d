"""The command line: what it prints, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import ScriptedDynamoDB, aws_error

import cli

if TYPE_CHECKING:
    from repository import VisitsTable

HEADER = "EventId,EventDay,EventCount\n"


@pytest.fixture(autouse=True)
def stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table in memory is that of the stage `test`."""
    monkeypatch.setenv("VISITS_STAGE", "test")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    """Run a command that fails; return its exit code and what it says, which is one line."""
    with pytest.raises(SystemExit) as raised:
        cli.main(arguments)
    code, out, err = raised.value.code, *capsys.readouterr()
    if isinstance(code, str):
        # What Python does with sys.exit("…"), outside of pytest.
        code, err = 1, f"{code}\n"
    assert "" == out
    assert err.startswith("error: ")
    assert err.endswith("\n")
    assert 1 == err.count("\n")
    return code, err.removeprefix("error: ").rstrip()


def test_add_counts_one_or_as_many_as_told(table: VisitsTable, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what it did."""
    cli.main(["add", "324", "20171001"])
    cli.main(["add", "324", "2017-10-01", "--count", "2"])
    cli.main(["add", "324", "20171001", "--count", "-1"])

    assert [("324", 20171001, 2)] == table.query("324")
    assert [("all", 20171001, 2)] == table.query("all")
    assert [
        "user-visits-test: +1 for event 324 on 20171001",
        "user-visits-test: +2 for event 324 on 20171001",
        "user-visits-test: -1 for event 324 on 20171001",
    ] == capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["add", "3x4", "20171001"], 2, "Invalid value for 'EVENT_ID': '3x4' is not a number (ASCII digits)"),
        (["add", "all", "20171001"], 2, "Invalid value for 'EVENT_ID': 'all' is not a number (ASCII digits)"),
        (["add", "324", "20171399"], 2, "Invalid value for 'DAY': '20171399' is not a calendar date (YYYYMMDD)"),
        (
            ["add", "324", "20171001", "--count", "0.5"],
            2,
            "Invalid value for '--count': '0.5' is not a whole number from -1,000,000,000,000 to 1,000,000,000,000",
        ),
        (
            ["add", "324", "20171001", "--count", "-2"],
            1,
            "user-visits-test: event 324 has fewer than 2 visits on 20171001; nothing was taken away",
        ),
        (["query", "abc"], 2, "Invalid value for 'EVENT_ID': 'abc' is neither a number (ASCII digits) nor 'all'"),
        (["query", "324", "--start", "20171002", "--end", "20171001"], 2, "--end 20171001 is before --start 20171002"),
        (
            ["query", "324", "--stage", "nowhere"],
            1,
            "Query on user-visits-nowhere: ResourceNotFoundException: Requested resource not found",
        ),
        (["load", "nothing.csv"], 2, "Invalid value for 'FILE': File 'nothing.csv' does not exist."),
        (
            ["create-table"],
            1,
            "CreateTable on user-visits-test: ResourceInUseException: Table already exists: user-visits-test",
        ),
        (["count"], 2, "No such command 'count'."),
        (["add", "324"], 2, "Missing argument 'DAY'."),
    ],
)
@pytest.mark.usefixtures("table")
def test_a_mistake_is_one_line_that_names_the_value_and_the_rule(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    """Exit code 2: asked wrongly; 1: not done."""
    assert (code, message) == refused(capsys, *arguments)


def test_an_addition_whose_fate_is_unknown_says_so(
    scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Repeating it blindly might count it twice."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", scripted.endpoint)
    scripted.replies = [aws_error("InternalServerError", 500)]

    code, message = refused(capsys, "add", "324", "20171001")

    assert 1 == code
    assert message.endswith("added or not: query it before you repeat")


def test_load_adds_a_file(table: VisitsTable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several rows of an event's day are summed; `all` follows."""
    file = tmp_path / "visits.csv"
    file.write_text(f"{HEADER}324,20171001,3\n324,20171001,4\n325,20171001,1\n324,20171002,5\n")

    cli.main(["load", str(file)])

    assert [("324", 20171001, 7), ("324", 20171002, 5)] == table.query("324")
    assert [("all", 20171001, 8), ("all", 20171002, 5)] == table.query("all")
    assert "user-visits-test: 13 visits in 3 counts, 2 events on 2 days\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            HEADER.encode() + b"324,20171001,3\n324,20171399,3\n",
            "line 3: '20171399' is not a calendar date (YYYYMMDD)",
        ),
        (HEADER.encode() + b"324,20171001,\xff\n", "not UTF-8: "),
        (b"", "line 1: the header is '', not 'EventId,EventDay,EventCount'"),
    ],
)
def test_load_adds_nothing_of_a_bad_file(
    table: VisitsTable, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    """It names file, line and rule."""
    file = tmp_path / "visits.csv"
    file.write_bytes(content)

    code, said = refused(capsys, "load", str(file))

    assert 1 == code
    assert said.startswith(f"{file}: {message}")
    assert [] == table.query("all")


def test_load_says_how_far_it_came(
    scripted: ScriptedDynamoDB, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the table fails midway."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", scripted.endpoint)
    file = tmp_path / "visits.csv"
    file.write_text(HEADER + "".join(f"{event},20171001,1\n" for event in range(250)))
    scripted.replies = [aws_error("Fine", 200), aws_error("AccessDeniedException")]

    code, message = refused(capsys, "load", str(file))

    assert 1 == code
    assert "AccessDeniedException: as told; 1 of 3 parts were added before" in message


def test_query_prints_json_as_the_api_and_csv_as_a_visit_file(
    book_table: VisitsTable, capsys: pytest.CaptureFixture[str]
) -> None:
    """CSV is the default where nobody looks, so that the output of `query` can be loaded."""
    book_table.add("324", 20171001, 0)
    arguments = ["query", "324", "--start", "2017-10-02", "--end", "20171010"]

    cli.main([*arguments, "--json"])
    assert [
        {"EventCount": 5, "EventDay": 20171002, "EventId": "324"},
        {"EventCount": 2, "EventDay": 20171010, "EventId": "324"},
    ] == json.loads(capsys.readouterr().out)

    cli.main([*arguments, "--csv"])
    csv = capsys.readouterr().out
    assert f"{HEADER}324,20171002,5\n324,20171010,2\n" == csv

    cli.main(arguments)
    assert csv == capsys.readouterr().out


def test_query_prints_a_table_on_a_terminal(
    book_table: VisitsTable, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the sum below."""
    book_table.add("324", 20171020, 1_000_000)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")

    cli.main(["query", "324", "--start", "20171017"])

    words = [line.replace("│", " ").replace("┃", " ").split() for line in capsys.readouterr().out.splitlines()]
    assert ["EventDay", "EventCount"] in words
    assert ["20171017", "2"] in words
    assert ["20171020", "1,000,000"] in words
    assert ["2", "days", "1,000,002"] in words


def test_create_table_makes_a_table_that_works(
    table: VisitsTable,  # noqa: ARG001 - moto
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`--table` names one outside the stages."""
    cli.main(["create-table", "--table", "elsewhere"])
    cli.main(["add", "324", "20171001", "--table", "elsewhere"])
    cli.main(["query", "324", "--table", "elsewhere"])

    assert capsys.readouterr().out.endswith(f"{HEADER}324,20171001,1\n")


def test_every_command_is_in_the_readme() -> None:
    """A command that nobody can find is none."""
    readme = (Path(cli.__file__).parent / "README.md").read_text()

    assert {"add", "load", "query", "create-table"} == set(cli.cli.commands)
    for command in cli.cli.commands:
        assert f"cli.py {command}" in readme
