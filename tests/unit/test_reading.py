"""The commands that read: `visits query` and `visits events`, from a table and from a deployed API."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from event_files import Context
from settings import STAGE

import handler
from keys import make_key
from repository import VisitsTable
from tools import cli, reading

HEADER = "EventId,EventDay,EventCount\n"


class FakeApi(ThreadingHTTPServer):
    """An API that answers as the functions do, or as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ApiHandler)
        self.told: tuple[int, dict[str, str], bytes] | None = None
        self.asked: list[str] = []
        self.shown: list[str | None] = []
        self.keys_in_query = False

    @property
    def url(self) -> str:
        return f"http://api.localhost:{self.server_port}"


class ApiHandler(BaseHTTPRequestHandler):
    """Hands a request to the function that it is for."""

    server: FakeApi

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.headers['Host'].partition(':')[0]} {self.path}")
        self.server.shown.append(self.headers["Authorization"])
        if self.server.keys_in_query and "key=" not in self.path:
            return self.answer(401, {}, b'{"message": "Unauthorized"}')
        if self.server.told:
            return self.answer(*self.server.told)
        parts = urlsplit(self.path)
        function = handler.list_visits if parts.path == "/visits" else handler.get_visits
        event = {"version": "2.0", "rawPath": parts.path, "rawQueryString": parts.query, "headers": dict(self.headers)}
        response = function(event, Context())
        headers = response["headers"]
        assert isinstance(headers, dict)
        status = response["statusCode"]
        assert isinstance(status, int)
        return self.answer(status, headers, str(response["body"]).encode())

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output to the tests."""


@pytest.fixture
def fake_api() -> Iterator[FakeApi]:
    """An API over HTTP, of the functions in this process."""
    with FakeApi() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage whose table is in memory."""
    monkeypatch.setenv("VISITS_STAGE", STAGE)


type Run = Callable[..., str]


@pytest.fixture(params=["table", "api"])
def run(
    request: pytest.FixtureRequest,
    table: VisitsTable,
    fake_api: FakeApi,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run a command on the table, or on the API that answers from it, and return what it prints."""
    monkeypatch.setattr(handler, "TABLE", table)

    def run_command(*arguments: str) -> str:
        cli.main([*arguments, *(["--url", fake_api.url] if request.param == "api" else [])])
        return capsys.readouterr().out

    return run_command


def test_query_prints_json_as_the_api_and_csv_as_a_visit_file(run: Run, book_table: VisitsTable) -> None:
    """CSV is the default where nobody looks, so that the output of `query` can be loaded."""
    book_table.add("324", 20171001, 0)
    arguments = ["query", "324", "--start", "2017-10-02", "--end", "20171010"]

    assert [
        {"EventCount": 5, "EventDay": 20171002, "EventId": "324"},
        {"EventCount": 2, "EventDay": 20171010, "EventId": "324"},
    ] == json.loads(run(*arguments, "--json"))
    assert f"{HEADER}324,20171002,5\n324,20171010,2\n" == run(*arguments, "--csv") == run(*arguments)


def test_query_sums_up_and_shows_gaps(run: Run, book_table: VisitsTable) -> None:
    """It is 0 where some event was visited, and nothing where none was, as the API has it."""
    book_table.add("325", 20171003, 9)

    filled = run("query", "324", "--start", "20171002", "--end", "20171004", "--fill")
    assert f"{HEADER}324,20171002,5\n324,20171003,0\n324,20171004,\n" == filled
    weeks = run("query", "324", "--interval", "week")
    assert f"{HEADER}324,20170925,3\n324,20171002,5\n324,20171009,28\n324,20171016,8\n" == weeks
    assert f"{HEADER}324,20171001,44\n" == run("query", "324", "--interval", "quarter")


def test_query_shows_several_events_compared(run: Run, book_table: VisitsTable) -> None:
    """Rows are by day, then in the order of the ids; days can be dates."""
    book_table.add("318", 20171016, 4)

    assert [
        "EventId,EventDay,EventCount,PreviousCount",
        "318,2017-10-16,4,0",
        "324,2017-10-16,6,6",
        "318,2017-10-17,0,",
        "324,2017-10-17,2,",
    ] == run("query", "318,324", "--last", "2", "--compare", "previous", "--days", "iso").splitlines()
    assert {"EventCount": 6, "EventDay": "2017-10-16", "EventId": "324"} == json.loads(
        run("query", "318,324", "--start", "20171016", "--json", "--days", "iso")
    )[1]


@pytest.mark.usefixtures("book_table")
def test_query_shows_more_than_one_page_of_rows(run: Run) -> None:
    """Every page is followed, of what rows are compared with as well."""
    rows = json.loads(
        run("query", "324", "--start", "1990-01-01", "--end", "2017-10-17", "--compare", "year", "--json")
    )

    assert (10_152, 19900101, 20171017) == (len(rows), rows[0]["EventDay"], rows[-1]["EventDay"])
    assert (44, 0) == tuple(sum(row[name] or 0 for row in rows) for name in ("EventCount", "PreviousCount"))
    assert len(rows) == len({row["EventDay"] for row in rows})


def test_query_draws_series(run: Run, book_table: VisitsTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as the terminal is, every day in its place; in longer intervals where days would be too many."""
    monkeypatch.setenv("COLUMNS", "40")
    book_table.add("325", 20171011, 1)

    assert [
        "Event 324, visits by day",
        "",
        "2017-10-10 Tue   2  ████",
        "2017-10-11 Wed   0",
        "2017-10-12 Thu  10  ████████████████████",
        "",
        "12 visits in 3 days, 4.0 a day on average",
    ] == run("query", "324", "--start", "20171010", "--end", "20171012", "--plot").splitlines()

    drawn = run("query", "324", "--start", "20170901", "--plot").splitlines()
    assert "Event 324, visits by day" == drawn[0]
    drawn = run("query", "324", "--start", "20160901", "--plot").splitlines()
    assert "Event 324, visits by week" == drawn[0]
    assert "2017-10-09  28  ████████████████████████" == drawn[-4]
    assert "44 visits in 60 weeks, 11.0 a week on average; 56 not loaded" == drawn[-1]
    drawn = run("query", "324", "--start", "20160901", "--plot", "--interval", "month").splitlines()
    assert "Event 324, visits by month" == drawn[0]
    drawn = run("query", "324,325", "--last", "2", "--plot", "--compare", "previous").splitlines()
    assert ["Events 324, 325, visits by day", "325 before: 0 visits in 2 days; 1 not loaded"] == [drawn[0], drawn[-1]]


@pytest.mark.usefixtures("book_table")
def test_query_draws_where_there_are_no_block_characters(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The output may have any encoding."""
    assert isinstance(sys.stdout, io.TextIOWrapper)
    sys.stdout.reconfigure(encoding="ascii")
    monkeypatch.setenv("COLUMNS", "40")

    cli.main(["query", "324", "--start", "20171016", "--plot"])

    assert b"2017-10-16 Mon  6  " + b"#" * 21 in capsysbinary.readouterr().out.splitlines()


def words(text: str) -> list[list[str]]:
    """Return the words of a table's lines."""
    return [line.replace("│", " ").replace("┃", " ").split() for line in text.splitlines()]


def test_tables_are_printed_on_a_terminal(run: Run, book_table: VisitsTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """They have the sums below."""
    book_table.add("324", 20171020, 1_000_000)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")

    series = words(run("query", "324", "--start", "20171017"))
    for line in (["EventDay", "EventCount"], ["20171017", "2"], ["20171020", "1,000,000"], ["2", "days", "1,000,002"]):
        assert line in series
    events = words(run("events", "--last", "4"))
    assert ["324", "1,000,002", "20171017", "20171020"] in events
    assert ["1", "event", "1,000,002"] in events


def test_events_are_listed_the_most_visited_first(run: Run, book_table: VisitsTable) -> None:
    """As CSV by default, as JSON as the API has it; so many as asked for."""
    book_table.add("318", 20171016, 60)
    book_table.add("7", 20171016, 1)

    header = "EventId,EventCount,FirstDay,LastDay\n"
    everything = run("events", "--start", "20171001", "--end", "20171017")
    assert f"{header}318,60,20171016,20171016\n324,44,20171001,20171017\n7,1,20171016,20171016\n" == everything
    assert everything == run("events", "--csv")
    assert f"{header}318,60,2017-10-16,2017-10-16\n" == run("events", "--limit", "1", "--days", "iso")
    assert [{"EventCount": 1, "EventId": "7", "FirstDay": 20171016, "LastDay": 20171016}] == json.loads(
        run("events", "--last", "2", "--json")
    )[2:]
    assert header == run("events", "--start", "20171018", "--end", "20171018")


@pytest.mark.usefixtures("table")
def test_nothing_is_printed_of_nothing(run: Run) -> None:
    """But its header is."""
    assert f"{HEADER}" == run("query", "324", "--last", "30")
    assert "EventId,EventDay,EventCount,PreviousCount\n" == run("query", "324", "--last", "30", "--compare", "year")
    assert "[]\n" == run("query", "324", "--json")
    assert "EventId,EventCount,FirstDay,LastDay\n" == run("events")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query", "abc"], "EVENT_IDS 'abc' is neither a number (ASCII digits) nor 'all'"),
        (["query", "324,324"], "EVENT_IDS '324' is given twice"),
        (["query", "324", "--start", "20171002", "--end", "20171001"], "--end 20171001 is before --start 20171002"),
        (["query", "324", "--start", "soon"], "--start 'soon' is not a calendar date (YYYYMMDD)"),
        (["query", "324", "--last", "3", "--end", "20171001"], "--last 3 cannot be given together with --end"),
        (["query", "324", "--compare", "year"], "--compare needs a range with two ends: --start and --end, or last"),
        (["events", "--limit", "0"], "--limit '0' is not a whole number from 1 to 10,000"),
        (
            ["events", "--start", "20160101", "--end", "20170101"],
            "the range has 367 days, from 20160101 to 20170101, where at most 366 are allowed",
        ),
    ],
)
def test_what_was_asked_wrongly_is_said_in_the_names_of_the_options(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """It is one line, and exit code 2, whoever finds the mistake."""
    with pytest.raises(SystemExit) as raised:
        run(*arguments)

    assert (2, f"error: {message}\n") == (raised.value.code, capsys.readouterr().err)


def error(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str]:
    """Return the exit code and the line of a command that fails."""
    with pytest.raises(SystemExit) as raised:
        cli.main(list(arguments))
    code = raised.value.code
    return (code, capsys.readouterr().err) if isinstance(code, int) else (1, f"{code}\n")


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ((403, {}, b'{"message": "Forbidden"}'), "answers 403: Forbidden"),
        ((502, {}, b"<html></html>"), "answers 502: Bad Gateway"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b"{}"), "answers 302: Found"),
        ((200, {}, b"<html></html>"), "does not answer as this API does: Expecting value: line 1 column 1 (char 0)"),
        ((200, {}, b'[{"EventId": "9"}]'), "does not answer as this API does: a row lacks what it should have"),
    ],
)
def test_what_an_api_answers_otherwise_is_an_error(
    fake_api: FakeApi, capsys: pytest.CaptureFixture[str], told: tuple[int, dict[str, str], bytes], message: str
) -> None:
    """It is one line, and exit code 1; no redirect is followed."""
    fake_api.told = told

    for command in (["query", "324"], ["events"]):
        assert (1, f"error: api.localhost:{fake_api.server_port} {message}\n") == error(
            capsys, *command, "--url", fake_api.url
        )


def test_an_api_is_asked_by_its_own_name(fake_api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    """The address may have a path, and a slash at its end."""
    fake_api.told = (200, {}, b"[]")
    cli.main(["query", "324,7", "--last", "3", "--url", f"{fake_api.url}/prod/"])
    cli.main(["query", "324", "--url", fake_api.url.replace("api.localhost", "127.0.0.1")])
    capsys.readouterr()

    assert ["api.localhost /prod/visits/324,7?last=3", "127.0.0.1 /visits/324?"] == fake_api.asked


def test_a_key_is_shown_in_a_header(
    fake_api: FakeApi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given as an option or by VISITS_KEY; the address does not have it."""
    fake_api.told = (200, {}, b"[]")
    key = make_key()

    cli.main(["query", "324", "--url", fake_api.url, "--key", key])
    monkeypatch.setenv("VISITS_KEY", key)
    cli.main(["events", "--url", fake_api.url])
    capsys.readouterr()

    assert [f"Bearer {key}"] * 2 == fake_api.shown
    assert [] == [each for each in fake_api.asked if key in each]


def test_a_key_is_put_into_the_address_where_the_api_looks_for_it_there(
    fake_api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such an API answers to a key in a header as it does to none."""
    fake_api.told = (200, {}, b"[]")
    fake_api.keys_in_query = True
    key = make_key()

    cli.main(["query", "324", "--last", "3", "--url", fake_api.url, "--key", key])

    assert f"api.localhost /visits/324?last=3&key={key}" == fake_api.asked[-1]
    assert [f"Bearer {key}", None] == fake_api.shown
    assert key not in "".join(capsys.readouterr())


def test_a_mistyped_key_is_not_sent(fake_api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    """Its checksum tells; the message does not repeat it."""
    code, message = error(capsys, "query", "324", "--url", fake_api.url, "--key", make_key()[:-1])

    assert (2, True) == (code, message.startswith("error: the key is mistyped"))
    assert "visits_" not in message
    assert [] == fake_api.asked


def test_a_link_to_another_host_is_not_followed(fake_api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    """It would be shown the key."""
    fake_api.told = (200, {"Link": '<https://elsewhere.example/visits/324>; rel="next"'}, b"[]")

    code, message = error(capsys, "query", "324", "--url", fake_api.url)

    assert 1 == code
    assert message.endswith("links to another host, which is not asked\n")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "api.example.com", "https://", "ftp://api.example.com"])
def test_an_address_is_http_or_https(capsys: pytest.CaptureFixture[str], url: str) -> None:
    """Nothing else is opened."""
    code, message = error(capsys, "query", "324", "--url", url)

    assert (2, True) == (code, message.startswith(f"error: --url {url}"))


def test_an_api_that_cannot_be_reached_is_an_error(capsys: pytest.CaptureFixture[str], unused_endpoint: str) -> None:
    """One line says why."""
    code, message = error(capsys, "query", "324", "--url", unused_endpoint)

    assert (1, True) == (code, "Connection refused" in message)


def test_the_current_day_is_that_of_utc() -> None:
    """As it is for the API."""
    assert reading.today() == int(f"{datetime.now(UTC):%Y%m%d}")
