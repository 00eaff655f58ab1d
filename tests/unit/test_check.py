"""`visits check`: what a file would come to, for people and for programs."""

from __future__ import annotations

import gzip
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_line import ended

from tools import cli

HEADER = "EventId,EventDay,EventCount\n"
SOURCES = """
[bridge]
events = { North = "3001", South = "3002" }
columns = { EventDay = "Datetime" }
time_zone = "Europe/Berlin"
"""


@pytest.fixture(autouse=True)
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """No address of any service: whoever prepares files has no account."""
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)


def write(folder: Path, content: str | bytes, name: str = "visits.csv") -> str:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(file)


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, dict[str, Any]]:
    """Return the exit code and the JSON of a file."""
    try:
        cli.main(["check", "--json", *arguments])
        code: object = 0
    except SystemExit as exit_:
        code = exit_.code
    return code, json.loads(capsys.readouterr().out)


def test_a_good_file_is_told_with_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0."""
    rows = "318;2017-10-01;2\n324;2017/10/17;40.0\n324;20171002;4\n"
    data = gzip.compress(f"EventId;EventDay;EventCount\n{rows}".encode())

    assert (
        0,
        {
            "format": "CSV",
            "delimiter": ";",
            "encoding": "utf-8",
            "packing": "gzip",
            "source": None,
            "rows_read": 3,
            "rows_good": 3,
            "rows_bad": 0,
            "visits": 46,
            "events": {"324": 44, "318": 2},
            "first_day": 20171001,
            "last_day": 20171017,
            "remark": None,
            "refused": None,
            "rejects": [],
        },
    ) == checked(capsys, write(tmp_path, data))

    cli.main(["check", write(tmp_path, data)])
    assert [
        "visits.csv: CSV, semicolons between columns, utf-8, gzip",
        "3 rows: 3 good, 0 bad",
        "46 visits, from 20171001 to 20171017, of 2 events:",
        "  324: 44",
        "  318: 2",
    ] == capsys.readouterr().out.splitlines()


def test_bad_rows_are_told_with_every_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1; as JSON the first hundred, whole; to people fewer, and nothing that their terminal would obey."""
    rows = "".join(f"x\x1b[31m,20171001,{n}{'0' * 200}\n" for n in range(150))
    file = write(tmp_path, f"{HEADER}324,20171001,3\n324,2017-02-29,1\n{rows}")

    code, found = checked(capsys, file)
    assert (1, 152, 1, 151) == (code, found["rows_read"], found["rows_good"], found["rows_bad"])
    assert 100 == len(found["rejects"])
    assert {
        "line": 3,
        "reason": "EventDay '2017-02-29' is not a calendar date (YYYYMMDD)",
        "text": "324,2017-02-29,1",
    } == found["rejects"][0]
    assert "x\x1b[31m,20171001,98" + "0" * 200 == found["rejects"][99]["text"]

    failed = ended(capsys, "check", file)
    assert (1, ["error: 151 of 152 rows of visits.csv are bad"]) == (failed.code, failed.err)
    assert [
        "bad rows:",
        "  150 rows: EventId is not a number (ASCII digits)",
        "  1 row: EventDay is not a calendar date (YYYYMMDD)",
        "  line 3: EventDay '2017-02-29' is not a calendar date (YYYYMMDD)",
        "    324,2017-02-29,1",
        "  line 4: EventId 'x\\x1b[31m' is not a number (ASCII digits)",
        f"    x\\x1b[31m,20171001,{'0' * 84}…",
    ] == failed.out[4:11]
    assert "  and 141 rows more" == failed.out[-1]


def test_a_file_that_would_be_refused_is_told_with_the_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, and nothing of it would count."""
    file = write(tmp_path, f'{HEADER}324,20171001,3\n324,20171001,"4\n')
    reason = "has a quoted field that does not end, line 3"

    code, found = checked(capsys, file)
    assert (1, reason, 0, {}, None) == (
        code, found["refused"], found["visits"], found["events"], found["first_day"]
    )  # fmt: skip

    failed = ended(capsys, "check", file)
    assert [f"error: visits.csv {reason}; nothing of it would count"] == failed.err
    assert "visits.csv: CSV, commas between columns, utf-8" == failed.out[0]


def test_a_file_that_is_no_file_of_visits_at_all_is_told_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it is taken for is unknown then."""
    file = write(tmp_path, b"PAR1....", "a.parquet")

    code, found = checked(capsys, file)

    assert (1, None, None, "is a Parquet file: save it as CSV") == (
        code, found["format"], found["encoding"], found["refused"]
    )  # fmt: skip
    assert "a.parquet: unknown" == ended(capsys, "check", file).out[0]


def test_a_file_is_checked_as_its_source_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the file of sources that is named; a mistake in it is one line."""
    sources = write(tmp_path, SOURCES, "ours.toml")
    file = write(tmp_path, "Datetime,North,South\n2017-10-02 01:30,3,4\n2017-10-02 02:00,1,\n")

    code, found = checked(capsys, file, "--source", "bridge", "--sources", sources)
    assert (0, "bridge", {"3001": 4, "3002": 4}) == (code, found["source"], found["events"])
    assert (20171001, 20171002) == (found["first_day"], found["last_day"])
    cli.main(["check", file, "--source", "bridge", "--sources", sources])
    assert "visits.csv: CSV, commas between columns, utf-8, source bridge" == capsys.readouterr().out.splitlines()[0]

    failed = ended(capsys, "check", file, "--sources", write(tmp_path, "[it]\nx = 1\n", "theirs.toml"))
    assert failed.err[0].startswith("error: theirs.toml: [it] has an unknown setting 'x'; ")


def test_a_file_of_sources_may_be_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a deployment is told."""
    monkeypatch.setenv("SOURCES_FILE", write(tmp_path, SOURCES, "ours.toml"))

    code, _ = checked(capsys, write(tmp_path, "Datetime,North,South\n2017-10-02,3,4\n"), "--source", "bridge")

    assert 0 == code


def test_a_remark_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip in a column's name makes each row one visit, without a bad row."""
    file = write(tmp_path, "EventId,EventDay,Count\n324,20171001,3\n324,20171001,3\n")

    cli.main(["check", file])

    assert "note: it has no EventCount: each row was one visit" == capsys.readouterr().out.splitlines()[-1]
    assert "has no EventCount: each row was one visit" == checked(capsys, file)[1]["remark"]
    objects = '{"EventId": 1, "EventDay": 20171001}\n{"EventId": 1, "EventDay": 20171001, "EventCount": 3}\n'
    assert (
        "has 1 rows without EventCount: each was one visit"
        == (checked(capsys, write(tmp_path, objects, "a.jsonl"))[1]["remark"])
    )


def test_the_most_visited_events_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Programs get all of them."""
    file = write(tmp_path, HEADER + "".join(f"{event},20171001,{event}\n" for event in range(1, 31)))

    cli.main(["check", file])

    lines = capsys.readouterr().out.splitlines()
    assert ["  30: 30", "  21: 21", "  and 20 events more"] == [lines[3], lines[12], lines[13]]
    assert 30 == len(checked(capsys, file)[1]["events"])


def test_a_day_after_tomorrow_is_bad_as_when_it_is_delivered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tomorrow has begun east of here."""
    today = datetime.now(UTC)
    days = "".join(f"324,{today + timedelta(days=n):%Y%m%d},1\n" for n in (0, 1, 3))

    code, found = checked(capsys, write(tmp_path, f"{HEADER}{days}"))

    assert (1, 2, 1) == (code, found["rows_good"], found["rows_bad"])


def test_progress_is_shown_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, so that stdout stays JSON."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    cli.main(["check", "--json", write(tmp_path, f"{HEADER}324,20171001,3\n")])

    out, err = capsys.readouterr()
    assert 3 == json.loads(out)["visits"]
    assert "visits.csv" in err
