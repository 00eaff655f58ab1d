"""What a cold start of the API loads, and what it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tools import local_cloud

FORBIDDEN = {
    "aws_lambda_powertools": "the converter's",
    "boto3": "botocore has the client",
    "click": "the command line's",
    "converter": "the converter's",
    "ingestion": "the converter's",
    "moto": "the tests'",
    "multiprocessing": "comes with boto3's transfers",
    "pydantic": "comes with validation by Powertools",
    "rich": "the command line's",
    "s3transfer": "comes with boto3",
    "visit_files": "the converter's",
}
"""Modules, and whose they are or why they are not needed."""

PROGRAM = """
import gc, json, sys
import handler
print(json.dumps({"modules": list(sys.modules), "collects": gc.isenabled(), "kept": gc.get_freeze_count()}))
"""


@pytest.fixture(scope="module")
def started() -> dict[str, object]:
    """A fresh interpreter that has imported the entry point as Lambda does."""
    environment = {**os.environ, "PYTHONPATH": str(local_cloud.PROJECT)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True, stdout=subprocess.PIPE)
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("module", FORBIDDEN)
def test_a_request_has_no_need_of(started: dict[str, object], module: str) -> None:
    """Each would be loaded at every cold start."""
    assert isinstance(started["modules"], list)
    assert "botocore" in started["modules"]

    assert module not in started["modules"]


def test_the_collector_works_again_once_all_is_loaded(started: dict[str, object]) -> None:
    """And leaves alone what was loaded."""
    assert started["collects"]
    assert isinstance(started["kept"], int)
    assert started["kept"] > 10_000
