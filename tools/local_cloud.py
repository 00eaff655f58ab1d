"""The local cloud: MiniStack on 127.0.0.1, IAM enforced, with serverless.yml deployed to it.

As a program it is `make start`. It reaches no AWS account: endpoint and credentials are the local cloud's own.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import boto3

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE = PROJECT / "tools" / "sample.csv"
TOOLS = PROJECT / "node_modules" / ".bin"
STAGE = "local"
REGION = "eu-west-1"
PORT = 4566
"""MiniStack's default."""

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 3  # it has nothing to save, and may wait for a function that nobody waits for
COMMAND_TIMEOUT_S = 300

_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class LocalCloudError(Exception):
    """The local cloud did not start, or a command on it failed. The message ends with what was printed."""


@dataclass(frozen=True)
class LocalCloud:
    """A running MiniStack, with the ways to reach it and to deploy to it."""

    port: int
    process: subprocess.Popen[bytes]
    service: Path = PROJECT
    """The folder that commands run in: the project, or a copy of it where one `sls` does not disturb another."""

    @property
    def endpoint(self) -> str:
        """The address for AWS_ENDPOINT_URL, with a number: with a name, S3 clients ask for `<bucket>.localhost`."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> Mapping[str, str]:
        """The environment variables that make any AWS tool use this cloud, as MiniStack's root user."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: Any) -> Any:
        """Return the client of an AWS service for this process, as MiniStack's root user."""
        return _client(service, self.endpoint)

    def run(self, *command: str) -> str:
        """Return what a command of the project prints on this cloud; raises LocalCloudError if it fails."""
        # A stack is ready within a second here, so osls polls more often. On Node.js 20 it prints a warning.
        quickly = {"SLS_AWS_MONITORING_FREQUENCY": "250", "NODE_NO_WARNINGS": "1"}
        done = subprocess.run(
            command,
            cwd=self.service,
            env={**os.environ, **self.settings, **quickly},
            timeout=COMMAND_TIMEOUT_S,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise LocalCloudError(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def deploy(self, stage: str, **params: str) -> str:
        """Deploy serverless.yml with these params, and return the API's address, as curl and browsers find it."""
        # Every `sls` packages into the folder .serverless, so two at once would destroy each other's package.
        with (self.service / "serverless.yml").open() as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            self.run("sls", "deploy", "--stage", stage, *stage_params(params))
        return f"http://{self.outputs(stage)['HttpApiId']}.execute-api.localhost:{self.port}"

    def outputs(self, stage: str) -> Mapping[str, str]:
        """Return the outputs of a deployed stack."""
        (stack,) = self.client("cloudformation").describe_stacks(StackName=f"visits-{stage}")["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


def stage_params(params: Mapping[str, str]) -> list[str]:
    """Return the options of `sls` that change params of a stage."""
    return [f"--param={name}={value}" for name, value in params.items()]


@cache
def _client(service: Any, endpoint: str) -> Any:
    # A session of its own: the default one would remember credentials. To make a client takes 0.05 s.
    return boto3.Session("test", "test", region_name=REGION).client(service, endpoint_url=endpoint)


@contextmanager
def running(port: int, state: Path, service: Path = PROJECT) -> Iterator[LocalCloud]:
    """Yield a MiniStack, started empty on 127.0.0.1; stop it and all its processes at the end.

    Its log and its temporary files go under `state`; `service` is the folder to deploy from. Raises LocalCloudError if
    the port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise LocalCloudError(f"port {port} is taken ({error.strerror}); choose another with PORT=…") from error
    scratch = state / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    log = state / "ministack.log"
    environment = {
        **os.environ,
        "AUTH": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",  # Its Lambda workers inherit it.
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",  # otherwise it listens for MQTT on all interfaces
        "MINISTACK_REGION": REGION,
        "TMPDIR": str(scratch),
    }
    with log.open("wb") as output:
        # In a session of its own, MiniStack does not receive the terminal's Ctrl-C, and one signal to its group ends it
        # together with the Lambda workers that it has started.
        process = subprocess.Popen(
            [sys.executable, "-m", "ministack"],
            cwd=state,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        cloud = LocalCloud(port, process, service)
        _wait_until_healthy(cloud, log)
        yield cloud
    finally:
        _stop(process)
        shutil.rmtree(scratch, ignore_errors=True)


def leave_aws() -> None:
    """Remove every way to an AWS account from this process and its children, and put the project's tools on PATH."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "MINISTACK_")) or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), str(TOOLS), os.environ.get("PATH", os.defpath)]),
    }


def _wait_until_healthy(cloud: LocalCloud, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while cloud.process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{cloud.endpoint}/_ministack/health", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise LocalCloudError(f"MiniStack did not come up within {START_TIMEOUT_S} s; {_tail(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    # SIGTERM asks MiniStack to end; SIGKILL ends what is left of its group.
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_TIMEOUT_S)


def _tail(log: Path) -> str:
    return f"the end of {log}:\n{log.read_text(errors='replace')[-2000:]}"


def _start(port: int) -> NoReturn:
    state = PROJECT / ".local-cloud" / str(port)
    log = state / "ministack.log"
    print(f"Starting the local cloud on port {port} (its log: {log.relative_to(PROJECT)})", flush=True)
    with running(port, state) as cloud:
        try:
            print(f"Deploying serverless.yml as stage {STAGE}", flush=True)
            api = cloud.deploy(STAGE)
            sample = str(SAMPLE.relative_to(PROJECT))
            print(f"Dropping {sample} into the inbox", flush=True)
            print(cloud.run("visits", "upload", sample, "--stage", STAGE), end="")
            settings = {**cloud.settings, "VISITS_STAGE": STAGE, "API": api}
            exported = " ".join(f"{name}={value}" for name, value in settings.items())
            print(
                f"\nAPI ready: {api}\n\n  curl '{api}/visits/324?startDate=20171002'\n\n"
                f"For the browser:\n\n  {api}/visits/324/chart\n\n"
                f"For the command line, in another terminal:\n\n  . .venv/bin/activate\n  export {exported}\n\n"
                "Ctrl-C stops it.",
                flush=True,
            )
            status = cloud.process.wait()
        except KeyboardInterrupt:
            # A second Ctrl-C must not interrupt the cleaning up.
            for signal_number in _ENDING_SIGNALS:
                signal.signal(signal_number, signal.SIG_IGN)
            raise
    raise LocalCloudError(f"MiniStack ended by itself with {status}; {_tail(log)}")


def main() -> None:
    """Start the local cloud, deploy to it, drop the sample file into it, and run until Ctrl-C."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=PORT, choices=range(1, 65536), metavar="PORT")
    port: int = parser.parse_args().port
    leave_aws()
    for signal_number in _ENDING_SIGNALS:
        signal.signal(signal_number, signal.default_int_handler)
    try:
        _start(port)
    except KeyboardInterrupt:
        print("\nStopped.")
    except LocalCloudError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
