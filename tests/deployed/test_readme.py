"""`make start` and the documents: what a newcomer types, and what the README and docs/ say the answer is."""

from __future__ import annotations

import csv
import doctest
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import psutil
import pytest

from tools import local_cloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DOCUMENTS = ("README.md", "docs/recipes.md", "docs/files.md", "docs/cli.md", "docs/CONTRIBUTING.md")
"""The documents whose commands work on what `make start` has put up, in the order in which they are run."""

RECIPES = (local_cloud.PROJECT / "docs" / "recipes.md").read_text()
START_TIMEOUT_S = 120


@dataclass
class Started:
    """A `make start` that has come as far as `API ready`; `answered` is what its curl was answered then."""

    make: subprocess.Popen[str]
    printed: str
    answered: str = ""

    def curl(self) -> str:
        """Return the command that it prints to paste."""
        (command,) = re.findall(r"^  (curl .*)$", self.printed, re.MULTILINE)
        return str(command)

    def address(self) -> str:
        """Return where the API is for programs to whom *.localhost is not this machine: MiniStack's other way to it."""
        (api_id, port) = re.findall(r"^API ready: http://(\w+)\.[^:]+:(\d+)$", self.printed, re.MULTILINE)[0]
        return f"http://127.0.0.1:{port}/_aws/execute-api/{api_id}/$default"

    def settings(self) -> dict[str, str]:
        """Return what the printed `export` line sets."""
        (line,) = re.findall(r"^  export (.*)$", self.printed, re.MULTILINE)
        # Here, `make deploy` finds a cloud that speaks plain HTTP.
        return dict(pair.split("=", 1) for pair in line.split()) | {"PARAMS": "tlsOnly=false"}


def make_start(port: int) -> Started:
    """Run `make start` in a process group of its own, as a terminal does, until it waits for Ctrl-C."""
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    make = subprocess.Popen(
        ["make", "start", f"PORT={port}"],
        cwd=local_cloud.PROJECT,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    assert make.stdout
    printed = ""
    while "Ctrl-C stops it." not in printed:
        line = make.stdout.readline()
        if not line:
            pytest.fail(f"make start ended with {make.wait()}:\n{printed}")
        printed += line
    return Started(make, printed)


def press_ctrl_c(started: Started) -> list[psutil.Process]:
    """Send the process group SIGINT, as a terminal does; return what of the family is still alive then."""
    family = psutil.Process(started.make.pid).children(recursive=True)
    assert any("ministack" in " ".join(process.cmdline()) for process in family)
    os.killpg(started.make.pid, signal.SIGINT)
    started.printed += started.make.communicate(timeout=30)[0]
    return psutil.wait_procs(family, timeout=5)[1]


@pytest.fixture(scope="module")
def started(free_port: Callable[[], int], service: Path) -> Iterator[Started]:  # noqa: ARG001 - it has built the layer
    """The service as `make start` puts it up."""
    running = make_start(free_port())
    try:
        running.answered = shell(running.curl(), {})
        yield running
    finally:
        press_ctrl_c(running)


def shell(command: str, settings: dict[str, str], *, fails: bool = False) -> str:
    """Return what a command prints in a terminal that has these settings; it has to succeed, or to fail."""
    # On a terminal curl shows no progress beside the answer.
    done = subprocess.run(
        ["bash", "-c", command.replace("curl ", "curl -sS ")],
        cwd=local_cloud.PROJECT,
        env={**os.environ, "NODE_NO_WARNINGS": "1", "SLS_AWS_MONITORING_FREQUENCY": "250", **settings},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    assert fails == bool(done.returncode), done.stdout
    return done.stdout


def test_make_start_prints_a_curl_that_answers(started: Started) -> None:
    """Exactly the rows from 2 October on, oldest first."""
    (url,) = re.findall(r"^API ready: (http://\S+)$", started.printed, re.MULTILINE)

    assert f"curl '{url}/visits/324?startDate=20171002'" == started.curl()
    days = [(20171002, 5), (20171010, 2), (20171012, 10), (20171013, 10), (20171014, 6), (20171016, 6), (20171017, 2)]
    objects = ",\n".join(f'{{"EventCount": {count}, "EventDay": {day}, "EventId": "324"}}' for day, count in days)
    assert f"[\n{objects}\n]\n" == started.answered


def test_make_start_prints_the_address_of_a_chart(started: Started) -> None:
    """Which is a page."""
    (url,) = re.findall(r"^API ready: (http://\S+)$", started.printed, re.MULTILINE)
    (chart,) = re.findall(r"^  (http://\S+)$", started.printed, re.MULTILINE)

    assert f"{url}/visits/324/chart" == chart
    assert "<title>Visits</title>" in shell(f"curl '{chart}'", {})


BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def compare(document: str, command: str, promised: str, actual: str) -> None:
    assert doctest.OutputChecker().check_output(promised, actual, doctest.ELLIPSIS), (
        f"{command}\n{document}:\n{promised}\nreally:\n{actual}"
    )


def test_every_command_of_the_documents_prints_what_they_say(started: Started, tmp_path: Path) -> None:
    """The commands and recipes of each document give the output that stands below them."""
    for document in DOCUMENTS:
        blocks = BLOCK.findall((local_cloud.PROJECT / document).read_text())
        assert blocks
        for number, (kind, text) in enumerate(blocks):
            match kind:
                case "console":
                    for command in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                        line, _, output = command.partition("\n")
                        fails = "\nerror: " in f"\n{output}"
                        compare(document, line, output, shell(line, started.settings(), fails=fails))
                case "python":
                    (script := tmp_path / "recipe.py").write_text(text)
                    _, promised = blocks[number + 1]
                    printed = shell(f"python {script}", started.settings() | {"API": started.address()})
                    compare(document, text, promised, printed)
                case "json":
                    assert grafana(json.loads(text), started) == [
                        (datetime(2017, 10, 14, tzinfo=UTC), 6),
                        (datetime(2017, 10, 15, tzinfo=UTC), None),
                        (datetime(2017, 10, 16, tzinfo=UTC), 6),
                    ]
                case "text" | "sh" | "toml":  # tests/unit/test_sources.py reads each source that is an example
                    pass
                case _:
                    pytest.fail(f"no test runs this block of {document}:\n{text}")


def grafana(query: dict[str, Any], started: Started) -> list[tuple[datetime, float | None]]:
    """Return what a panel would show of 14 to 16 October, by Infinity's rules: there is no Grafana here."""
    time_range = {"${__timeFrom:date:YYYYMMDD}": "20171014", "${__timeTo:date:YYYYMMDD}": "20171016"}
    assert ("url", "json", "") == (query["source"], query["type"], query["root_selector"])
    parameters = {each["key"]: time_range.get(each["value"], each["value"]) for each in query["url_options"]["params"]}
    address = query["url"].replace("$API", started.address())
    request = urllib.request.Request(
        f"{address}?{urlencode(parameters)}", headers={"Accept": "application/json;q=0.9,text/plain"}
    )
    with urllib.request.urlopen(request) as answer:
        rows = json.load(answer)
    days, counts = query["columns"]
    assert ("timestamp", "20060102", "number") == (days["type"], days["timestampFormat"], counts["type"])
    # Go writes a layout as 2 January 2006 would be written.
    return [
        (datetime.strptime(str(row[days["selector"]]), "%Y%m%d").replace(tzinfo=UTC), row[counts["selector"]])
        for row in rows
    ]


@pytest.mark.skipif(not shutil.which("ssconvert"), reason="no spreadsheet program here (Debian's gnumeric)")
def test_a_spreadsheet_reads_dates_and_a_column_for_each_event(started: Started, tmp_path: Path) -> None:
    """Gnumeric opens the address of the recipe's formula, and can calculate with its dates as they are."""
    address, *_ = re.findall(r'^=IMPORTDATA\("(.*)"\)$', RECIPES, re.MULTILINE)
    address = address.replace("$API", started.address())
    opened, calculated = tmp_path / "opened.csv", tmp_path / "calculated.csv"
    subprocess.run(["ssconvert", "--import-type=Gnumeric_stf:stf_csvtab", address, opened], check=True)
    with urllib.request.urlopen(address) as answer:
        header, *rows = csv.reader(answer.read().decode().splitlines())
    assert (["EventDay", "324", "318"], 30) == (header, len(rows))

    formulas = [f'{",".join(row)},"=A{n}-A2","=TEXT(A{n},""yyyy-mm-dd"")"' for n, row in enumerate(rows, 2)]
    opened.write_text("\n".join([",".join([*header, "Days", "Date"]), *formulas]))
    subprocess.run(["ssconvert", "--recalc", opened, calculated], check=True)

    with calculated.open() as file:
        assert [(str(n), row[0]) for n, row in enumerate(rows)] == [
            (row["Days"], row["Date"]) for row in csv.DictReader(file)
        ]


def test_it_listens_on_this_machine_only_and_ctrl_c_leaves_no_process_behind(free_port: Callable[[], int]) -> None:
    """Neither MiniStack nor the Lambda workers that it started; a second `make start` finds the port free."""
    port = free_port()
    running = make_start(port)
    family = psutil.Process(running.make.pid).children(recursive=True)
    listening = {
        connection.laddr
        for process in family
        for connection in process.net_connections()
        if connection.status == "LISTEN"
    }

    assert {("127.0.0.1", port)} == listening
    assert [] == press_ctrl_c(running)
    assert "Stopped." in running.printed


def test_a_taken_port_is_told() -> None:
    """With what to do about it, in one line."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = subprocess.run(
            ["python", "-m", "tools.local_cloud", "--port", str(port)],
            cwd=local_cloud.PROJECT,
            text=True,
            capture_output=True,
        )

    assert 1 == done.returncode
    assert f"error: port {port} is taken (Address already in use); choose another with PORT=…\n" == done.stderr
