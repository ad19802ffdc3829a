"""The endpoints as pages of a Faust application.

Faust's own pages (its router, tables, statistics) are left out: they would tell anybody who asks about the worker's
inside, and they work on Faust's tables, which gatewatch does not use.
"""

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import faust
import structlog
from aiohttp import web
from faust.web import View
from faust.web.base import BlueprintManager

from stream.sections.operation import WebSettings
from stream.telemetry import Telemetry
from stream.web import answers
from stream.web.answers import Answer, Check, failure, text_answer
from stream.web.description import describe
from stream.web.scoring import MAX_BODY_BYTES, Scoring, answer_score

log = structlog.get_logger(__name__)

Respond = Callable[[web.Request], Awaitable[Answer]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
"""Paths that never want the token: orchestrators probe them."""


@dataclass(frozen=True)
class Site:
    """What the endpoints show.

    Attributes:
        settings: of the web server; the token among them.
        telemetry: the metrics.
        checks: what must be all right for the worker to be ready, by name.
        scoring: model and degree tables; None on a worker that does not score.
        excluded_methods: HTTP methods that are no part of call graphs.
        refresh: called before the metrics are read, to bring gauges up to date.
    """

    settings: WebSettings
    telemetry: Telemetry
    checks: Mapping[str, Check] = field(default_factory=dict)
    scoring: Scoring | None = None
    excluded_methods: Collection[str] = ()
    refresh: Callable[[], None] | None = None


def add_pages(app: faust.App, site: Site) -> None:
    """Serve the endpoints, and nothing else, from an application that has not yet started."""
    server: Any = app.web  # Faust's aiohttp driver
    server.blueprints = BlueprintManager()
    server.web_app.middlewares.append(_guard(site))
    description = json.dumps(describe(secured=site.settings.token is not None)).encode()

    async def index(_: web.Request) -> Answer:
        return text_answer(answers.INDEX)

    async def healthz(_: web.Request) -> Answer:
        return text_answer("alive\n")

    async def readyz(_: web.Request) -> Answer:
        return answers.answer_ready(site.checks)

    async def metrics(request: web.Request) -> Answer:
        if site.refresh is not None:
            site.refresh()
        return answers.answer_metrics(site.telemetry.registry, request.headers.get("Accept", ""))

    async def score(request: web.Request) -> Answer:
        return answer_score(await _body(request), site.scoring, site.excluded_methods)

    async def openapi(_: web.Request) -> Answer:
        return Answer(200, "application/json", description)

    pages = {"/": index, "/healthz": healthz, "/readyz": readyz, "/metrics": metrics, "/openapi.json": openapi}
    for path, respond in pages.items():
        app.page(path, name=respond.__name__)(_view("get", respond))
    app.page("/v1/score", name="score")(_view("post", score))


def _view(method: str, respond: Respond) -> type[Any]:
    """Return a Faust view with one method; HEAD comes with GET."""

    async def handle(_: Any, request: web.Request) -> web.Response:
        return _response(await respond(request))

    return type(respond.__name__, (View,), {method: handle, "__doc__": respond.__doc__})


def _guard(site: Site) -> Any:
    """Return middleware that asks for the token, counts requests and gives every failure one form."""
    secret = site.settings.token
    token = None if secret is None else secret.get_secret_value()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = "other" if resource is None else resource.canonical
        try:
            if token is None or request.path in OPEN_PATHS or _carries(request, token):
                response = await handler(request)
            else:
                response = _response(answers.unauthorised())
        except web.HTTPException as error:
            response = _response(failure(error.status, error.reason))
            response.headers.extend({name: error.headers[name] for name in ("Allow",) if name in error.headers})
        except Exception as error:
            log.exception("a request failed", route=route, error=str(error))
            response = _response(failure(500, "a defect of gatewatch; its log says more"))
        site.telemetry.web_requests.labels(route, str(response.status)).inc()
        return response

    return guard


def _carries(request: web.Request, token: str) -> bool:
    return answers.authorised(request.headers.get("Authorization", ""), token)


async def _body(request: web.Request) -> bytes:
    """Return the body, or of a larger one just enough to see that it is too large."""
    parts, size = [], 0
    async for part in request.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            break
    return b"".join(parts)


def _response(answer: Answer) -> web.Response:
    headers = {"Content-Type": answer.content_type, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return web.Response(status=answer.status, body=answer.body, headers=headers | dict(answer.headers))
