"""The contract in openapi.yml: valid in itself, its examples replayed, and compared with whatever else is answered."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

import pytest
from cloud import Answer, Api
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from openapi_spec_validator.readers import read_from_filename

from tools import local_cloud

DOCUMENT, _ = read_from_filename(str(local_cloud.PROJECT / "openapi.yml"))
COMPONENTS: Mapping[str, Mapping[str, Any]] = DOCUMENT["components"]


@dataclass(frozen=True)
class Example:
    """An answer that the document shows, with the request that gets it, where anybody can make that request."""

    status: int
    media_type: str
    schema: Mapping[str, Any]
    value: Any
    path: str | None
    headers: Mapping[str, str] = field(default_factory=dict)
    answered_headers: Mapping[str, str] = field(default_factory=dict)


def examples() -> Iterator[Any]:
    """Yield each example of a response as a test's parameter."""
    references = chain.from_iterable(path["get"]["responses"].items() for path in DOCUMENT["paths"].values())
    for status, reference in dict.fromkeys((status, reference["$ref"]) for status, reference in references):
        response = COMPONENTS["responses"][reference.rpartition("/")[2]]
        for media_type, content in response.get("content", {}).items():
            for name, example in content.get("examples", {}).items():
                request = example.get("x-request", {})
                shown = Example(
                    int(status),
                    media_type,
                    content["schema"],
                    example["value"],
                    request.get("path"),
                    request.get("headers", {}),
                    example.get("x-headers", {}),
                )
                yield pytest.param(shown, id=f"{status}-{name}")


EXAMPLES = list(examples())
REPLAYED = [each for each in EXAMPLES if each.values[0].path]


def get(api: Api, example: Example, **headers: str) -> Answer:
    assert example.path
    return api.get(example.path, {**example.headers, **headers})


def test_the_document_is_openapi_3_1() -> None:
    """The document fits the schema of OpenAPI 3.1, and each of its references leads somewhere."""
    assert [] == [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_fits_its_schema(example: Example) -> None:
    """Each example fits its schema, also one that no request gets here, as API Gateway's own errors."""
    schema = {**example.schema, "components": COMPONENTS}

    assert [] == [error.message for error in OAS31Validator(schema).iter_errors(example.value)]


@pytest.mark.parametrize("example", REPLAYED)
def test_an_example_is_what_the_service_answers(book_api: Api, example: Example) -> None:
    """The service answers an example's request with its status, media type, body and headers."""
    answer = get(book_api, example)

    assert example.status == answer.status, answer.body
    assert example.media_type == answer.headers.get_content_type()
    assert example.answered_headers == {name: answer.headers[name] for name in example.answered_headers}
    text = answer.body.decode()
    assert example.value == (text if example.media_type == "text/csv" else json.loads(text))


@pytest.mark.parametrize("example", [each for each in REPLAYED if each.values[0].status == 200])
def test_an_example_that_is_at_hand_is_not_sent_again(book_api: Api, example: Example) -> None:
    """A request with an example's ETag is answered with 304, the same ETag and no body."""
    etag = get(book_api, example).headers["ETag"]

    answer = get(book_api, example, **{"If-None-Match": etag})

    assert (304, etag, b"") == (answer.status, answer.headers["ETag"], answer.body)


def test_what_is_answered_is_what_the_document_says(book_api: Api) -> None:
    """Schemathesis sends what the document allows and what it forbids, as tests/schemathesis.toml says."""
    address = urlsplit(book_api.url)
    host = ["--header", f"Host: {address.netloc}"]  # As in Api.get: not every resolver knows *.localhost.
    run = subprocess.run(
        [
            *("schemathesis", "--config-file", "tests/schemathesis.toml"),
            *("run", "openapi.yml", "--url", f"http://127.0.0.1:{address.port}", *host),
        ],
        cwd=local_cloud.PROJECT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert 0 == run.returncode, run.stdout + run.stderr
