"""What the files of a folder under `incoming/` look like: sources.toml, read strictly.

A source is a third party whose files cannot be changed; its name is the folder's, compared whole.
"""

from __future__ import annotations

import codecs
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

from columns import COUNT, DAY, FIELDS, Names, plain_name
from values import THOUSANDS, count_reader, day_reader
from visits import InvalidValue, parse_event_id, shown

INCOMING = "incoming/"
"""Where in the inbox files are delivered, each source's in a folder of its own."""

ENCODINGS = (
    *("utf-8", "utf-16-le", "utf-16-be", "ascii"),
    *(f"cp{page}" for page in (437, 850, 852, 855, 866, 932, *range(1250, 1259))),
    *(f"iso8859-{part}" for part in (*range(1, 12), 13, 14, 15, 16)),
    *("mac-roman", "koi8-r", "koi8-u", "shift_jis", "euc_jp", "euc_kr", "gbk", "gb18030", "big5"),
)
"""Python's names of encodings of text; each of its other names for one of them will do."""

SETTINGS = (
    *("columns", "event", "events", "dates", "thousands", "encoding", "time_zone"),
    *("same_content", "changed_content"),
)


class BadSources(ValueError):
    """A mistake in sources.toml: the message names file, source and setting."""


@dataclass(frozen=True)
class Settings:
    """What the files of one source look like; without any setting, as every file may."""

    name: str = ""
    names: Names = field(default_factory=Names)
    read_day: Callable[[str], int] = field(default_factory=day_reader)
    read_count: Callable[[str], int] = field(default_factory=count_reader)
    encoding: str = "utf-8"
    same_content: str = "refuse"
    """The same rows under another name: `refuse`, or `count`."""
    changed_content: str = "refuse"
    """Other content under a known name: `refuse`, or `replace` what was counted of it."""


NO_SETTINGS = Settings()

type Sources = Mapping[str, Settings]
"""By name."""


def settings_of(key: str, sources: Sources) -> Settings:
    """Return the settings for the file of an object's key: its source is the first folder under `incoming/`."""
    folder, slash, _ = key.removeprefix(INCOMING).partition("/")
    return sources.get(folder, NO_SETTINGS) if slash and key.startswith(INCOMING) else NO_SETTINGS


def read_sources(path: Path) -> Sources:
    """Return what a file declares. Raises BadSources, and OSError where it cannot be read."""
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSources(f"{path.name} is not TOML: {error}") from error
    return {name: _Table(path.name, name, table).settings() for name, table in tables.items()}


class _Table:
    """One source of a file."""

    def __init__(self, file: str, name: str, table: object) -> None:
        self._where = f"{file}: [{shown(name)}]"
        self._name = name
        if not isinstance(table, dict):
            raise BadSources(f"{file}: '{shown(name)}' belongs to no source; a line like [folder] must come before it")
        if not name.isprintable() or "/" in name or name in ("", ".", ".."):
            raise self._mistake("cannot be the name of a folder")
        for key in table:
            if key not in SETTINGS:
                meant = get_close_matches(key, SETTINGS, n=1)
                hint = f"is it {meant[0]}?" if meant else f"there are {', '.join(SETTINGS)}"
                raise self._mistake(f"has an unknown setting '{shown(key)}'; {hint}")
        self._table = table

    def settings(self) -> Settings:
        """Return its settings, or raise BadSources."""
        thousands = self._choice("thousands", THOUSANDS)
        return Settings(
            self._name,
            self._names(),
            self._day_reader(),
            count_reader(thousands),
            self._encoding(),
            self._choice("same_content", ("refuse", "count")) or "refuse",
            self._choice("changed_content", ("refuse", "replace")) or "refuse",
        )

    def _names(self) -> Names:
        columns, events, event = self._texts("columns"), self._texts("events"), self._text("event")
        if events and event:
            raise self._mistake("has both event and events; all rows are of one event, or each event has a column")
        possible = (DAY,) if events else (DAY, COUNT) if event else FIELDS
        for name in columns:
            if name not in possible:
                raise self._mistake(f"columns has '{shown(name)}'; it may have {', '.join(possible)}")
        for number in (event, *events.values()):
            try:
                parse_event_id(number) if number is not None else None
            except InvalidValue as error:
                raise self._mistake(f"{'events' if events else 'event'}: {error}") from error
        looked_for: dict[str, str] = {}
        for name in (*(columns.get(name, name) for name in possible), *events):
            if other := looked_for.get(plain_name(name)):
                raise self._mistake(f"looks for one column twice: '{shown(other)}' and '{shown(name)}'")
            looked_for[plain_name(name)] = name
        return Names(columns, event, events)

    def _day_reader(self) -> Callable[[str], int]:
        dates, zone = self._text("dates"), self._text("time_zone")
        if zone is not None and zone not in _time_zones():
            near = get_close_matches(zone, _time_zones(), n=1)
            raise self._mistake(f"time_zone '{shown(zone)}' is no time zone{f'; is it {near[0]}?' if near else ''}")
        try:
            return day_reader(dates, _time_zone(zone) if zone else None)
        except InvalidValue as error:
            raise self._mistake(f"dates {error}") from error

    def _encoding(self) -> str:
        name = self._text("encoding")
        if name is None:
            return "utf-8"
        try:
            encoding = codecs.lookup(name).name
        except (LookupError, ValueError):  # ValueError: it has a zero in it
            encoding = ""
        if encoding not in ENCODINGS:
            raise self._mistake(f"encoding '{shown(name)}' is not one of {', '.join(ENCODINGS)}")
        return encoding

    def _choice(self, key: str, choices: Sequence[str]) -> str | None:
        text = self._text(key)
        if text is not None and text not in choices:
            listed = ", ".join(f"'{choice}'" for choice in choices)
            raise self._mistake(f"{key} '{shown(text)}' is not one of {listed}")
        return text

    def _text(self, key: str) -> str | None:
        text = self._table.get(key)
        if text is not None and (not isinstance(text, str) or not text):
            raise self._mistake(f"{key} must be a text in quotes")
        return text

    def _texts(self, key: str) -> Mapping[str, str]:
        texts = self._table.get(key, {})
        if not isinstance(texts, dict) or (key in self._table and not texts):
            raise self._mistake(f'{key} must be a table: {key} = {{ "a name" = "another" }}')
        for name, text in texts.items():
            if not isinstance(text, str) or not plain_name(name) or not plain_name(text):
                raise self._mistake(f"{key}: '{shown(name)}' must be a name, with a text in quotes")
        return texts

    def _mistake(self, rule: str) -> BadSources:
        return BadSources(f"{self._where} {rule}")


def _time_zones() -> Sequence[str]:
    return resources.files("tzdata").joinpath("zones").read_text().split()


def _time_zone(name: str) -> ZoneInfo:
    """Return a zone as the package tzdata has it: the machine's own data would make a plan depend on the machine."""
    with resources.files("tzdata.zoneinfo").joinpath(name).open("rb") as data:
        return ZoneInfo.from_file(data, name)


def main(paths: Sequence[str]) -> None:
    """Check files, as packaging does; end the program with a line for the first mistake."""
    for path in paths:
        try:
            read_sources(Path(path))
        except (BadSources, OSError) as error:
            sys.exit(f"error: {error}")
