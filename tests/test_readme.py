"""`make start` and the README: what a newcomer types, and what they are promised to see."""

from __future__ import annotations

import doctest
import os
import re
import signal
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pytest

import local_cloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

README = (local_cloud.PROJECT / "README.md").read_text()
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

    def settings(self) -> dict[str, str]:
        """Return what the printed `export` line sets."""
        (line,) = re.findall(r"^  export (.*)$", self.printed, re.MULTILINE)
        return dict(pair.split("=", 1) for pair in line.split())


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
def started(free_port: Callable[[], int]) -> Iterator[Started]:
    """The service as `make start` puts it up."""
    running = make_start(free_port())
    try:
        running.answered = shell(running.curl(), {})
        yield running
    finally:
        press_ctrl_c(running)


def shell(command: str, settings: dict[str, str]) -> str:
    """Return what a command prints in a terminal that has these settings."""
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
    assert 0 == done.returncode, done.stdout
    return done.stdout


def test_make_start_prints_a_curl_that_answers(started: Started) -> None:
    """Exactly the rows from 2 October on, oldest first."""
    (url,) = re.findall(r"^API ready: (http://\S+)$", started.printed, re.MULTILINE)

    assert f"curl '{url}/visits/324?startDate=20171002'" == started.curl()
    days = [(20171002, 5), (20171010, 2), (20171012, 10), (20171013, 10), (20171014, 6), (20171016, 6), (20171017, 2)]
    objects = ",\n".join(f'{{"EventCount": {count}, "EventDay": {day}, "EventId": "324"}}' for day, count in days)
    assert f"[\n{objects}\n]\n" == started.answered


def readme_commands() -> list[tuple[str, str]]:
    """Return each command of the README's console blocks with the output it is promised to have."""
    commands = []
    for block in re.findall(r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = command.partition("\n")
            commands.append((line, output))
    return commands


def test_the_readme_tells_the_truth(started: Started) -> None:
    """Every command of it, in order, on what `make start` has put up."""
    commands = readme_commands()
    assert len(commands) > 10
    for command, expected in commands:
        actual = shell(command, started.settings())

        assert doctest.OutputChecker().check_output(expected, actual, doctest.ELLIPSIS), (
            f"$ {command}\nREADME:\n{expected}\nreally:\n{actual}"
        )


def test_every_make_target_of_the_documents_exists() -> None:
    """`make help` lists them."""
    helped = subprocess.run(["make", "help"], cwd=local_cloud.PROJECT, text=True, capture_output=True, check=True)
    targets = {line.split()[0] for line in helped.stdout.splitlines()}
    documents = README + (local_cloud.PROJECT / "CONTRIBUTING.md").read_text()

    assert {"start", "test", "lint"} <= targets
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", documents, re.MULTILINE)) <= targets


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
            ["python", "local_cloud.py", "--port", str(port)], cwd=local_cloud.PROJECT, text=True, capture_output=True
        )

    assert 1 == done.returncode
    assert f"error: port {port} is taken (Address already in use); choose another with PORT=…\n" == done.stderr
