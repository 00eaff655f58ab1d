"""README.md and docs/: what has to hold for all of them, without running their commands."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tools.cli import cli

PROJECT = Path(__file__).resolve().parent.parent.parent
README = PROJECT / "README.md"
DOCUMENTS = [README, *sorted((PROJECT / "docs").glob("*.md"))]


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short_and_begins_with_the_two_commands() -> None:
    """The README has at most 150 lines, and `make start` and `make test` stand within the first 30."""
    lines = README.read_text().splitlines()

    assert len(lines) <= 150
    assert {"make start", "make test"} <= set(lines[:30])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    """The file of each relative link exists, and so does the heading that it names."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text()):
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_every_command_has_a_section_in_the_documents() -> None:
    """A command of `visits` that docs/cli.md does not describe cannot be found."""
    described = re.findall(r"^## .*: (.*)$", (PROJECT / "docs" / "cli.md").read_text(), re.MULTILINE)

    assert set(cli.commands) == {command for commands in described for command in commands.split(", ")}


def test_every_make_target_of_the_documents_exists() -> None:
    """Each `make …` that a document names is a target that `make help` lists."""
    listed = subprocess.run(["make", "help"], cwd=PROJECT, text=True, capture_output=True, check=True).stdout
    targets = {line.split()[0] for line in listed.splitlines()}
    named = {
        target
        for document in DOCUMENTS
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), re.MULTILINE)
    }

    assert {"start", "test", "lint"} <= named
    assert named <= targets


def test_every_make_command_of_the_documents_is_understood() -> None:
    """`make` accepts each command line with its variables, as a dry run shows."""
    lines = {
        line.strip().replace("<stage>", "dev")
        for document in DOCUMENTS
        for line in re.findall(r"^ *(?:\$ )?(make [^#\n]*)", document.read_text(), re.MULTILINE)
    }

    assert any("PARAMS=" in line for line in lines)
    for line in lines:
        done = subprocess.run(["bash", "-c", f"{line} --dry-run"], cwd=PROJECT, text=True, capture_output=True)
        assert 0 == done.returncode, line + done.stderr
