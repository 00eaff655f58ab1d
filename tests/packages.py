"""What `sls package` makes of a stage."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Package:
    """What `sls package` leaves for a stage."""

    folder: Path

    @property
    def template(self) -> dict[str, Any]:
        template: dict[str, Any] = json.loads((self.folder / "cloudformation-template-update-stack.json").read_text())
        return template

    def resource(self, logical_id: str) -> dict[str, Any]:
        properties: dict[str, Any] = self.template["Resources"][logical_id]["Properties"]
        return properties


def listed(one_or_more: str | list[str]) -> list[str]:
    """Return a policy's actions as a list: one may stand alone."""
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


class Packager(Protocol):
    """What packages a stage."""

    def __call__(self, stage: str, **params: str) -> Package:
        """Return the package of a stage, its params changed as told."""
        ...
