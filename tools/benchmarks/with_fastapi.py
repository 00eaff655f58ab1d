"""The GET with FastAPI, under Mangum."""

from __future__ import annotations

from client import rows
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from mangum import Mangum

app = FastAPI(openapi_url=None)


@app.get("/visits/{resource_id}")
def visits(resource_id: str) -> JSONResponse:
    """Answer with the event's rows; returned as they are, FastAPI would go through them once more."""
    return JSONResponse(rows(resource_id))


answer = Mangum(app, lifespan="off")
