"""``GET /openapi.json``: OpenAPI 3.1 description of the endpoints, generated from their models."""

from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from stream.web.models import ErrorAnswer, ReadyAnswer, ScoreAnswer, ScoreRequest

_REF = "#/components/schemas/{model}"


def describe(*, secured: bool) -> dict[str, Any]:
    """Return the OpenAPI document.

    Args:
        secured: whether a bearer token is wanted.
    """
    models = [(model, "serialization") for model in (ScoreAnswer, ErrorAnswer, ReadyAnswer)]
    _, schemas = models_json_schema([(ScoreRequest, "validation"), *models], ref_template=_REF)  # type: ignore[list-item]
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "gatewatch",
            "version": version("gatewatch"),
            "description": "Health, metrics and single scores of a gatewatch worker.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _paths(),
        "components": {"schemas": schemas["$defs"]},
    }
    if secured:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        for path in document["paths"].values():
            for operation in path.values():
                if operation.get("security") is None:
                    operation["responses"]["401"] = _json("The bearer token is absent or wrong.", ErrorAnswer)
    return document


def _paths() -> dict[str, Any]:
    ready = {"200": _json("Ready.", ReadyAnswer), "503": _json("Not ready, and why.", ReadyAnswer)}
    metrics = {"200": _text("Prometheus or OpenMetrics text.")}
    return {
        "/healthz": {"get": _operation("health", "The process is alive.", {"200": _text("Alive.")}, open_=True)},
        "/readyz": {"get": _operation("ready", "The worker does its work.", ready, open_=True)},
        "/metrics": {"get": _operation("metrics", "Metrics for Prometheus.", metrics)},
        "/v1/score": {"post": _score()},
    }


def _score() -> dict[str, Any]:
    responses = {
        "200": _json("The verdict.", ScoreAnswer),
        "413": _json("The body is too large.", ErrorAnswer),
        "422": _json("The request is wrong; names each field.", ErrorAnswer),
        "503": _json("This worker does not score.", ErrorAnswer),
    }
    operation = _operation("score", "Judge one session and explain the verdict.", responses)
    body = {"application/json": {"schema": {"$ref": _REF.format(model=ScoreRequest.__name__)}}}
    return operation | {"requestBody": {"required": True, "content": body}}


def _operation(name: str, summary: str, responses: dict[str, Any], *, open_: bool = False) -> dict[str, Any]:
    """Return an operation; ``open_`` ones never want a token."""
    operation = {"operationId": name, "summary": summary, "responses": responses}
    return operation | {"security": []} if open_ else operation


def _json(description: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}
