"""What sources.toml declares, and how its mistakes are told."""

from __future__ import annotations

import codecs
import json
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from reading import read, refused

from sources import ENCODINGS, NO_SETTINGS, SETTINGS, BadSources, Settings, Sources, main, read_sources, settings_of
from tools.local_cloud import PROJECT

type Declare = Callable[[str], Settings]


@pytest.fixture
def declare(tmp_path: Path) -> Declare:
    """Return the settings of a source [it] that a text declares."""

    def settings(text: str) -> Settings:
        path = tmp_path / "sources.toml"
        path.write_text(f"[it]\n{text}", "utf-8")
        return read_sources(path)["it"]

    return settings


def test_the_sources_of_this_repository_are_right() -> None:
    """A file may declare none."""
    assert not read_sources(Path("sources.toml"))


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("incoming/matomo/a.csv", "matomo"),
        ("incoming/matomo/2017/10/a.csv", "matomo"),
        ("incoming/matomo/", "matomo"),
        ("incoming/a b/a.csv", "a b"),
        ("incoming/a.csv", ""),
        ("incoming/matomo", ""),
        ("incoming/Matomo/a.csv", ""),
        ("incoming/matomo2/a.csv", ""),
        ("incoming//matomo/a.csv", ""),
        ("incoming/../matomo/a.csv", ""),
        ("incoming/./matomo/a.csv", ""),
        ("incoming/matomo%2Fa.csv", ""),
        ("matomo/a.csv", ""),
        ("(command line)/matomo/a.csv", ""),
    ],
)
def test_a_source_is_the_first_folder_under_incoming(key: str, name: str) -> None:
    """Compared whole, by case, and as it is written."""
    sources = {"matomo": Settings("matomo"), "a b": Settings("a b")}

    assert name == settings_of(key, sources).name


def test_columns_have_other_names(declare: Declare) -> None:
    """Each field's own name is for files without a source."""
    matomo = declare('columns = { EventId = "idSite", EventDay = "date", EventCount = "nb_visits" }')
    text = "date,nb_visits,nb_actions,idSite\n2017-10-01,3,99,324\n2017-10-02,4,99,324\n"

    assert {("324", 20171001): 3, ("324", 20171002): 4} == read(text, settings=matomo).counts
    assert {("324", 20171001): 3} == read(
        '[{"idSite": 324, "date": "2017-10-01", "nb_visits": 3, "EventCount": 99}]', "a.json", settings=matomo
    ).counts


def test_a_column_that_is_declared_must_be_there(declare: Declare) -> None:
    """A count that is left out is one visit only where nobody says where it is."""
    counted = declare('columns = { EventCount = "nb_visits" }')

    reason = refused("EventId,EventDay,visits\n324,20171001,3\n", settings=counted)

    assert reason.startswith("has a header which has no 'nb_visits' (EventCount); between commas, there is 'EventId', ")


def test_all_rows_are_of_one_event(declare: Declare) -> None:
    """The file has no column for it, and must have none."""
    turnstile = declare('event = "2001"\ncolumns = { EventDay = "ds", EventCount = "y" }')

    assert {("2001", 20171001): 7} == read('"ds","y"\n2017-10-01,3\n2017-10-01,4\n', settings=turnstile).counts
    assert {("2001", 20171001): 3} == read('{"ds": "2017-10-01", "y": 3}', "a.jsonl", settings=turnstile).counts
    assert "has a header which has EventId, but its source says that every row is of event 2001" == refused(
        "ds,y,event_id\n2017-10-01,3,7\n", settings=turnstile
    )


def test_a_log_is_a_row_a_visit(declare: Declare) -> None:
    """One column says all."""
    log = declare('event = "2001"\ncolumns = { EventDay = "time" }')
    text = "time\n2017-10-01T12:00:00Z\n2017-10-01T12:00:01Z\n2017-10-02T12:00:00Z\n"

    found = read(text, settings=log)

    assert {("2001", 20171001): 2, ("2001", 20171002): 1} == found.counts
    assert 3 == found.rows_without_count


COUNTERS = """
events = { "Promenade (north)" = "3001", "Promenade (south)" = "3002" }
columns = { EventDay = "Datetime" }
"""


def test_each_event_has_a_column(declare: Declare) -> None:
    """Others are ignored, an empty cell is no count, and a row is counted as a whole or not at all."""
    text = (
        "Datetime,Promenade (north),Weather,Promenade (south)\n"
        "2017-10-01 00:15,3,99,4\n"
        "2017-10-01 00:30,1,rain,\n"
        "2017-10-02 00:15, ,99,0\n"
        "2017-10-03 00:15,5,99,x\n"
        "2017-10-04 00:15,,99,\n"
        ",,,\n"
        "2017-10-05 00:15,5,99\n"
    )

    found = read(text, settings=declare(COUNTERS))

    assert {("3001", 20171001): 4, ("3002", 20171001): 4, ("3002", 20171002): 0} == found.counts
    assert (6, 3, 3) == found.rows
    assert 0 == found.rows_without_count
    no_count = "is not a whole number from 0 to 1,000,000,000,000"
    assert [
        (5, f"EventCount of event 3002 'x' {no_count}", "2017-10-03 00:15,5,99,x"),
        (6, "has no count in any column of an event", "2017-10-04 00:15,,99,"),
        (8, "has 3 fields, the header has 4", "2017-10-05 00:15,5,99"),
    ] == found.rejected


def test_counters_are_members_of_objects_as_well(declare: Declare) -> None:
    """`null` is no count."""
    text = (
        '{"Datetime": "2017-10-01 00:15", "Promenade (north)": 3, "Promenade (south)": null}\n'
        '{"Datetime": "2017-10-01 00:15", "Promenade (north)": 3, "Promenade (south)": {}}\n'
        '{"Datetime": "2017-10-01 00:15", "Promenade (north)": 3}\n'
    )

    found = read(text, "a.jsonl", settings=declare(COUNTERS))

    assert {("3001", 20171001): 3} == found.counts
    assert ["EventCount of event 3002 is neither text nor a whole number", "has no 'Promenade (south)'"] == [
        reason for _, reason, _ in found.rejected
    ]


def test_a_counter_that_is_missing_refuses_the_file(declare: Declare) -> None:
    """Its days would look as if nobody had come by."""
    text = "Datetime,Promenade (north)\n2017-10-01 00:15,3\n"

    assert refused(text, settings=declare(COUNTERS)).startswith("has a header which has no 'Promenade (south)'; ")


def test_two_columns_may_be_of_one_event(declare: Declare) -> None:
    """Both directions of a counter, say: they are added up."""
    both = declare('events = { in = "3001", out = "3001" }')

    assert {("3001", 20171001): 7} == read("EventDay,in,out\n20171001,3,4\n", settings=both).counts


def test_the_other_settings_say_how_values_are_read(declare: Declare) -> None:
    """Dates, thousands, encoding and time zone."""
    german = declare('dates = "DD.MM.YYYY"\nthousands = "."\nencoding = "windows-1252"\ntime_zone = "Europe/Berlin"')
    text = "EventId;EventDay;EventCount;Straße\n324;01.10.2017 00:30;1.234;Größe\n"

    found = read(text.encode("cp1252"), settings=german)

    assert {("324", 20170930): 1234} == found.counts
    assert "cp1252" == found.format.encoding


def test_a_byte_order_mark_is_believed_before_a_source(declare: Declare) -> None:
    """No other text begins with one."""
    text = "EventId,EventDay\n324,20171001\n"

    for encoding in ("utf-8-sig", "utf-16"):
        assert {("324", 20171001): 1} == read(text.encode(encoding), settings=declare('encoding = "cp1252"')).counts


def test_what_becomes_of_content_that_is_known_is_declared(declare: Declare) -> None:
    """Both are refused where nothing is said."""
    found = declare('same_content = "count"\nchanged_content = "replace"')

    assert ("count", "replace") == (found.same_content, found.changed_content)
    assert ("refuse", "refuse") == (NO_SETTINGS.same_content, NO_SETTINGS.changed_content)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_of_the_list_is_one_of_python(encoding: str, declare: Declare) -> None:
    """By its own name; and reads what every file has."""
    assert encoding == codecs.lookup(encoding).name
    text = "EventId,EventDay\n324,20171001\n".encode(encoding)

    assert {("324", 20171001): 1} == read(text, settings=declare(f'encoding = "{encoding}"')).counts


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ('colums = { EventDay = "a" }', "has an unknown setting 'colums'; is it columns?"),
        ("x = 1", f"has an unknown setting 'x'; there are {', '.join(SETTINGS)}"),
        ('columns = "a"', 'columns must be a table: columns = { "a name" = "another" }'),
        ("columns = {}", 'columns must be a table: columns = { "a name" = "another" }'),
        ("columns = { EventDay = 7 }", "columns: 'EventDay' must be a name, with a text in quotes"),
        ('columns = { EventDay = "" }', "columns: 'EventDay' must be a name, with a text in quotes"),
        ('columns = { day = "a" }', "columns has 'day'; it may have EventId, EventDay, EventCount"),
        ('event = "1"\ncolumns = { EventId = "a" }', "columns has 'EventId'; it may have EventDay, EventCount"),
        ('events = { a = "1" }\ncolumns = { EventCount = "a" }', "columns has 'EventCount'; it may have EventDay"),
        ('columns = { EventDay = "a b", EventCount = "A_B" }', "looks for one column twice: 'a b' and 'A_B'"),
        ('columns = { EventDay = "EventCount" }', "looks for one column twice: 'EventCount' and 'EventCount'"),
        ('events = { "a b" = "1", "a-b" = "2" }', "looks for one column twice: 'a b' and 'a-b'"),
        ('events = { EventDay = "1" }', "looks for one column twice: 'EventDay' and 'EventDay'"),
        ('events = { "-" = "1" }', "events: '-' must be a name, with a text in quotes"),
        (
            'event = "1"\nevents = { a = "1" }',
            "has both event and events; all rows are of one event, or each event has a column",
        ),
        ("event = 2001", "event must be a text in quotes"),
        ('event = ""', "event must be a text in quotes"),
        ('event = "a"', "event: 'a' is not a number (ASCII digits)"),
        ('events = { a = "all" }', "events: 'all' is not a number (ASCII digits)"),
        ('dates = "DD.MM"', "dates 'DD.MM' does not have each of DD, MM and YYYY once"),
        ('dates = "%d.%m.%Y"', "dates '%d.%m.%Y' does not have each of DD, MM and YYYY once"),
        ('thousands = "x"', "thousands 'x' is not one of '.', ',', ''', ' '"),
        ('encoding = "cp1253a"', f"encoding 'cp1253a' is not one of {', '.join(ENCODINGS)}"),
        ('encoding = "punycode"', f"encoding 'punycode' is not one of {', '.join(ENCODINGS)}"),
        ('encoding = "utf-16"', f"encoding 'utf-16' is not one of {', '.join(ENCODINGS)}"),
        ('encoding = "\\u0000"', f"encoding '\\x00' is not one of {', '.join(ENCODINGS)}"),
        ('time_zone = "Europe/Berlln"', "time_zone 'Europe/Berlln' is no time zone; is it Europe/Berlin?"),
        ('time_zone = "+02:00"', "time_zone '+02:00' is no time zone"),
        ('time_zone = "../../etc/passwd"', "time_zone '../../etc/passwd' is no time zone"),
        ('same_content = "replace"', "same_content 'replace' is not one of 'refuse', 'count'"),
        ("changed_content = true", "changed_content must be a text in quotes"),
    ],
)
def test_a_mistake_is_told_with_its_source_and_setting(text: str, mistake: str, declare: Declare) -> None:
    """In one line, before anything is deployed."""
    with pytest.raises(BadSources) as raised:
        declare(text)

    assert f"sources.toml: [it] {mistake}" == str(raised.value)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ('event = "1"\n', "sources.toml: 'event' belongs to no source; a line like [folder] must come before it"),
        ('["a/b"]\n', "sources.toml: [a/b] cannot be the name of a folder"),
        ('["."]\n', "sources.toml: [.] cannot be the name of a folder"),
        ('[".."]\n', "sources.toml: [..] cannot be the name of a folder"),
        ('[""]\n', "sources.toml: [] cannot be the name of a folder"),
        ('["a\\u001b[31m"]\n', "sources.toml: [a\\x1b[31m] cannot be the name of a folder"),
    ],
)
def test_what_no_folder_can_be_called_is_a_mistake(text: str, mistake: str, tmp_path: Path) -> None:
    """No delivery would ever be found to be of it."""
    path = tmp_path / "sources.toml"
    path.write_text(text)

    with pytest.raises(BadSources) as raised:
        read_sources(path)

    assert mistake == str(raised.value)


@pytest.mark.parametrize("data", [b"[a\n", b'[a]\nevent = "1"\n[a]\n', b"\xff"])
def test_what_is_not_toml_is_told_as_such(data: bytes, tmp_path: Path) -> None:
    """A source that is declared twice as well; TOML's own words say where."""
    path = tmp_path / "sources.toml"
    path.write_bytes(data)

    with pytest.raises(BadSources, match=r"^sources\.toml is not TOML: ") as raised:
        read_sources(path)

    assert isinstance(raised.value.__cause__, (tomllib.TOMLDecodeError, UnicodeDecodeError))


def packaged(folder: Path) -> str:
    """Return what packaging prints where a folder has the file of sources; nothing where that is right."""
    service = {"provider": {"runtime": "python3.13"}, "custom": {"sourcesFile": str(folder / "sources.toml")}}
    program = f"""
      const Sources = require("./plugins/sources.js");
      const plugin = new Sources({{ service: {json.dumps(service)}, serviceDir: process.cwd() }});
      plugin.hooks["before:package:createDeploymentArtifacts"]();
    """
    ended = subprocess.run(["node", "-e", program], cwd=PROJECT, text=True, capture_output=True, check=False)
    return ended.stderr


def test_packaging_ends_with_the_mistake(tmp_path: Path) -> None:
    """So it reaches no stage."""
    path = tmp_path / "sources.toml"
    path.write_text('[it]\nevent = "1"\n')
    assert "" == packaged(tmp_path)

    path.write_text("[it]\nx = 1\n")
    assert "Error: error: sources.toml: [it] has an unknown setting 'x'; " in packaged(tmp_path)


def test_files_are_checked_one_after_the_other(tmp_path: Path) -> None:
    """The first mistake ends it."""
    path = tmp_path / "other.toml"
    path.write_text("[it]\nx = 1\n")

    main(["sources.toml"])
    with pytest.raises(SystemExit, match=r"^error: other\.toml: \[it\] has an unknown setting 'x'; "):
        main(["sources.toml", str(path)])
    with pytest.raises(SystemExit, match=r"^error: .*No such file"):
        main([str(tmp_path / "none.toml")])


EXAMPLES = {
    "matomo": ("idSite,date,nb_visits,nb_actions\n1,2017-10-01,7,99\n".encode("utf-16"), ("1", 20171001)),
    "analytics": (b"# ----\n# Start date: 20171001\n# ----\n\nDate,Active users\n20171001,7\n", ("2001", 20171001)),
    "plausible": (
        b"date,visitors,pageviews,bounces,visits,visit_duration\n2017-10-01,5,9,2,7,800\n",
        ("2002", 20171001),
    ),
    "goatcounter": (
        b"2Path,Title,Event,UserAgent,Browser,System,Session,Bot,Referrer,Referrer scheme,Screen size,Location,"
        b"FirstVisit,Date\n" + b'/,"Say ""hi"", all",,,,,1,0,,,,,true,2017-10-01T12:00:00Z\n' * 7,
        ("2003", 20171001),
    ),
    "log": (b'{"time": "2017-10-01T12:00:00.123Z", "path": "/"}\n' * 7, ("2004", 20171001)),
    "counters": (
        b"Datetime,Promenade (north),Promenade (south),Weather\n2017-10-02 01:45,7,,rain\n",
        ("3001", 20171001),
    ),
    "spreadsheet": ("Kennung;Tag;Anzahl;Gerät\n324;01.10.2017;1.007;Größe\n".encode("cp1252"), ("324", 20171001)),
}
"""For each source of the documents: a file as it is exported, and the event and day of its visits."""


def documented(folder: Path) -> Sources:
    """Return the sources of docs/files.md."""
    blocks = re.findall(r"^```toml\n(.*?)^```$", (PROJECT / "docs" / "files.md").read_text(), re.MULTILINE | re.DOTALL)
    path = folder / "sources.toml"
    path.write_text("\n".join(blocks), "utf-8")
    return read_sources(path)


def test_each_example_of_the_documents_is_tried(tmp_path: Path) -> None:
    """With a file as it is exported."""
    assert set(EXAMPLES) == set(documented(tmp_path))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_documents_reads_what_it_is_for(name: str, tmp_path: Path) -> None:
    """Seven visits on one day, in one row or in seven."""
    data, pair = EXAMPLES[name]

    assert {pair: 1007 if name == "spreadsheet" else 7} == read(data, settings=documented(tmp_path)[name]).counts
