"""The make targets that reach an AWS account: what they run, and that they ask for the stage."""

from __future__ import annotations

import os
import subprocess

import pytest

from tools import local_cloud


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Have make say what it would run."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "STAGE"}}
    return subprocess.run(
        ["make", "--dry-run", *arguments],
        cwd=local_cloud.PROJECT,
        env=inherited | environment,
        text=True,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "command"),
    [
        (("deploy", "STAGE=dev"), {}, "sls deploy --stage 'dev'"),
        (
            ("deploy", "STAGE=dev", "PARAMS=auth=iam tlsOnly=false"),
            {},
            "sls deploy --stage 'dev' '--param=auth=iam' '--param=tlsOnly=false'",
        ),
        (("deploy", "STAGE=dev"), {"PARAMS": "tlsOnly=false"}, "sls deploy --stage 'dev' '--param=tlsOnly=false'"),
        (("remove", "STAGE=dev"), {}, "sls remove --stage 'dev'"),
        (("smoke", "STAGE=dev"), {}, "python -m tools.smoke --stage 'dev'"),
    ],
)
def test_a_target_runs_its_command(arguments: tuple[str, ...], environment: dict[str, str], command: str) -> None:
    """With the stage and its params."""
    done = make(*arguments, **environment)

    assert 0 == done.returncode, done.stderr
    assert command == done.stdout.splitlines()[-1].rstrip()


@pytest.mark.parametrize("target", ["deploy", "remove", "smoke"])
@pytest.mark.parametrize(
    ("arguments", "environment"), [((), {}), (("STAGE=",), {}), (("STAGE=a b",), {}), ((), {"STAGE": "prod"})]
)
def test_a_missing_stage_is_told(target: str, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    """Before anything is run; one that the environment happens to have does not count."""
    done = make(target, *arguments, **environment)

    assert (2, "") == (done.returncode, done.stdout)
    assert f"which stage? Say it as in: make {target} STAGE=dev." in done.stderr
