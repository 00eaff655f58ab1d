"""`visits keys`: what an operator sees of readers' keys."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
from command_line import refused
from databases import MOTO, boto3_at
from settings import KEYS_TABLE

from dynamodb import Unavailable
from keys import KeysTable, ReaderKey, digest_of, is_well_formed, make_key
from tools import cli
from tools.tables import every_key


@pytest.fixture(autouse=True)
def _stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table in memory is that of the stage `test`."""
    monkeypatch.setenv("VISITS_STAGE", "test")


def stored(keys: KeysTable, name: str, age_days: int = 0, days: int = 30) -> ReaderKey:
    """Store a key that was made some days ago."""
    reader_key = ReaderKey.of(make_key(), name, datetime.now(UTC) - timedelta(age_days), days)
    keys.add(reader_key)
    return reader_key


@pytest.mark.parametrize(("options", "days"), [([], 365), (["--days", "90"], 90), (["--days", "3650"], 3650)])
def test_add_prints_a_key_and_stores_its_digest(
    keys: KeysTable, capsys: pytest.CaptureFixture[str], options: list[str], days: int
) -> None:
    """The key alone on stdout, so that a script can take it; when it ends, on stderr."""
    cli.main(["keys", "add", "grafana", *options])

    out, err = capsys.readouterr()
    key = out.removesuffix("\n")
    assert is_well_formed(key)
    (found,) = every_key(boto3_at(MOTO), keys)
    assert (digest_of(key), "grafana", key[-4:]) == (found.digest, found.name, found.last_four)
    assert timedelta(days) == found.expires_at - found.created_at
    assert (
        f"This is the key of grafana, good until {found.expires_at.isoformat()}; it will not be shown again.\n" == err
    )


def test_of_a_key_only_the_last_four_characters_are_in_the_table(
    keys: KeysTable, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads the table can ask nothing by it."""
    cli.main(["keys", "add", "grafana"])

    key = capsys.readouterr().out.strip()
    items = str(boto3_at(MOTO).scan(TableName=keys.name)["Items"])
    assert key[-4:] in items
    assert key[-8:-2] not in items
    assert key[7:-8] not in items


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "a b"], "'a b' is not a name (1 to 40 letters, digits, '.', '_', '@', '-'; first a letter or digit)"),
        (["revoke", ""], "'' is not a name (1 to 40 letters, digits, '.', '_', '@', '-'; first a letter or digit)"),
        (["add", "a", "--days", "0"], "Invalid value for '--days': 0 is not in the range 1<=x<=3650."),
    ],
)
def test_a_mistake_is_one_line(
    keys: KeysTable, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Nothing is stored or deleted."""
    code, said = refused(capsys, "keys", *arguments)

    assert 2 == code
    assert message in said
    assert [] == every_key(boto3_at(MOTO), keys)


def test_a_second_key_of_a_name_is_refused(keys: KeysTable, capsys: pytest.CaptureFixture[str]) -> None:
    """And not shown: it is of no use."""
    stored(keys, "grafana")

    expected = (1, f"{KEYS_TABLE} has a key named grafana already; revoke it first")
    assert expected == refused(capsys, "keys", "add", "grafana")


def test_a_key_whose_fate_is_unknown_is_not_shown(
    keys: KeysTable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to do where its name is taken now."""

    def lost(*_: object) -> None:
        raise Unavailable("no answer")

    monkeypatch.setattr(KeysTable, "add", lost)

    expected = (1, "no answer; should the name be taken now, revoke it and add it again")
    assert expected == refused(capsys, "keys", "add", "grafana")
    assert [] == every_key(boto3_at(MOTO), keys)


def test_keys_are_json_lines_where_there_is_no_terminal(keys: KeysTable, capsys: pytest.CaptureFixture[str]) -> None:
    """By name, without anything that a key could be made of."""
    expected = [stored(keys, name) for name in ("b", "a")][::-1]

    cli.main(["keys", "list"])

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {
            "name": key.name,
            "created_at": key.created_at.isoformat(),
            "expires_at": key.expires_at.isoformat(),
            "last_four": key.last_four,
        }
        for key in expected
    ]


def test_keys_are_a_table_on_a_terminal(
    keys: KeysTable, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what has ended marked; `--json` is JSON there, too."""
    good, over = stored(keys, "good"), stored(keys, "over", age_days=40)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    cli.main(["keys", "list"])

    lines = capsys.readouterr().out.splitlines()
    (of_good,), (of_over,) = ([line for line in lines if f" {name} " in line] for name in ("good", "over"))
    assert good.last_four in of_good
    assert f"{good.expires_at:%Y-%m-%d %H:%M} " in of_good
    assert f"{over.expires_at:%Y-%m-%d %H:%M}, over" in of_over
    cli.main(["keys", "list", "--json"])
    assert 2 == len([json.loads(line) for line in capsys.readouterr().out.splitlines()])


def test_revoke_deletes_a_key_and_says_how_long_it_may_last(
    keys: KeysTable, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name is free at once; a second time there is nothing to revoke."""
    stored(keys, "grafana")

    cli.main(["keys", "revoke", "grafana"])

    assert "grafana: revoked; API Gateway may let it in for up to five minutes more\n" == capsys.readouterr().out
    assert [] == every_key(boto3_at(MOTO), keys)
    assert (1, f"{KEYS_TABLE} has no key named grafana") == refused(capsys, "keys", "revoke", "grafana")
