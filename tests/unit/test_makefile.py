"""The make targets that reach an AWS account: what they run, and what they refuse."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tools import local_cloud


def make(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Return what make would run."""
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
    """A target that reaches an account runs one command, with the stage and its params."""
    done = make(*arguments, **environment)

    assert 0 == done.returncode, done.stderr
    assert command == done.stdout.splitlines()[-1].rstrip()


@pytest.mark.parametrize("target", ["deploy", "remove", "smoke"])
@pytest.mark.parametrize(
    ("arguments", "environment"), [((), {}), (("STAGE=",), {}), (("STAGE=a b",), {}), ((), {"STAGE": "prod"})]
)
def test_a_missing_stage_is_refused(target: str, arguments: tuple[str, ...], environment: dict[str, str]) -> None:
    """Nothing runs before the stage is said; a variable of the environment does not say it."""
    done = make(target, *arguments, **environment)

    assert (2, "") == (done.returncode, done.stdout)
    assert f"which stage? Say it as in: make {target} STAGE=dev." in done.stderr


@pytest.mark.parametrize("text", ["$(shell >{})", "a';>{};'", "`>{}`$$"])
@pytest.mark.parametrize("name", ["STAGE", "PARAMS"])
def test_what_is_said_is_never_run(tmp_path: Path, text: str, name: str) -> None:
    """A value that make or the shell would run part of is refused, and no part of it runs."""
    made = tmp_path / "made"

    done = make("deploy", "STAGE=dev", f"{name}={text.format(made)}", PARAMS=text.format(made))

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("Makefile:")
    assert not made.exists()
