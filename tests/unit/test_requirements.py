"""The files of requirements: one version of each package, and hashes for what deploys."""

from __future__ import annotations

import re

from tools import local_cloud


def pins(name: str) -> dict[str, str]:
    """Return the versions that a file of requirements pins, by package."""
    text = (local_cloud.PROJECT / name).read_text()
    return {
        re.sub("[-_.]+", "-", package).lower(): version
        for package, version in re.findall(r"^([\w.-]+)(?:\[.*\])?==(\S+)", text, re.M)
    }


def test_every_file_pins_the_same_versions() -> None:
    """A package that two environments have is the same in both, so what is tested is what runs."""
    constraints = pins("requirements/constraints.txt")

    for name in ("requirements.txt", *(f"requirements/{each}.txt" for each in ("start", "test", "lint"))):
        found = pins(name)
        assert found
        assert {package: constraints.get(package) for package in found} == found
