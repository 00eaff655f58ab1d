"""What a check finds: a line that says ok, FAILED or skipped, and of a failure what was expected and what there is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import NamedTuple

from botocore.exceptions import BotoCoreError, ClientError


class Skip(Exception):
    """A check cannot be made; the message says why."""


class Unresolved(Exception):
    """The template says something in a way that is not understood here."""


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "FAILED"
    SKIPPED = "skipped"


class Finding(NamedTuple):
    """One line of the report."""

    verdict: Verdict
    what: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:<7} {self.what}{': ' if self.why else ''}{self.why}"


def expect(what: str, expected: object, actual: object) -> Finding:
    """Return whether both are equal; of mappings and sets, the reason tells only that in which they differ."""
    if expected == actual:
        return Finding(Verdict.OK, what)
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        differing = [key for key in {**expected, **actual} if expected.get(key) != actual.get(key)]
        expected, actual = ({key: side[key] for key in differing if key in side} for side in (expected, actual))
    elif isinstance(expected, AbstractSet) and isinstance(actual, AbstractSet):
        expected, actual = expected - actual, actual - expected
    return Finding(Verdict.FAILED, what, f"expected {_told(expected)}, got {_told(actual)}")


def require(what: str, rule: str, actual: object, *, met: bool) -> Finding:
    """Return whether a rule is met that more than one value would meet."""
    return Finding(Verdict.OK, what) if met else Finding(Verdict.FAILED, what, f"expected {rule}, got {_told(actual)}")


def attempt(what: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings of a check; what keeps it from its end is one more, so that the next check is made."""
    try:
        yield from findings
    except Skip as reason:
        yield Finding(Verdict.SKIPPED, what, str(reason))
    except (BotoCoreError, ClientError, Unresolved) as error:
        yield Finding(Verdict.FAILED, what, str(error))


def _told(value: object) -> str:
    if value is None or (isinstance(value, Mapping | AbstractSet) and not value):
        return "nothing"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_told(part)}" for key, part in value.items())
    if isinstance(value, AbstractSet):
        return ", ".join(sorted(map(str, value)))
    return value if isinstance(value, str) else repr(value)
