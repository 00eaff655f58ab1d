"""Read-only checks of a deployed stage: is what runs what was deployed, and does it answer as it should.

What was deployed is read from the stack itself, so that neither params nor a package are needed. Nothing is written:
each call to AWS is a Get, a List or a Describe, each request to the API a GET or an OPTIONS.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import boto3
import click
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from tools.smoke.account import check_account
from tools.smoke.api import check_api
from tools.smoke.findings import Finding, Verdict
from tools.smoke.http import Api
from tools.smoke.stack import Connect, read_stack
from tools.stage import DEFAULT_REGION

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

PATIENT = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5})
"""CloudWatch and IAM let few calls a second through."""


def check_stage(
    stage: str,
    connect: Connect,
    credentials: ReadOnlyCredentials,
    *,
    url: str | None = None,
    token: str | None = None,
    key: str | None = None,
) -> Iterator[Finding]:
    """Yield what is found of a stage; raises ClientError where there is none.

    The credentials sign requests to an API that demands it; `url` is where the API is if not where its stack says.
    """
    stack = read_stack(connect, f"visits-{stage}")
    demands = stack.routes()["GET /visits/{resourceId}"]
    authorizers = stack.of_type("AWS::ApiGatewayV2::Authorizer")
    in_query = any("$request.querystring.key" in each.properties["IdentitySource"] for each in authorizers)
    api = Api(url or stack.outputs["HttpApiUrl"], stack.region, demands, credentials, token, key, in_query)
    yield from check_account(stack, connect)
    yield from check_api(api, stack)


def report(findings: Iterable[Finding]) -> bool:
    """Print each finding as it comes, and their number at the end; return whether none failed."""
    verdicts: Counter[Verdict] = Counter()
    for finding in findings:
        click.echo(finding)
        verdicts[finding.verdict] += 1
    click.echo(", ".join(f"{verdicts[verdict]} {verdict}" for verdict in Verdict))
    return not verdicts[Verdict.FAILED]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--stage", required=True, help="The stage to check.")
@click.option("--region", default=DEFAULT_REGION, envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], show_default=True)
@click.option("--url", envvar="VISITS_URL", help="Where the API is, if not where its stack says.")
@click.option("--token", envvar="VISITS_TOKEN", help="A JWT, where the stage demands one; better by VISITS_TOKEN.")
@click.option("--key", envvar="VISITS_KEY", help="A reader's key, where the stage demands one; better by VISITS_KEY.")
def smoke(stage: str, region: str, url: str | None, token: str | None, key: str | None) -> None:
    """Check a deployed stage, changing nothing: exit code 0 if all is well, 1 if not, 2 if it could not be checked."""
    session = boto3.Session(region_name=region)

    @functools.cache
    def connect(service: Any) -> Any:
        return session.client(service, config=PATIENT)

    try:
        credentials = session.get_credentials()
        if not credentials:
            raise NoCredentialsError
        well = report(check_stage(stage, connect, credentials.get_frozen_credentials(), url=url, token=token, key=key))
    except (BotoCoreError, ClientError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    sys.exit(0 if well else 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a usage error ends with 2 as well, by click."""
    smoke(arguments)


if __name__ == "__main__":
    main()
