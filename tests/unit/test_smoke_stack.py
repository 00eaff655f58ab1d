"""A template, resolved to what CloudFormation made of it: here as no local cloud can deploy it, with TLS only."""

from __future__ import annotations

from typing import Any

import pytest

from tools.smoke.findings import Unresolved
from tools.smoke.stack import Stack

TEMPLATE: dict[str, Any] = {
    "Conditions": {"TlsOnly": {"Fn::Equals": ["true", "true"]}, "Never": {"Fn::Equals": ["false", "true"]}},
    "Resources": {
        "Inbox": {"Type": "AWS::S3::Bucket"},
        "Queue": {"Type": "AWS::SQS::Queue", "Condition": "TlsOnly"},
        "Table": {"Type": "AWS::DynamoDB::Table", "Condition": "Never"},
    },
}
STACK = Stack(
    arn="arn:aws:cloudformation:eu-west-1:123456789012:stack/visits-dev/0a1b",
    status="CREATE_COMPLETE",
    outputs={},
    template=TEMPLATE,
    ids={"Inbox": "visits-dev-inbox-1", "Queue": "https://sqs.eu-west-1.amazonaws.com/123456789012/failed"},
)


@pytest.mark.parametrize(
    ("value", "resolved"),
    [
        ({"Ref": "Inbox"}, "visits-dev-inbox-1"),
        ({"Fn::GetAtt": ["Inbox", "Arn"]}, "arn:aws:s3:::visits-dev-inbox-1"),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "arn:aws:sqs:eu-west-1:123456789012:failed"),
        ({"Fn::GetAtt": ["Queue", "QueueName"]}, "failed"),
        ({"Fn::Sub": "${Inbox.Arn}/incoming/*"}, "arn:aws:s3:::visits-dev-inbox-1/incoming/*"),
        ({"Fn::Sub": "${AWS::Region}: ${Inbox}"}, "eu-west-1: visits-dev-inbox-1"),
        ({"Fn::Join": [":", ["of", {"Ref": "AWS::AccountId"}]]}, "of:123456789012"),
        ([{"Fn::If": ["TlsOnly", "deny", {"Ref": "AWS::NoValue"}]}, "allow"], ["deny", "allow"]),
        ([{"Fn::If": ["Never", "deny", {"Ref": "AWS::NoValue"}]}, "allow"], ["allow"]),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [1, True, None]}, {"b": [1, True, None]}),
    ],
    ids=str,
)
def test_a_reference_becomes_what_it_stands_for(value: object, resolved: object) -> None:
    """As CloudFormation resolves it."""
    assert resolved == STACK.resolve(value)


@pytest.mark.parametrize(
    "value",
    [{"Ref": "Nobody"}, {"Fn::GetAtt": ["Inbox", "WebsiteURL"]}, {"Fn::ImportValue": "x"}, {"Fn::Sub": "${Nobody}"}],
    ids=str,
)
def test_what_is_not_understood_is_told(value: object) -> None:
    """Instead of being compared as it stands."""
    with pytest.raises(Unresolved):
        STACK.resolve(value)


def test_a_resource_whose_condition_does_not_hold_is_not_declared() -> None:
    """Nor is one of a type looked for that CloudFormation did not make."""
    assert ["Inbox", "Queue"] == list(STACK.declared())
    assert ["Queue"] == [queue.logical_id for queue in STACK.of_type("AWS::SQS::Queue")]
    assert [] == list(STACK.of_type("AWS::DynamoDB::Table"))
