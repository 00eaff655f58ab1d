"""A local cloud with the service on it, and packaged stages."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from cloud import PLAIN_HTTP, THIRD_PARTY, Api
from databases import client_at
from packages import Package, Packager, copy_service, locked, package_stage
from samples import BOOK_324
from settings import STAGE, TABLE
from stack import Stack

from repository import VisitsTable
from tools import local_cloud
from tools.local_cloud import LocalCloud, stage_params


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the processes of one run of the tests have in common."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Path:
    """A folder of the project for `sls` to run in, one for each process of the tests."""
    folder = copy_service(tmp_path_factory.mktemp("service") / "visits")
    # The converter's layer, which all folders share, is built by one process while the others wait.
    packaged(shared, folder, "dev")
    return folder


@pytest.fixture(scope="session")
def cloud(
    free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory, service: Path
) -> Iterator[LocalCloud]:
    """A local cloud of the tests' own, IAM enforced, with nothing on it."""
    with local_cloud.running(free_port(), tmp_path_factory.mktemp("cloud"), service) as running:
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
def package(service: Path, shared: Path) -> Packager:
    """Package a stage once, whichever of the test processes asks for it first."""

    @cache
    def of_stage(stage: str, region: str = local_cloud.REGION, **params: str) -> Package:
        return packaged(shared, service, stage, region, **params)

    return of_stage


def packaged(shared: Path, service: Path, stage: str, region: str = local_cloud.REGION, **params: str) -> Package:
    """Package a stage, or wait until another process has done so; return its package."""
    package = Package(shared / re.sub(r"[^\w=.-]", "_", " ".join(["package", stage, region, *stage_params(params)])))
    with locked(shared / f"{package.folder.name}.lock"):
        if not package.is_there():
            package_stage(service, package.folder, stage, region, **params)
    return package
