"""Commands that give readers keys and take them back: keys add, keys list, keys revoke."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.table import Table

from dynamodb import Unavailable
from keys import ReaderKey, make_key, parse_name
from tools.stage import Parsed, Stage, on_stage
from tools.tables import every_key
from tools.terminal import on_terminal

NAME = Parsed("name", parse_name)

LONGEST_DAYS = 3650


@click.group()
def keys() -> None:
    """Give readers keys and take them back, for a stage with the param `auth: key`."""


@keys.command()
@click.argument("name", type=NAME)
@click.option(
    "--days", type=click.IntRange(1, LONGEST_DAYS), default=365, show_default=True, help="How long it is good."
)
@on_stage
def add(stage: Stage, name: str, days: int) -> None:
    """Make a key for the reader NAME and show it: this once, as only its SHA-256 is stored."""
    key = make_key()
    stored = ReaderKey.of(key, name, datetime.now(UTC), days)
    try:
        stage.keys.add(stored)
    except (Unavailable, KeyboardInterrupt) as error:
        reason = str(error) or "interrupted"
        raise click.ClickException(f"{reason}; should the name be taken now, revoke it and add it again") from error
    click.echo(key)
    click.echo(
        f"This is the key of {name}, good until {stored.expires_at.isoformat()}; it will not be shown again.", err=True
    )


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="A key a line; so where there is no terminal.")
@on_stage
def list_(stage: Stage, *, as_json: bool) -> None:
    """Show the name of each key, when it was made and when it ends, and its last four characters."""
    now = datetime.now(UTC)
    found = every_key(stage.boto3, stage.keys)
    if as_json or not on_terminal():
        for key in found:
            fields = {"name": key.name, "created_at": key.created_at, "expires_at": key.expires_at}
            click.echo(json.dumps({**fields, "last_four": key.last_four}, default=datetime.isoformat))
        return
    table = Table("Name", "Made", "Ends", "Last four", title=stage.keys.name)
    for key in found:
        ends = f"{key.expires_at:%Y-%m-%d %H:%M}{', over' if key.expires_at <= now else ''}"
        table.add_row(key.name, f"{key.created_at:%Y-%m-%d %H:%M}", ends, key.last_four)
    Console().print(table)


@keys.command()
@click.argument("name", type=NAME)
@on_stage
def revoke(stage: Stage, name: str) -> None:
    """Revoke the key of the reader NAME: within five minutes it is refused, and the name is free at once."""
    stage.keys.revoke(name)
    click.echo(f"{name}: revoked; API Gateway may let it in for up to five minutes more")
