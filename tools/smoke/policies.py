"""What a policy of IAM, of a bucket, a topic or a queue says, in a form in which two of them can be compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# `AWS: 123456789012` comes back from AWS as the ARN of that account's root user.
_ACCOUNT = re.compile(r"arn:[\w-]+:iam::([0-9]{12}):root")


class Statement(NamedTuple):
    """One action on one resource; `rest` is what else the policy says of it (principal, conditions), as JSON."""

    effect: str
    action: str
    resource: str
    rest: str = ""
    policy: str = ""
    """The name of the policy, where a role has several."""

    @property
    def wild(self) -> bool:
        """Whether it allows more than it names. X-Ray, alone, has no resources to name."""
        return "*" in self.action or not self.action or (self.resource == "*" and not self.action.startswith("xray:"))

    def __str__(self) -> str:
        what = f"{self.effect} {self.action or 'anything'} on {self.resource or 'it'}"
        return f"{self.policy}{': ' if self.policy else ''}{what}{' with ' if self.rest else ''}{self.rest}"


def grants(policies: Iterable[Mapping[str, Any]]) -> set[Statement]:
    """Return what the policies of a role say, each a mapping with `PolicyName` and `PolicyDocument`."""
    return {
        statement._replace(policy=policy["PolicyName"])
        for policy in policies
        for statement in statements(policy["PolicyDocument"])
    }


def statements(document: Mapping[str, Any]) -> set[Statement]:
    """Return what a policy says, without its order and its names, in which AWS need not give it back."""
    return {
        Statement(statement["Effect"], action, resource, _rest(statement))
        for statement in _listed(document["Statement"])
        for action in _listed(statement.get("Action", ""))
        for resource in _listed(statement.get("Resource", ""))
    }


def _rest(statement: Mapping[str, Any]) -> str:
    rest = {key: part for key, part in statement.items() if key not in {"Sid", "Effect", "Action", "Resource"}}
    return json.dumps(_canonical(rest), sort_keys=True) if rest else ""


def _canonical(value: Any) -> Any:
    """Return a part of a statement in one of the ways that it can be written."""
    match value:
        case dict():
            return {key: _canonical(part) for key, part in value.items()}
        case [one]:
            return _canonical(one)
        case list():
            return sorted(map(_canonical, value))
        case bool():
            return str(value).lower()
        case str() if account := _ACCOUNT.fullmatch(value):
            return account[1]
    return str(value)


def _listed(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]
