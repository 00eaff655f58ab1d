"""The options that say of which source a file is, and so what it looks like."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import click

from sources import NO_SETTINGS, BadSources, read_sources

SOURCES_FILE = Path(__file__).parents[1] / "sources.toml"


def of_source(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options --source and --sources, and the source's settings as the argument `settings`."""

    @click.option("--source", help="The file's source: a folder's name in the file of sources.")
    @click.option(
        "--sources",
        "sources_file",
        type=click.Path(dir_okay=False, path_type=Path),
        default=SOURCES_FILE,
        envvar="SOURCES_FILE",
        help="The file of sources; sources.toml of the project by default.",
    )
    @functools.wraps(command)
    def with_settings(*, source: str | None, sources_file: Path, **parameters: object) -> None:
        try:
            sources = read_sources(sources_file)
        except BadSources as error:
            raise click.ClickException(str(error)) from error
        if source is not None and source not in sources:
            declared = ", ".join(sources) or "none"
            raise click.UsageError(f"--source {source} is not in {sources_file}, which has {declared}")
        command(**parameters, settings=NO_SETTINGS if source is None else sources[source])

    return with_settings
