"""Policies are compared by what they say, however AWS writes it."""

from __future__ import annotations

from typing import Any

import pytest

from tools.smoke.policies import Statement, grants, statements

DENY: dict[str, Any] = {
    "Sid": "TlsOnly",
    "Effect": "Deny",
    "Principal": {"AWS": "123456789012"},
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::inbox", "arn:aws:s3:::inbox/*"],
    "Condition": {"Bool": {"aws:SecureTransport": False}},
}


def test_the_same_said_in_other_words_is_the_same() -> None:
    """Lists of one, an account's root user, a truth value as text, another order, another name."""
    other = {
        "Sid": "1",
        "Effect": "Deny",
        "Principal": {"AWS": ["arn:aws:iam::123456789012:root"]},
        "Action": ["s3:*"],
        "Resource": ["arn:aws:s3:::inbox/*", "arn:aws:s3:::inbox"],
        "Condition": {"Bool": {"aws:SecureTransport": ["false"]}},
    }

    assert statements({"Statement": DENY}) == statements({"Version": "2012-10-17", "Statement": [other]})


@pytest.mark.parametrize(
    "change",
    [
        {"Effect": "Allow"},
        {"Principal": "*"},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:user/root"}},
        {"Action": "s3:GetObject"},
        {"Resource": "arn:aws:s3:::inbox"},
        {"Condition": {"Bool": {"aws:SecureTransport": True}}},
        {"Condition": {}},
        {"NotAction": "s3:PutObject"},
    ],
    ids=str,
)
def test_something_else_is_not(change: dict[str, object]) -> None:
    """Whichever part of it says it."""
    assert statements({"Statement": DENY}) != statements({"Statement": {**DENY, **change}})


@pytest.mark.parametrize(
    ("action", "resource", "wild"),
    [
        ("dynamodb:Query", "arn:aws:dynamodb:eu-west-1:123456789012:table/counts", False),
        ("s3:PutObject", "arn:aws:s3:::inbox/rejected/*", False),
        ("logs:PutLogEvents", "arn:aws:logs:eu-west-1:123456789012:log-group:log:*", False),
        ("xray:PutTraceSegments", "*", False),
        ("xray:*", "*", True),
        ("dynamodb:Query", "*", True),
        ("dynamodb:Get*", "arn:aws:dynamodb:eu-west-1:123456789012:table/counts", True),
    ],
)
def test_wild_is_what_allows_more_than_it_names(action: str, resource: str, wild: bool) -> None:
    """All objects under a name are named; X-Ray alone has no resources."""
    assert wild is Statement("Allow", action, resource).wild


def test_what_is_granted_by_leaving_out_is_wild() -> None:
    """NotAction names what is not allowed."""
    document = {"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "arn:aws:s3:::inbox"}}

    (grant,) = grants([{"PolicyName": "all-but", "PolicyDocument": document}])
    assert grant.wild
    assert 'all-but: Allow anything on arn:aws:s3:::inbox with {"NotAction": "iam:*"}' == str(grant)
