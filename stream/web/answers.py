"""Answers of the web endpoints as values: what they say is decided without a web framework."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel

from stream.web.models import ErrorAnswer, Problem, ReadyAnswer

Check = Callable[[], tuple[bool, str]]
"""Says whether one thing that the worker needs is all right, and otherwise what is wrong."""

INDEX = """gatewatch: anomalous API behaviour, found in gateway logs on Kafka

GET  /healthz       the process is alive
GET  /readyz        the worker does its work, or what is in the way
GET  /metrics       metrics for Prometheus
POST /v1/score      a verdict on one session, with explanation
GET  /openapi.json  description of these endpoints
"""


class Answer(NamedTuple):
    """Status code, content type, body and further headers of a response."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = {}


def json_answer(value: BaseModel, status: int = 200) -> Answer:
    """Return a model as JSON."""
    return Answer(status, "application/json", value.model_dump_json().encode())


def text_answer(text: str, status: int = 200) -> Answer:
    """Return plain text."""
    return Answer(status, "text/plain; charset=utf-8", text.encode())


def failure(status: int, error: str, problems: Sequence[Problem] = ()) -> Answer:
    """Return why there is no answer."""
    return json_answer(ErrorAnswer(error=error, problems=list(problems)), status)


def answer_ready(checks: Mapping[str, Check]) -> Answer:
    """Return 200 when every check passes, else 503 with the name and reason of each that does not."""
    results = {name: check() for name, check in checks.items()}
    reasons = [f"{name}: {reason}" for name, (passed, reason) in results.items() if not passed]
    return json_answer(ReadyAnswer(ready=not reasons, reasons=reasons), 503 if reasons else 200)


def answer_metrics(registry: CollectorRegistry, accept: str) -> Answer:
    """Return the metrics in the format that the Accept header asks for: OpenMetrics or Prometheus text."""
    encode, content_type = choose_encoder(accept)
    return Answer(200, content_type, encode(registry))


def authorised(header: str, token: str) -> bool:
    """Return whether an Authorization header carries the token; takes as long whatever the header says."""
    scheme, _, given = header.partition(" ")
    # Headers are bytes; aiohttp gives those that are not UTF-8 as surrogates.
    sent = given.strip().encode("utf-8", "surrogateescape")
    return scheme.lower() == "bearer" and hmac.compare_digest(sent, token.encode())


def unauthorised() -> Answer:
    """Return the answer to a request without the token."""
    answer = failure(401, "this needs the header: Authorization: Bearer <web.token>")
    return answer._replace(headers={"WWW-Authenticate": 'Bearer realm="gatewatch"'})
