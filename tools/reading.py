"""What the command line reads: series of counts and the list of events, from a stage's table or from a deployed API."""

from __future__ import annotations

import json
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

import click
from rich.console import Console

from events import EventRow, UnusableRange, find_days, rank_events
from http_utils import Problem, Request
from intervals import Interval, day_of
from keys import is_well_formed
from query import read_events_query, read_series_query, with_dates
from repository import Budget
from representations import events_to_csv, events_to_json, to_csv, to_json
from series import Page, read_page
from tools.stage import Stage, on_tables
from tools.terminal import ASCII, BLOCKS, can_print, draw, events_table, fitting_interval, on_terminal, series_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intervals import Count

TIMEOUT_S = 60
"""Twice what API Gateway takes at most."""

OPTIONS = {"resourceId": "EVENT_IDS", "startDate": "--start", "endDate": "--end"}
"""By the API's name of a parameter, what it is called here; others have the same name."""

_URL = click.option("--url", help="Ask a deployed API at this address, in the place of a stage's table.")


_KEY_META = "visits.key"


def _keep_key(context: click.Context, _: click.Parameter, key: str | None) -> None:
    if key and not is_well_formed(key):
        raise click.UsageError("the key is mistyped: its length, its characters or its checksum are not those of a key")
    context.meta[_KEY_META] = key


_KEY = click.option(
    "--key",
    envvar="VISITS_KEY",
    callback=_keep_key,
    expose_value=False,
    help="A reader's key, for an API that demands one; better by VISITS_KEY.",
)
_START = click.option("--start", help="First day: YYYYMMDD, YYYY-MM-DD, today, yesterday-3m, ….")
_END = click.option("--end", help="Last day, inclusive.")
_DAYS = click.option(
    "--days", type=click.Choice(["number", "iso"]), default="number", help="How JSON and CSV have days."
)
_JSON = click.option("--json", "output", flag_value="json", help="As the API answers it.")


@click.command()
@click.argument("event_ids")
@_START
@_END
@click.option("--last", help="So many intervals up to the newest day, in the place of --start and --end.")
@click.option("--fill", is_flag=True, help="Show days without visits: 0, or nothing where no data has arrived.")
@click.option(
    "--interval",
    type=click.Choice([each.value for each in Interval]),
    help="What a row sums up; a day unless told otherwise, with --plot what fits.",
)
@click.option("--compare", type=click.Choice(["previous", "year"]), help="A second number: before, or a year earlier.")
@_DAYS
@click.option("--plot", "output", flag_value="plot", help="Draw bars; every day of the range has its place.")
@_JSON
@click.option("--csv", "output", flag_value="csv", help="As a visit file; the default where the output is no terminal.")
@_URL
@_KEY
@on_tables
def query(
    stage: Stage,
    event_ids: str,
    *,
    fill: bool,
    interval: str | None,
    compare: str | None,
    days: str,
    output: str | None,
    url: str | None,
    **limits: str | None,
) -> None:
    """Show the visits of EVENT_IDS (separated by commas), or of `all` events together, oldest day first."""
    given = {"fill": "zero" if fill or output == "plot" else None, "interval": interval, "compare": compare}
    parameters = _parameters(startDate=limits["start"], endDate=limits["end"], last=limits["last"], **given)

    def ask(parameters: Mapping[str, str]) -> Page:
        return _series_of_api(url, event_ids, parameters) if url else _series_of_table(stage, event_ids, parameters)

    with _usage_errors():
        read_series_query(_request(event_ids, parameters), today())
        page = ask(parameters)
        shown = Interval(interval or "day")
        if output == "plot" and not interval and (shown := fitting_interval(page.days)) is not Interval.DAY:
            page = ask(parameters | {"interval": shown.value})
    iso = days == "iso"
    if output == "plot":
        blocks = BLOCKS if can_print(BLOCKS) else ASCII
        click.echo("\n".join(draw(event_ids, shown, page, shutil.get_terminal_size().columns, blocks)))
    elif output == "json":
        click.echo(to_json(page, iso=iso), nl=False)
    elif output == "csv" or not on_terminal():
        click.echo(to_csv(page, compare=compare is not None, iso=iso), nl=False)
    else:
        Console().print(series_table(event_ids, shown, page))


@click.command()
@_START
@_END
@click.option("--last", help="So many days up to the newest; 30 unless told otherwise.")
@click.option("--limit", default="100", show_default=True, help="How many events.")
@_DAYS
@_JSON
@click.option("--csv", "output", flag_value="csv", help="The default where the output is no terminal.")
@_URL
@_KEY
@on_tables
def events(
    stage: Stage,
    *,
    start: str | None,
    end: str | None,
    last: str | None,
    limit: str,
    days: str,
    output: str | None,
    url: str | None,
) -> None:
    """List which events were visited, and how often, the most visited first."""
    parameters = _parameters(startDate=start, endDate=end, last=last, limit=limit)
    with _usage_errors():
        read_events_query(_request("", parameters), today())
        rows = _events_of_api(url, parameters) if url else _events_of_table(stage, parameters)
    iso = days == "iso"
    if output == "json":
        click.echo(events_to_json(rows, iso=iso), nl=False)
    elif output == "csv" or not on_terminal():
        click.echo(events_to_csv(rows, iso=iso), nl=False)
    else:
        Console().print(events_table(rows))


def _parameters(**given: str | None) -> dict[str, str]:
    return {name: value for name, value in given.items() if value is not None}


@contextmanager
def _usage_errors() -> Iterator[None]:
    """Say what was asked wrongly in the names of the options."""
    try:
        yield
    except (Problem, UnusableRange) as error:
        text = re.sub(r"^(last|compare|order|limit)\b", r"--\1", str(error))
        for name, option in OPTIONS.items():
            text = text.replace(name, option)
        raise click.UsageError(text) from error


def today() -> int:
    """Return the current day, UTC."""
    return day_of(datetime.now(UTC))


def _request(event_ids: str, parameters: Mapping[str, str]) -> Request:
    return Request(event_ids, {name: [value] for name, value in parameters.items()})


def _series_of_table(stage: Stage, event_ids: str, parameters: Mapping[str, str]) -> Page:
    read = stage.visits.reader(Budget())
    query = with_dates(read_series_query(_request(event_ids, parameters), today()), read)
    if query.last:
        return Page({})
    page = read_page(query.event_ids, query.selection, read)
    rows = {event_id: dict(found) for event_id, found in page.rows.items()}
    days = list(page.days)
    previous = {event_id: dict(found) for event_id, found in (page.previous or {}).items()}
    while page.more:
        page = read_page(query.event_ids, page.more, read)
        days += page.days
        for event_id, found in page.rows.items():
            rows[event_id] |= found
        for event_id, found in (page.previous or {}).items():
            previous[event_id] |= found
    return Page(rows, days, previous or None)


def _events_of_table(stage: Stage, parameters: Mapping[str, str]) -> list[EventRow]:
    query, budget = read_events_query(_request("", parameters), today()), Budget()
    _, _, days = find_days(query.start, query.end, query.last, today(), stage.visits.reader(budget))
    return rank_events(days, stage.visits.day_reader(budget), descending=True)[: query.limit]


def _series_of_api(url: str, event_ids: str, parameters: Mapping[str, str]) -> Page:
    rows: dict[str, dict[int, Count | None]] = {event_id: {} for event_id in event_ids.split(",")}
    previous: dict[str, dict[int, Count | None]] = {event_id: {} for event_id in rows}
    with _complete_rows(url):
        for row in _rows_of_api(url, f"/visits/{quote(event_ids, safe=',')}", parameters):
            rows[row["EventId"]][row["EventDay"]] = row["EventCount"]
            previous[row["EventId"]][row["EventDay"]] = row.get("PreviousCount")
    found = {event_id: counts for event_id, counts in rows.items() if counts}
    days = sorted({day for counts in found.values() for day in counts})
    return Page(found, days, previous if "compare" in parameters and found else None)


def _events_of_api(url: str, parameters: Mapping[str, str]) -> list[EventRow]:
    with _complete_rows(url):
        rows = islice(_rows_of_api(url, "/visits", parameters), int(parameters["limit"]))
        return [EventRow(row["EventId"], row["EventCount"], row["FirstDay"], row["LastDay"]) for row in rows]


@contextmanager
def _complete_rows(url: str) -> Iterator[None]:
    try:
        yield
    except (LookupError, TypeError) as error:
        message = f"{urlsplit(url).netloc} does not answer as this API does: a row lacks what it should have"
        raise click.ClickException(message) from error


def _rows_of_api(url: str, path: str, parameters: Mapping[str, str]) -> Iterator[Any]:
    """Yield the rows of all pages."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.UsageError(f"--url {url} is no address; it begins with https://")
    following: str | None = f"{url.rstrip('/')}{path}?{urlencode(parameters)}"
    while following:
        rows, link = _get(following)
        yield from rows
        target = re.search(r'<([^>]+)>; rel="next"', link)
        following = urljoin(following, target[1]) if target else None
        if following and urlsplit(following).netloc != parts.netloc:
            raise click.ClickException(f"{parts.netloc} links to another host, which is not asked")


def _get(address: str, *, key_in_query: bool = False) -> tuple[Sequence[Any], str]:
    """Return the rows of an answer, and its `Link`."""
    original, parts = address, urlsplit(address)
    headers = {"Accept": "application/json"}
    key = click.get_current_context().meta.get(_KEY_META)
    if key and key_in_query:
        address = f"{address}&{urlencode({'key': key})}"
        parts = urlsplit(address)
    elif key:
        headers["Authorization"] = f"Bearer {key}"
    if (parts.hostname or "").endswith(".localhost"):
        # Not every resolver knows that these names are this machine's.
        headers["Host"] = parts.netloc
        address = parts._replace(netloc=f"127.0.0.1:{parts.port or 80}").geturl()
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - the scheme is checked before
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer), answer.headers.get("Link", "")
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.UNAUTHORIZED and key and not key_in_query:
            # A key in a header is as good as none here: the stage looks for keys in the address.
            return _get(original, key_in_query=True)
        message = _message(error)
        if error.code == HTTPStatus.BAD_REQUEST:  # such as a range that is too long
            raise Problem(error.code, message) from error
        raise click.ClickException(f"{parts.netloc} answers {error.code}: {message}") from error
    except ValueError as error:
        raise click.ClickException(f"{parts.netloc} does not answer as this API does: {error}") from error


def _message(error: urllib.error.HTTPError) -> str:
    """Return what the answer says, which need not be one of ours."""
    try:
        return str(json.load(error)["message"])
    except (ValueError, LookupError, TypeError):
        return error.reason


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Lets no other address answer in the place of the one that was asked."""

    def redirect_request(self, *_: object) -> None:
        """Return nothing, so that the redirect is the answer."""
