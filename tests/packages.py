"""What `sls package` makes of a stage, and where it does so."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tools.local_cloud import PROJECT, stage_params

TEMPLATE = "cloudformation-template-update-stack.json"


@dataclass(frozen=True)
class Package:
    """What `sls package` leaves for a stage."""

    folder: Path

    @property
    def template(self) -> dict[str, Any]:
        template: dict[str, Any] = json.loads((self.folder / TEMPLATE).read_text())
        return template

    def is_there(self) -> bool:
        return (self.folder / TEMPLATE).exists()

    def resource(self, logical_id: str) -> dict[str, Any]:
        properties: dict[str, Any] = self.template["Resources"][logical_id]["Properties"]
        return properties


def listed(one_or_more: str | list[str]) -> list[str]:
    """Return a policy's actions as a list: one may stand alone."""
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


class Packager(Protocol):
    """A function that packages a stage."""

    def __call__(self, stage: str, region: str = ..., **params: str) -> Package:
        """Return the package of a stage for a region, with these params."""
        ...


def copy_service(folder: Path) -> Path:
    """Make a copy of the project in which `sls` can run while it runs elsewhere; return its folder.

    `sls` writes .serverless and __pycache__ where it runs. Files are copied, because it does not take a link for one.
    """
    folder.mkdir()
    for entry in PROJECT.iterdir():
        if entry.is_file():
            shutil.copy2(entry, folder)
        elif entry.name in {"page", "plugins"}:
            shutil.copytree(entry, folder / entry.name)
        elif entry.name in {".venv", "docs", "node_modules", "requirements", "tests", "tools"}:
            (folder / entry.name).symlink_to(entry)
    return folder


def package_stage(service: Path, folder: Path, stage: str, region: str, **params: str) -> None:
    """Package a stage where every call to AWS would fail: no credentials, and an endpoint that refuses."""
    environment = {name: value for name, value in os.environ.items() if "AWS_ACCESS" not in name}
    subprocess.run(
        ["sls", "package", "--stage", stage, "--region", region, "--package", str(folder), *stage_params(params)],
        cwd=service,
        env=environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock that one process at a time has."""
    with file.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
