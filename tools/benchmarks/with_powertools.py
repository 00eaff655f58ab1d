"""The GET with Powertools' resolver for HTTP APIs."""

from __future__ import annotations

import json

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from client import rows

app = APIGatewayHttpResolver(serializer=json.dumps)


@app.get("/visits/<resource_id>")
def visits(resource_id: str) -> list[dict[str, int | str]]:
    """Answer with the event's rows."""
    return rows(resource_id)


answer = app.resolve
