"""A deployed stack: what its template says, with each reference resolved to what CloudFormation made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.smoke.findings import Unresolved

type Connect = Callable[[str], Any]
"""Makes a client of an AWS service, by the service's name."""

_NOTHING = object()
"""AWS::NoValue: the key or the member that has it is not there."""

# What `!GetAtt <logical id>.Arn` is, by the resource's type.
_ARNS = {
    "AWS::DynamoDB::Table": "arn:{partition}:dynamodb:{region}:{account}:table/{id}",
    "AWS::IAM::Role": "arn:{partition}:iam::{account}:role/{id}",
    "AWS::Lambda::Function": "arn:{partition}:lambda:{region}:{account}:function:{id}",
    "AWS::Logs::LogGroup": "arn:{partition}:logs:{region}:{account}:log-group:{id}:*",
    "AWS::S3::Bucket": "arn:{partition}:s3:::{id}",
    "AWS::SQS::Queue": "arn:{partition}:sqs:{region}:{account}:{name}",
}


@dataclass(frozen=True)
class Resource:
    """A resource of the stack; `id` is its physical one."""

    stack: Stack
    logical_id: str
    type: str
    id: str

    @property
    def properties(self) -> Mapping[str, Any]:
        """What the template says of it, resolved; raises Unresolved where it says so in a way not known here."""
        properties: Mapping[str, Any] = self.stack.resolve(
            self.stack.template["Resources"][self.logical_id].get("Properties", {})
        )
        return properties


@dataclass(frozen=True)
class Stack:
    """A stack as CloudFormation describes it; `ids` are the physical ids of its resources by their logical ones."""

    arn: str
    status: str
    outputs: Mapping[str, str]
    template: Mapping[str, Any]
    ids: Mapping[str, str]

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.arn.split("/")[1]

    @property
    def region(self) -> str:
        """The region that it is in."""
        return self.arn.split(":")[3]

    def declared(self) -> Iterator[str]:
        """Yield the logical id of each resource that the template wants, conditions considered."""
        for logical_id, resource in self.template["Resources"].items():
            if "Condition" not in resource or self._holds(resource["Condition"]):
                yield logical_id

    def of_type(self, resource_type: str) -> Iterator[Resource]:
        """Yield the resources of a type that there are."""
        for logical_id in self.declared():
            if logical_id in self.ids and self._type(logical_id) == resource_type:
                yield Resource(self, logical_id, resource_type, self.ids[logical_id])

    def routes(self) -> Mapping[str, str]:
        """Return what each route demands, NONE, AWS_IAM, JWT or CUSTOM, by its key, like `GET /visits/{resourceId}`."""
        every = [route.properties for route in self.of_type("AWS::ApiGatewayV2::Route")]
        return {route["RouteKey"]: route.get("AuthorizationType", "NONE") for route in every}

    def resolve(self, value: Any) -> Any:
        """Return a value of the template with its intrinsic functions evaluated."""
        match value:
            case {"Ref": str(name)}:
                return self._ref(name)
            case {"Fn::GetAtt": [str(logical_id), str(attribute)]}:
                return self._attribute(logical_id, attribute)
            case {"Fn::Sub": str(text)}:
                return re.sub(r"\$\{([\w:]+)(?:\.(\w+))?}", self._substitute, text)
            case {"Fn::Join": [str(separator), list(parts)]}:
                return separator.join(str(self.resolve(part)) for part in parts)
            case {"Fn::If": [str(condition), yes, no]}:
                return self.resolve(yes if self._holds(condition) else no)
            case dict():
                if unknown := [key for key in value if key.startswith("Fn::")]:
                    raise Unresolved(f"{unknown[0]} of the template is not understood")
                resolved = {key: self.resolve(part) for key, part in value.items()}
                return {key: part for key, part in resolved.items() if part is not _NOTHING}
            case list():
                return [part for part in map(self.resolve, value) if part is not _NOTHING]
        return value

    def _type(self, logical_id: str) -> str:
        resource_type: str = self.template["Resources"][logical_id]["Type"]
        return resource_type

    def _holds(self, condition: str) -> bool:
        match self.template["Conditions"][condition]:
            case {"Fn::Equals": [one, other]}:
                return bool(self.resolve(one) == self.resolve(other))
        raise Unresolved(f"the condition {condition} is not understood")

    def _substitute(self, reference: re.Match[str]) -> str:
        name, attribute = reference.groups()
        return str(self._attribute(name, attribute) if attribute else self._ref(name))

    def _ref(self, name: str) -> Any:
        _, partition, _, region, account, _ = self.arn.split(":", 5)
        pseudo = {
            "AWS::AccountId": account,
            "AWS::NoValue": _NOTHING,
            "AWS::Partition": partition,
            "AWS::Region": region,
            "AWS::StackName": self.name,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.ids:
            return self.ids[name]
        raise Unresolved(f"there is no {name}")

    def _attribute(self, logical_id: str, attribute: str) -> str:
        physical_id = str(self._ref(logical_id))
        # Of a queue the id is its address.
        name = physical_id.rpartition("/")[2]
        resource_type = self._type(logical_id)
        if attribute == "Arn" and resource_type in _ARNS:
            _, partition, _, region, account, _ = self.arn.split(":", 5)
            return _ARNS[resource_type].format(
                partition=partition, region=region, account=account, id=physical_id, name=name
            )
        if (resource_type, attribute) == ("AWS::SQS::Queue", "QueueName"):
            return name
        raise Unresolved(f"{logical_id}.{attribute} is not understood")


def read_stack(connect: Connect, name: str) -> Stack:
    """Return the stack as it is deployed; raises ClientError where there is none."""
    cloudformation = connect("cloudformation")
    described = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
    return Stack(
        arn=described["StackId"],
        status=described["StackStatus"],
        outputs={output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])},
        template=cloudformation.get_template(StackName=name)["TemplateBody"],
        ids={
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
            if "PhysicalResourceId" in resource and resource["ResourceStatus"] != "DELETE_COMPLETE"
        },
    )
