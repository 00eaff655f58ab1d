"""Readers' keys on a deployed stage: who is let in, what a reader costs, and where no key is to be found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import browser as browsers
import pytest
from botocore.credentials import ReadOnlyCredentials
from browser import tab
from cloud import PLAIN_HTTP, Answer, Api, configured, rows
from databases import Reply, ScriptedDynamoDB, client_at
from gateway import in_front_of
from playwright.sync_api import expect
from settings import STAGE
from stack import wait_for

from keys import KeysTable, ReaderKey, make_key
from tools.local_cloud import PROJECT, SAMPLE, LocalCloud
from tools.smoke import http
from tools.smoke.account import check_account
from tools.smoke.api import check_api
from tools.smoke.findings import Finding, Verdict
from tools.smoke.stack import read_stack

CREDENTIALS = ReadOnlyCredentials("test", "test", None)
SERIES = "GET /visits/{resourceId}"

KEYED = "keyed"
"""A stage that demands a key."""

PAGE_FUNCTION = "getPage"

RECIPES = (PROJECT / "docs" / "recipes.md").read_text()

MAX_REFUSAL_S = 300
"""Within this, a revoked key has to be refused."""


@dataclass
class Keyed:
    """The deployed stage, every key that was made or shown here, and every answer."""

    cloud: LocalCloud
    api: Api
    keys: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    in_query: bool = False

    def table_of(self, stage: str = KEYED) -> KeysTable:
        """Return a stage's keys, reached as root."""
        return KeysTable(client_at(self.cloud.endpoint), f"visit-keys-{stage}")

    def kept(self, key: str) -> str:
        """Remember a key, and return it."""
        self.keys.append(key)
        return key

    def add(self, name: str, stage: str = KEYED) -> str:
        """Add a key to a stage's table; return it."""
        key = self.kept(make_key())
        self.table_of(stage).add(ReaderKey.of(key, name, datetime.now(UTC), days=1))
        return key

    def visits(self, *arguments: str) -> str:
        """Return what the command line prints."""
        return self.cloud.run("visits", *arguments)

    def ask(self, path: str, key: str | None = None, method: str = "GET") -> Answer:
        """Return the answer to a request that shows a key where the stage looks for it."""
        headers = {}
        if key is not None and self.in_query:
            path = f"{path}{'&' if '?' in path else '?'}key={key}"
        elif key is not None:
            headers["Authorization"] = f"Bearer {key}"
        answer = self.api.get(path, headers, method)
        self.answers.append(answer)
        return answer

    def statuses(self, key: str | None) -> set[int]:
        """Return how a key is answered on the routes that demand one."""
        return {self.ask(path, key, method).status for method, path in self.routes(with_counts=True)}

    def routes(self, *, with_counts: bool) -> list[tuple[str, str]]:
        """Return method and path of every route that has counts, or of every other: the page's function has those."""
        gateway, api_id = self.cloud.client("apigatewayv2"), self.cloud.outputs(KEYED)["HttpApiId"]
        functions = {
            each["IntegrationId"]: each["IntegrationUri"] for each in gateway.get_integrations(ApiId=api_id)["Items"]
        }
        found = []
        for route in gateway.get_routes(ApiId=api_id)["Items"]:
            has_counts = PAGE_FUNCTION not in functions[route["Target"].rpartition("/")[2]]
            assert ("CUSTOM" if has_counts else "NONE") == route["AuthorizationType"]
            if has_counts == with_counts:
                method, path = route["RouteKey"].split(" ")
                found.append((method, re.sub(r"{\w+}", "324", path)))
        return found

    def runs(self, function: str) -> int:
        """Return how often a function has run, by its log."""
        pages = self.cloud.client("logs").get_paginator("filter_log_events")
        events = pages.paginate(logGroupName=f"/aws/lambda/visits-{KEYED}-{function}").search("events[].message")
        return sum("START RequestId" in message for message in events)

    @contextmanager
    def authorizer(self, **settings: Any) -> Iterator[None]:
        """Change the authorizer's settings for a while."""
        gateway, api_id = self.cloud.client("apigatewayv2"), self.cloud.outputs(KEYED)["HttpApiId"]
        (deployed,) = gateway.get_authorizers(ApiId=api_id)["Items"]
        before = {name: deployed[name] for name in settings}
        gateway.update_authorizer(ApiId=api_id, AuthorizerId=deployed["AuthorizerId"], **settings)
        try:
            yield
        finally:
            gateway.update_authorizer(ApiId=api_id, AuthorizerId=deployed["AuthorizerId"], **before)

    @contextmanager
    def keys_in_query(self) -> Iterator[None]:
        """Look for keys, for a while, where `keyIn: query` has them."""
        with self.authorizer(IdentitySource=["$request.querystring.key"]):
            self.in_query = True
            yield
            self.in_query = False


@pytest.fixture(scope="module")
def keyed(cloud: LocalCloud, api: Api) -> Keyed:  # noqa: ARG001 - the other stage, whose keys are no use here
    """A deployed stage that demands a key in a header."""
    deployed = Keyed(cloud, Api(cloud.deploy(KEYED, auth="key", **PLAIN_HTTP)))
    deployed.visits("add", "324", "20171001", "--stage", KEYED)
    return deployed


def test_whoever_has_a_key_reads_and_nobody_else_does(keyed: Keyed) -> None:
    """401 without a key, 403 with one that is not good: API Gateway has these words for both, and no others.

    Every route that has counts demands one, GET and HEAD alike, wherever the stage looks for it.
    """
    good, revoked = (
        keyed.kept(re.findall(r"\bvisits_\w+", keyed.visits("keys", "add", name, "--stage", KEYED))[0])
        for name in ("reader", "revoked")
    )
    keyed.visits("keys", "revoke", "revoked", "--stage", KEYED)
    ended = keyed.kept(make_key())
    keyed.table_of().add(ReaderKey.of(ended, "ended", datetime.now(UTC) - timedelta(days=2), days=1))
    keys = {
        "none": None,
        "good": good,
        "malformed": keyed.kept(f"{good[:-1]}{'0' if good[-1] != '0' else '1'}"),
        "unknown": keyed.kept(make_key()),
        "ended": ended,
        "revoked": revoked,
        "another stage's": keyed.add("reader", stage=STAGE),
    }
    expected = {name: {200} if name == "good" else {401} if name == "none" else {403} for name in keys}

    assert ("GET", "/visits/324") in keyed.routes(with_counts=True)
    assert expected == {name: keyed.statuses(key) for name, key in keys.items()}
    with keyed.keys_in_query():
        assert expected == {name: keyed.statuses(key) for name, key in keys.items()}
        assert 401 == keyed.api.get("/visits/324", {"Authorization": f"Bearer {good}"}).status
    assert {"message": "Unauthorized"} == keyed.ask("/visits/324").json()
    assert {"message": "Forbidden"} == keyed.ask("/visits/324", revoked).json()
    assert ("GET", "/visits/324/chart") in keyed.routes(with_counts=False)
    assert {200} == {keyed.ask(path, method=method).status for method, path in keyed.routes(with_counts=False)}


def test_an_answer_is_its_readers_alone(keyed: Keyed) -> None:
    """A shared cache keeps none, and a browser's cache none for another key; a link has no key to hand on."""
    key = keyed.add("cache")

    answer = keyed.ask("/visits/324?limit=1&startDate=2017-10-01", key)
    with keyed.keys_in_query():
        asked_by_address = keyed.ask("/visits/324?limit=1&startDate=2017-10-01", key)

    assert [(20171001, 1)] == rows(answer)
    assert "private, max-age=60" == answer.headers["Cache-Control"]
    assert "Accept, Accept-Encoding, Authorization" == answer.headers["Vary"]
    assert {"self": "/visits/324?startDate=20171001&limit=1"} == answer.links() == asked_by_address.links()
    assert answer.headers["ETag"] == asked_by_address.headers["ETag"]


def test_the_authorizer_and_its_table_are_asked_once_for_one_readers_requests(keyed: Keyed) -> None:
    """API Gateway keeps its answer."""
    key = keyed.add("dashboard")
    before = keyed.runs("authorizeReader"), keyed.runs("getVisits")

    assert {200} == {keyed.ask("/visits/324", key).status for _ in range(20)}

    assert (1, 20) == (keyed.runs("authorizeReader") - before[0], keyed.runs("getVisits") - before[1])


def test_a_revoked_key_is_refused_as_soon_as_api_gateway_asks_again(keyed: Keyed) -> None:
    """Which it does in time, even where the authorizer's answer had come as late as it may."""
    key = keyed.add("soon-revoked")
    gateway, api_id = keyed.cloud.client("apigatewayv2"), keyed.cloud.outputs(KEYED)["HttpApiId"]
    (authorizer,) = gateway.get_authorizers(ApiId=api_id)["Items"]
    function = keyed.cloud.client("lambda").get_function_configuration(FunctionName=f"visits-{KEYED}-authorizeReader")
    assert authorizer["AuthorizerResultTtlInSeconds"] + function["Timeout"] <= MAX_REFUSAL_S

    with keyed.authorizer(AuthorizerResultTtlInSeconds=1):
        assert 200 == keyed.ask("/visits/324", key).status
        keyed.table_of().revoke("soon-revoked")
        wait_for(lambda: keyed.ask("/visits/324", key).status == 403 or None)


def test_a_flood_of_wrong_keys_reaches_no_count(keyed: Keyed, scripted: ScriptedDynamoDB) -> None:
    """Each new one costs a run of the authorizer; only what is well-formed costs a read, of the keys' table alone."""
    scripted.replies = [Reply()]
    malformed = [f"visits_{n}" for n in range(20)]
    wrong = [keyed.kept(make_key()) for _ in range(20)]
    before = keyed.runs("authorizeReader"), keyed.runs("getVisits")

    with configured(keyed.cloud, "authorizeReader", stage=KEYED, AWS_ENDPOINT_URL=scripted.endpoint):
        assert {403} == {keyed.ask("/visits/324", key).status for key in malformed + wrong}
        assert {403} == {keyed.ask("/visits/324", key).status for key in malformed + wrong}  # told once more

    assert (40, 0) == (keyed.runs("authorizeReader") - before[0], keyed.runs("getVisits") - before[1])
    assert [f"visit-keys-{KEYED}"] * 20 == [request["TableName"] for request in scripted.requests]


def test_a_failing_lookup_lets_nobody_in_and_is_not_kept(keyed: Keyed, unused_endpoint: str) -> None:
    """500 by API Gateway; as soon as DynamoDB answers, the key is good."""
    key = keyed.add("patient")

    with configured(keyed.cloud, "authorizeReader", stage=KEYED, AWS_ENDPOINT_URL=unused_endpoint):
        assert 500 == keyed.ask("/visits/324", key).status

    assert 200 == keyed.ask("/visits/324", key).status


def recipe(start: str) -> str:
    """Return a line of the recipes for a stage with keys."""
    section = RECIPES.partition("## With a key")[2].partition("\n## ")[0]
    (line,) = re.findall(f"^{start}.*$", section, re.MULTILINE)
    return str(line)


def test_the_recipes_for_a_stage_with_keys(keyed: Keyed, tmp_path: Path) -> None:
    """A key in a header, by curl and pandas, and in an address, by a spreadsheet: each reads the same days."""
    keyed.visits("load", str(SAMPLE), "--stage", KEYED)
    api = f"{keyed.cloud.endpoint}/_aws/execute-api/{keyed.cloud.outputs(KEYED)['HttpApiId']}/$default"
    environment = {**os.environ, "API": api, "KEY": keyed.add("recipes")}

    def printed(*command: str | Path) -> str:
        return subprocess.run(command, env=environment, check=True, text=True, stdout=subprocess.PIPE).stdout

    by_curl = printed("bash", "-c", recipe("curl ").replace("curl ", "curl -sS "))
    assert by_curl.startswith("EventId,EventDay,EventCount\n324,20171001,")
    code, promised = re.findall(r"^```python\n(.*?)```\n\n```text\n(.*?)```$", RECIPES, re.MULTILINE | re.DOTALL)[0]
    with_key = re.findall(r"^visits = .*storage_options.*$", RECIPES, re.MULTILINE)[0]
    (script := tmp_path / "recipe.py").write_text(
        re.sub(r"^visits = .*read_csv.*$", lambda _: with_key, code, flags=re.MULTILINE)
    )
    assert promised == printed(sys.executable, script)

    address = recipe(r"=IMPORTDATA").removeprefix('=IMPORTDATA("').removesuffix('")')
    with keyed.keys_in_query():
        assert by_curl == printed("bash", "-c", f'curl -sS "{address}"')
        if spreadsheet := shutil.which("ssconvert"):
            address = address.replace("$API", api).replace("$KEY", environment["KEY"])
            printed(spreadsheet, "--import-type=Gnumeric_stf:stf_csvtab", address, tmp_path / "opened.csv")
            assert by_curl == (tmp_path / "opened.csv").read_text()


def test_smoke_checks_a_stage_with_keys(keyed: Keyed) -> None:
    """With a key nothing is skipped; without one, what needs one is; who has a wrong one is not let in."""
    connect = cache(keyed.cloud.client)
    key = keyed.add("smoke")
    with in_front_of(keyed.api) as gateway:
        stack = read_stack(connect, f"visits-{KEYED}")
        with_key, without = (
            list(check_api(http.Api(gateway.url, stack.region, "CUSTOM", CREDENTIALS, key=shown), stack))
            for shown in (key, None)
        )
        with keyed.keys_in_query():
            asked = http.Api(gateway.url, stack.region, "CUSTOM", CREDENTIALS, key=key, keys_in_query=True)
            in_query = list(check_api(asked, stack))
    of_account = list(check_account(stack, connect))

    assert [] == [finding for finding in with_key + in_query if finding.verdict is not Verdict.OK]
    assert {Verdict.SKIPPED} == {each.verdict for each in without if each.verdict is not Verdict.OK}
    said = {finding.what for finding in without}
    assert {f"{SERIES}, with an unknown key", f"{SERIES}, with nonsense for a key"} < said
    assert Finding(Verdict.OK, "HttpApiAuthorizerKey: settings") in of_account


def test_the_chart_asks_for_a_key_and_keeps_it_to_itself(keyed: Keyed) -> None:
    """Pasted or in the fragment, in a header or where the stage wants it; and in no address that is seen or linked."""
    key, wrong = keyed.add("chart"), keyed.kept(make_key())
    address = f"{keyed.api.url}/visits/324/chart?endDate=20171017"
    with browsers.running() as browser:
        with tab(browser) as chart:
            chart.open(address)
            assert "locked" == chart.state()
            assert [] == chart.violations()
            for text, state in ((wrong, "locked"), (f" {key[:30]}\n{key[30:]} ", "shown")):
                chart.page.get_by_label("Key or token").fill(text)
                chart.page.get_by_role("button", name="Show").click()
                chart.wait()
                assert state == chart.state()
            assert address == chart.page.url
            assert 20171001 == chart.table()[0][0]
            assert key not in chart.page.content()
            with chart.page.expect_download() as download:
                chart.page.get_by_role("link", name="CSV").click()
            assert "visits-324.csv" == download.value.suggested_filename
            assert Path(download.value.path()).read_text().startswith("EventId,EventDay,EventCount\n324,20171001,")
            # A link of the page takes the key along, in this tab.
            chart.open(f"{keyed.api.url}/visits/4711/chart#key={key}")
            chart.page.get_by_role("link", name="See all events together").click()
            expect(chart.page).to_have_url(f"{keyed.api.url}/visits/all/chart")
            chart.wait()
            assert "shown" == chart.state()
            assert [] == [each for each in chart.requests if key in each]
            assert "" == chart.page.evaluate("window.name")
            # Somebody who comes by the history meets a page without a key.
            assert key not in str(chart.page.evaluate("history.state"))
            chart.page.reload()
            chart.wait()
            assert "locked" == chart.state()
        with keyed.keys_in_query(), tab(browser) as chart:
            chart.open(f"{address}#key={key}")
            assert "shown" == chart.state()
            assert address == chart.page.url
            assert key not in chart.page.content()


def test_no_key_is_found_where_others_look(keyed: Keyed) -> None:
    """In no answer, no log and no table of the cloud, whatever was asked here; a digest of each is in the table."""
    assert len(keyed.keys) > 20
    found = [f"{answer.headers}{answer.body!r}" for answer in keyed.answers]
    logs, dynamodb = keyed.cloud.client("logs"), keyed.cloud.client("dynamodb")
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        found += pages.search("events[].message")
    for table in dynamodb.list_tables()["TableNames"]:
        found += [str(page["Items"]) for page in dynamodb.get_paginator("scan").paginate(TableName=table)]

    text = "\n".join(found)
    assert "START RequestId" in text
    assert "'Name': {'S': 'reader'}" in text
    assert [] == [key for key in keyed.keys if key.removeprefix("visits_")[:20] in text]
