"""The environment of every test, with no way to an AWS account; tables in memory, and a DynamoDB of canned answers."""

from __future__ import annotations

import os
import socket
import urllib.request
from collections.abc import Callable, Iterator

import hypothesis
import pytest
from databases import MOTO, ScriptedDynamoDB, boto3_at, client_at, run_moto, run_scripted
from samples import BOOK_324
from settings import ENVIRONMENT, FILES_TABLE, KEYS_TABLE, TABLE

from keys import KeysTable
from receipts import FilesTable
from repository import VisitsTable
from tools import local_cloud, tables

# The entry points read the environment when they are imported, which the test modules do after this.
local_cloud.leave_aws()
os.environ |= ENVIRONMENT | {"AWS_ENDPOINT_URL": MOTO}

# No example has a deadline: how long a thing takes is the machine's affair.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=100)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of moto, which runs in this process."""
    with run_moto() as address:
        yield address


@pytest.fixture
def table(moto: str) -> VisitsTable:
    """An empty table in memory, under the name that handler.py knows; nothing else is in memory."""
    urllib.request.urlopen(urllib.request.Request(f"{moto}/moto-api/reset", method="POST")).close()
    visits = VisitsTable(client_at(moto), TABLE)
    tables.create(boto3_at(moto), visits)
    return visits


@pytest.fixture
def files(moto: str, table: VisitsTable) -> FilesTable:  # noqa: ARG001 - in the same DynamoDB
    """No receipts, in memory, beside `table`."""
    receipts = FilesTable(client_at(moto), FILES_TABLE)
    tables.create(boto3_at(moto), receipts)
    return receipts


@pytest.fixture
def keys(moto: str, table: VisitsTable) -> KeysTable:  # noqa: ARG001 - in the same DynamoDB
    """No reader's key, in memory, beside `table`."""
    readers = KeysTable(client_at(moto), KEYS_TABLE)
    tables.create(boto3_at(moto), readers)
    return readers


@pytest.fixture
def book_table(table: VisitsTable) -> VisitsTable:
    """The table in memory with event 324 of the book."""
    for day, visits in BOOK_324.items():
        table.add("324", day, visits)
    return table


@pytest.fixture
def scripted() -> Iterator[ScriptedDynamoDB]:
    """A DynamoDB of canned answers."""
    with run_scripted() as dynamodb:
        yield dynamodb


@pytest.fixture
def scripted_table(scripted: ScriptedDynamoDB) -> VisitsTable:
    """A table in the DynamoDB of canned answers, asked once a call: the client's own retries would hide the answer."""
    return VisitsTable(client_at(scripted.endpoint, max_attempts=1), TABLE, sleep=lambda _: None)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Return a function that finds a port on which nobody listens."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find


@pytest.fixture
def unused_endpoint(free_port: Callable[[], int]) -> str:
    """An address that refuses connections."""
    return f"http://127.0.0.1:{free_port()}"
