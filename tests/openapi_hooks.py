"""What schemathesis cannot read in openapi.yml; schemathesis.toml names this file."""

from __future__ import annotations

import re
from typing import Any

import schemathesis
from schemathesis import Case, DeserializationContext, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData

CONTRADICTIONS = (
    r"endDate \d{8} is before startDate \d{8}",
    r"last \d+ cannot be given together with (startDate|endDate)",
    r"compare needs a range with two ends: startDate and endDate, or last",
    r"layout 'wide' (is one of format=csv|has no column for compare)",
    r"limit \d+ is less than the \d+ events, whose rows of a day are on one page",
    r"resourceId '(\d+|all)' is given twice",
    r"(startDate|endDate) '(today|yesterday)-\d+[wdmy]' is before the year 1",
    r"the range has [\d,]+ days, from \d{8} to \d{8}, where at most 366 are allowed",
    # A link makes a date of `EventDay`, which as a number has no leading zeros.
    r"(startDate|endDate) '\d{5,7}' is not a calendar date \(YYYYMMDD\)",
)
"""What is wrong with values that are right by themselves, as no schema can say it."""


@schemathesis.hook
def filter_failure(_: HookContext, failure: Failure, __: Case[Any], response: Response) -> bool:
    """Return whether a failure counts: values that contradict each other are refused, and that is right."""
    if not isinstance(failure, RejectedPositiveData) or response.status_code != 400:
        return True
    detail = response.json()["detail"]
    return not any(re.fullmatch(each, detail) for each in CONTRADICTIONS)


@schemathesis.deserializer("text/csv", "text/html")
def read_text(_: DeserializationContext, response: Response) -> str:
    """Return the text, which the schema's pattern is compared with."""
    return response.content.decode()
