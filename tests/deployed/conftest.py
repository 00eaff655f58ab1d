"""A local cloud with the service on it, and packaged stages."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from cloud import PLAIN_HTTP, THIRD_PARTY, Api
from databases import client_at
from packages import Package, Packager
from samples import BOOK_324
from settings import STAGE, TABLE
from stack import Stack

from repository import VisitsTable
from tools import local_cloud
from tools.local_cloud import LocalCloud, stage_params


@pytest.fixture(scope="session")
def cloud(free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """A local cloud of the tests' own, IAM enforced, with nothing on it."""
    with local_cloud.running(free_port(), tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="session")
def api(cloud: LocalCloud) -> Api:
    """This very serverless.yml, deployed with `sls deploy`; its table is empty."""
    # A bucket's policy may name none but who exists.
    cloud.client("iam").create_user(UserName=THIRD_PARTY.rpartition("/")[2])
    return Api(cloud.deploy(STAGE, thirdPartyArn=THIRD_PARTY, **PLAIN_HTTP))


@pytest.fixture(scope="session")
def cloud_table(cloud: LocalCloud, api: Api) -> VisitsTable:  # noqa: ARG001 - the table comes with the stack
    """The deployed stack's table, reached as root over HTTP."""
    return VisitsTable(client_at(cloud.endpoint), TABLE)


@pytest.fixture(scope="session")
def book_api(api: Api, cloud_table: VisitsTable) -> Api:
    """The deployed API with event 324 of the book; tests that write take other events, and days from 2018 on."""
    for day, visits in BOOK_324.items():
        cloud_table.add("324", day, visits)
    return api


@pytest.fixture(scope="session")
def stack(cloud: LocalCloud, api: Api) -> Stack:  # noqa: ARG001 - deployed with the API
    """The deployed stack as its outputs name it."""
    return Stack.of(cloud, STAGE)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Packager:
    """Package a stage, once, where every call to AWS would fail: no credentials, and an endpoint that refuses."""

    @cache
    def of_stage(stage: str, **params: str) -> Package:
        folder = tmp_path_factory.mktemp(stage)
        environment = {name: value for name, value in os.environ.items() if "AWS_ACCESS" not in name}
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{free_port()}"
        subprocess.run(
            ["sls", "package", "--stage", stage, "--package", str(folder), *stage_params(params)],
            cwd=local_cloud.PROJECT,
            env=environment,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return Package(folder)

    return of_stage
