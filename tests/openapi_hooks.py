"""What schemathesis cannot read in openapi.yml; schemathesis.toml names this file."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis import Case, DeserializationContext, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData


@schemathesis.hook
def filter_failure(_: HookContext, failure: Failure, case: Case[Any], response: Response) -> bool:
    """Return whether a failure counts: a range that is refused does not, as no schema can say what makes a range.

    Its last day may be before its first; and a link makes a date of `EventDay`, which as a number has no leading zeros.
    """
    first, last = (str(case.query.get(name, "")).replace("-", "") for name in ("startDate", "endDate"))
    no_range = "" < last < first or {len(first), len(last)} - {0, 8}
    return not (isinstance(failure, RejectedPositiveData) and response.status_code == 400 and no_range)


@schemathesis.deserializer("text/csv", "text/html")
def read_text(_: DeserializationContext, response: Response) -> str:
    """Return the text, which the schema's pattern is compared with."""
    return response.content.decode()
