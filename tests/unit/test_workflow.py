"""The GitHub Actions workflow: what it runs and when, and how little it may."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import yaml  # type: ignore[import-untyped]

from tools import local_cloud

TEXT = (local_cloud.PROJECT / ".github" / "workflows" / "ci.yml").read_text()
WORKFLOW: dict[Any, Any] = yaml.safe_load(TEXT)
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
ON = WORKFLOW[True]
"""YAML 1.1 reads the key `on` as a truth value."""


def commands(job: str) -> list[str]:
    """Return what a job runs, in order."""
    return [step["run"] for step in JOBS[job]["steps"] if "run" in step]


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it() -> None:
    """A tag can be moved, a commit cannot."""
    used = re.findall(r"uses: *(.*)$", TEXT, re.MULTILINE)

    assert len(used) == sum("uses" in step for job in JOBS.values() for step in job["steps"]) > 0
    assert [] == [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)]
    # One version of each.
    assert len({each.partition("@")[0] for each in used}) == len(set(used))


def test_no_job_may_more_than_it_needs() -> None:
    """Read the repository; and the deployment ask for a token that AWS exchanges for its role."""
    assert {} == WORKFLOW["permissions"]
    assert {
        "lint": {"contents": "read"},
        "test": {"contents": "read"},
        "deploy": {"contents": "read", "id-token": "write"},
    } == {name: job["permissions"] for name, job in JOBS.items()}
    checkouts = [step for job in JOBS.values() for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert [False] * len(JOBS) == [step["with"]["persist-credentials"] for step in checkouts]
    assert "secrets." not in TEXT


def test_every_push_and_pull_request_is_linted_and_tested() -> None:
    """By the commands that a developer has, under no condition."""
    assert {"push": {"branches": ["**"], "tags": ["v*"]}, "pull_request": None} == ON
    assert ["make lint"] == commands("lint")
    assert "make test" == commands("test")[-1]
    assert not any("if" in JOBS[name] or "needs" in JOBS[name] for name in ("lint", "test"))


def test_a_tag_is_deployed_to_prod_once_all_has_passed_and_then_checked() -> None:
    """Nothing else is; what is installed is installed before there are credentials."""
    deploy = JOBS["deploy"]

    assert "github.event_name == 'push' && startsWith(github.ref, 'refs/tags/v')" == deploy["if"]
    assert {"lint", "test"} == set(deploy["needs"])
    assert "production" == deploy["environment"]
    assert {"group": "deploy-prod", "cancel-in-progress": False} == deploy["concurrency"]
    assert ["make install", "make deploy STAGE=prod", "make smoke STAGE=prod"] == commands("deploy")
    steps = [step.get("run") or step["uses"].partition("@")[0] for step in deploy["steps"]]
    assert steps.index("make install") < steps.index("aws-actions/configure-aws-credentials")


def test_no_run_goes_on_for_ever_and_none_takes_text_of_others_for_a_command() -> None:
    """Every job has a timeout; what GitHub fills in stands in no command."""
    assert all(0 < job["timeout-minutes"] <= 30 for job in JOBS.values())
    assert "group" in WORKFLOW["concurrency"]
    assert [] == [command for name in JOBS for command in commands(name) if "${{" in command]


def test_it_calls_targets_that_there_are() -> None:
    """`make help` lists them."""
    helped = subprocess.run(["make", "help"], cwd=local_cloud.PROJECT, text=True, capture_output=True, check=True)
    targets = {line.split()[0] for line in helped.stdout.splitlines()}
    called = {target for name in JOBS for run in commands(name) for target in re.findall(r"make ([a-z]+)", run)}

    assert {"lint", "test", "install", "deploy", "smoke"} == called
    assert called <= targets
