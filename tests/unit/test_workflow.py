"""The GitHub Actions workflows: how little they may, and that only what has passed is deployed."""

from __future__ import annotations

import re
from typing import Any

import yaml  # type: ignore[import-untyped]

from tools import local_cloud

FILES = sorted((local_cloud.PROJECT / ".github" / "workflows").iterdir())
WORKFLOWS: dict[str, dict[Any, Any]] = {file.stem: yaml.safe_load(file.read_text()) for file in FILES}
JOBS: dict[str, dict[str, Any]] = {
    f"{workflow}: {name}": job for workflow, content in WORKFLOWS.items() for name, job in content["jobs"].items()
}
STEPS: list[dict[str, Any]] = [step for job in JOBS.values() for step in job["steps"]]


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it() -> None:
    """A tag can be moved, a commit cannot; each action has one version in all workflows."""
    used = re.findall(r"uses: *(.*)$", "".join(file.read_text() for file in FILES), re.MULTILINE)

    assert [] == [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)]
    assert {each.partition("@")[0] for each in used} == {
        step["uses"].partition("@")[0] for step in STEPS if "uses" in step
    }
    assert len({each.partition("@")[0] for each in used}) == len(set(used))


def test_no_job_may_more_than_it_needs() -> None:
    """Each job reads the repository; the deployment also asks for the token that AWS exchanges for its role."""
    assert [{}] * len(WORKFLOWS) == [workflow["permissions"] for workflow in WORKFLOWS.values()]
    needed: dict[str, dict[str, str]] = {name: {"contents": "read"} for name in JOBS}
    needed["ci: deploy"]["id-token"] = "write"
    assert needed == {name: job["permissions"] for name, job in JOBS.items()}
    checkouts = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert [False] * len(JOBS) == [step["with"]["persist-credentials"] for step in checkouts]
    assert not any("secrets." in file.read_text() for file in FILES)


def test_only_a_tag_for_which_all_has_passed_is_deployed() -> None:
    """Whatever is installed is installed before there are credentials that it could take."""
    deploy = JOBS["ci: deploy"]
    steps = [step.get("run") or step["uses"].partition("@")[0] for step in deploy["steps"]]

    assert "github.event_name == 'push' && startsWith(github.ref, 'refs/tags/v')" == deploy["if"]
    assert {f"ci: {name}" for name in (*deploy["needs"], "deploy")} == {
        name for name in JOBS if name.startswith("ci: ")
    }
    assert ["make install", "aws-actions/configure-aws-credentials", "make deploy STAGE=prod"] == steps[-4:-1]


def test_no_text_of_others_is_taken_for_a_command() -> None:
    """GitHub fills in `${{ }}` before the shell reads the line."""
    assert [] == [step["run"] for step in STEPS if "${{" in step.get("run", "")]
