"""The stage that a command works on: its tables, its outputs, and the options that name it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
import botocore.session
import click
from botocore.exceptions import NoCredentialsError
from botocore.httpsession import ProxyConfiguration, get_cert_path
from botocore.utils import get_environ_proxies

from connections import Server
from credentials import Credentials
from dynamodb import Client
from keys import KeysTable
from receipts import FilesTable
from repository import VisitsTable
from visits import InvalidValue

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DEFAULT_REGION = "eu-west-1"
"""The region where none is given, as in serverless.yml."""


@dataclass(frozen=True)
class Stage:
    """A stage: its name and region, its tables, and the outputs of its stack."""

    name: str
    region: str
    table: str | None
    boto3: DynamoDBClient
    dynamodb: Client

    @property
    def visits(self) -> VisitsTable:
        """The table of counts."""
        return VisitsTable(self.dynamodb, self.table or f"user-visits-{self.name}")

    @property
    def files(self) -> FilesTable:
        """The table of receipts."""
        return FilesTable(self.dynamodb, f"{self.table}-files" if self.table else f"visit-files-{self.name}")

    @property
    def keys(self) -> KeysTable:
        """The table of readers' keys."""
        return KeysTable(self.dynamodb, f"visit-keys-{self.name}")

    def output(self, name: str) -> str:
        """Return an output of the deployed stack."""
        stacks = boto3.client("cloudformation", region_name=self.region)
        stack = stacks.describe_stacks(StackName=f"visits-{self.name}")["Stacks"][0]
        for output in stack.get("Outputs", []):
            if output["OutputKey"] == name:
                return output["OutputValue"]
        raise click.ClickException(f"the stack {stack['StackName']} has no output {name}; deploy it again")


def connect(client: DynamoDBClient) -> Client:
    """Return a client of ours with the endpoint, the credentials, the certificates and the proxy of boto3's.

    Raises ValueError for an endpoint or a proxy that is malformed.
    """
    session = botocore.session.get_session()
    found = session.get_credentials()

    def credentials() -> Credentials:
        if found is None:
            raise NoCredentialsError
        access_key, secret_key, token = found.get_frozen_credentials()[:3]
        return Credentials(access_key or "", secret_key or "", token or "")

    url = client.meta.endpoint_url
    ca_bundle = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
    proxy = ProxyConfiguration(get_environ_proxies(url)).proxy_url_for(url)
    return Client(client.meta.region_name, credentials, Server(url, ca_bundle or get_cert_path(verify=True), proxy))


class Parsed[T](click.ParamType[T]):
    """A parameter of the command line that is read by a function, which raises InvalidValue."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """Return the parsed value, or fail as click does, with the reason."""
        try:
            return self._parse(value)
        except InvalidValue as error:
            self.fail(str(error), param, ctx)


def on_stage(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that name a stage to a command, which gets that stage as its first argument."""

    @click.option("--stage", default="dev", envvar="VISITS_STAGE", show_default=True, help="The stage to work on.")
    @click.option("--region", default=DEFAULT_REGION, envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], show_default=True)
    @functools.wraps(command)
    def with_stage(*, stage: str, region: str, table: str | None = None, **parameters: object) -> None:
        try:
            client = boto3.client("dynamodb", region_name=region)
            dynamodb = connect(client)
        except ValueError as error:
            raise click.ClickException(f"no client for DynamoDB: {error}") from error
        command(Stage(stage, region, table, client, dynamodb), **parameters)

    return with_stage


def on_tables(command: Callable[..., None]) -> Callable[..., None]:
    """Do as `on_stage`, with one more option for tables outside the stages, for a command that needs only tables."""
    option = click.option("--table", help="A table outside the stages; its receipts are in TABLE-files.")
    return option(on_stage(command))
