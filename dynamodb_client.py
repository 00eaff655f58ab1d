"""botocore's DynamoDB client, made to start, to send and to read fast: credentials, signing and retries are botocore's.

Figures, and what was tried beside: docs/performance.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from botocore import handlers
from botocore.config import Config
from botocore.loaders import Loader
from botocore.session import Session
from botocore.utils import get_environ_proxies

from transport import Transport

if TYPE_CHECKING:
    from botocore.model import OperationModel
    from mypy_boto3_dynamodb import DynamoDBClient

_API = "dynamodb/2012-08-10/service-2"
_API_FILE = Path(__file__).parent / "dynamodb_api.json"
"""Of botocore's own file the part that repository.py needs: tests/dynamodb_api.py writes it."""

_SHORTENED = {_API, "endpoints"}


def make(region: str, connect_timeout_s: float, read_timeout_s: float, max_attempts: int) -> DynamoDBClient:
    """Return a client; raise BotoCoreError or ValueError where the environment's AWS settings make no sense.

    Parameters are not checked before they are sent: DynamoDB does that, too.
    """
    session = Session(include_builtin_handlers=False)
    _register_handlers(session)
    session.register_component("data_loader", _Loader(session.get_config_variable("data_path")))
    config = Config(
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": max_attempts},
        tcp_keepalive=True,
        parameter_validation=False,
        # Sent as it is. One of botocore's own making is made anew, twice, for every request.
        user_agent=session.user_agent(),
    )
    client = session.create_client("dynamodb", region_name=region, config=config)
    client.meta.events.register("before-parse.dynamodb.Query", decode)
    if not _has_someone_between(client.meta.endpoint_url):
        ca_bundle = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
        transport = Transport(connect_timeout_s, read_timeout_s, ca_bundle)
        client.meta.events.register("before-send.dynamodb", cast("Any", transport.send))
    return cast("DynamoDBClient", client)


def decode(
    operation_model: OperationModel,
    response_dict: MutableMapping[str, Any],
    customized_response_dict: MutableMapping[str, Any],
    **_: object,
) -> None:
    """Take a Query's answer for what its JSON says, and leave botocore's parser nothing to go through.

    The parser would visit every attribute of every item to make the same of it: texts and numbers are what they are on
    the wire (only binary attributes, of which there are none, are not). What is not such an answer is left to it.
    """
    if response_dict["status_code"] != 200 or operation_model.output_shape is None:
        return
    try:
        answer = json.loads(str(response_dict["body"], "utf-8"))
    except ValueError:
        return
    if not isinstance(answer, dict):
        return
    members = operation_model.output_shape.members
    customized_response_dict.update({name: answer[name] for name in members if answer.get(name) is not None})
    response_dict["body"] = b"{}"


def _register_handlers(session: Session) -> None:
    """Register botocore's own handlers, but for those of other services and of the documentation."""
    emitter = session.get_component("event_emitter")
    register = {
        (): emitter.register,
        (handlers.REGISTER_FIRST,): emitter.register_first,
        (handlers.REGISTER_LAST,): emitter.register_last,
    }
    for event, handler, *order in handlers.BUILTIN_HANDLERS:
        scope, *service = event.split(".")[:2]
        if scope != "docs" and service in ([], ["*"], ["dynamodb"]):
            register[tuple(order)](event, handler)


def _has_someone_between(endpoint: str) -> bool:
    """Return whether requests go through a proxy, or someone answers them before they are sent, as tests do."""
    answered = any(event.startswith("before-send") for event, *_ in handlers.BUILTIN_HANDLERS)
    return answered or bool(get_environ_proxies(endpoint))


class _Loader(Loader):
    """Finds botocore's data as its own loader does, without going through that of some 400 other services."""

    def __init__(self, data_path: str | None) -> None:
        folders = data_path.split(os.pathsep) if data_path else []
        super().__init__([str(Path(os.path.expandvars(folder)).expanduser()) for folder in folders])

    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - as the original has it
        """Return every folder's name: whether it holds what is asked for, loading it shows."""
        # As names: a Path for each takes milliseconds.
        return [name for folder in filter(os.path.isdir, self.search_paths) for name in os.listdir(folder)]  # noqa: PTH208

    def load_data_with_path(self, name: str) -> tuple[Any, str]:
        """Return data and where it lies; what would take long to read only as far as it is needed here.

        Of DynamoDB's API these are the operations that are called. Of `endpoints`, 1.25 MB of host names, the
        partitions: a request's host is worked out by the service's own rules. Whoever has put data of his own in
        their place, by AWS_DATA_PATH say, is given that.
        """
        found: tuple[Any, str]
        own = (Path(folder, f"{name}.json") for folder in self.search_paths[:-1])
        if name not in _SHORTENED or any(path.is_file() for path in own):
            found = super().load_data_with_path(name)
            return found
        if name == _API:
            return json.loads(_API_FILE.read_bytes()), str(_API_FILE)
        partitions, path = super().load_data_with_path("partitions")
        return {"partitions": [_endpoints(partition) for partition in partitions["partitions"]]}, path


def _endpoints(partition: Mapping[str, Any]) -> dict[str, object]:
    """Return of a partition what `endpoints` says of it, without any service."""
    suffix, dual_stack_suffix = (partition["outputs"][name] for name in ("dnsSuffix", "dualStackDnsSuffix"))
    plain, fips = "{service}.{region}.{dnsSuffix}", "{service}-fips.{region}.{dnsSuffix}"
    return {
        "partition": partition["id"],
        "dnsSuffix": suffix,
        "regionRegex": partition["regionRegex"],
        "regions": partition["regions"],
        "defaults": {
            "hostname": plain,
            "protocols": ["https"],
            "signatureVersions": ["v4"],
            "variants": [
                {"dnsSuffix": suffix, "hostname": fips, "tags": ["fips"]},
                {"dnsSuffix": dual_stack_suffix, "hostname": fips, "tags": ["dualstack", "fips"]},
                {"dnsSuffix": dual_stack_suffix, "hostname": plain, "tags": ["dualstack"]},
            ],
        },
        "services": {},
    }
