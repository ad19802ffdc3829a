"""Format ``ocsf``: HTTP Activity (4002) and API Activity (6003) of the Open Cybersecurity Schema Framework.

As Security Lake has them, or whoever else normalises logs before they are kept. One JSON object an event:

============ =========================================================================================================
time         ``start_time``, else ``time``, epoch MILLISECONDS
duration     ``duration``, else ``http_response.latency``, milliseconds, optional
user         ``actor.user.uid``, else ``actor.user.name``
credential   ``actor.user.programmatic_credentials``, the first one's ``uid``; before 1.6 ``actor.user.credential_uid``
session      ``actor.session.uid``
agent        ``http_request.user_agent``
address      ``src_endpoint.ip``; with ``identity.trusted_hops`` that of ``http_request.x_forwarded_for``
method       ``http_request.http_method``; else the one before a path in ``api.operation``; else what ``activity_id``
             stands for: of an API activity Create is POST, Read GET, Update PUT, Delete DELETE
path         ``http_request.url.path``, else ``.url_string``
template     of an API activity ``api.operation`` where it is a template (``GET /pets/{id}``), or where there is no
             path: ``service:operation`` then, with ``api.service.name``
status       ``http_response.code``, else ``api.response.code``, else ``http_status``; optional
request id   ``metadata.uid``, else ``api.request.uid``. Not ``http_request.uid``: that may be one that the client sent
============ =========================================================================================================

OCSF has no field for a template. An ``api.operation`` without ``{`` is none: it may be the path again, or a bare verb.

Sources: ocsf-schema (``events/network/http_activity.json``, ``events/application/api_activity.json``, ``objects/``).
"""

import msgspec

from featurizer.calls import ApiCall
from featurizer.identity import Identity
from featurizer.routes import RouteTemplates
from stream.adapters.decoded import Adapter, Decode, record_decoder
from stream.adapters.fields import (
    address_of,
    checked_path,
    checked_time,
    invalid,
    missing,
    request_id_of,
)
from stream.adapters.identities import IdentityChain
from stream.adapters.json_elements import json_reader, split_objects
from stream.adapters.values import status_number

HTTP_ACTIVITY = 4002
API_ACTIVITY = 6003

_METHODS = {
    HTTP_ACTIVITY: ("", "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE", "PATCH"),
    API_ACTIVITY: ("", "POST", "GET", "PUT", "DELETE"),
}
"""HTTP methods by class and ``activity_id``."""

_Text = str | None


class _Service(msgspec.Struct, gc=False):
    name: _Text = None


class _Uid(msgspec.Struct, gc=False):
    uid: _Text = None


class _Response(msgspec.Struct, gc=False):
    code: int | str | None = None
    latency: float | None = None


class _Api(msgspec.Struct, gc=False):
    operation: _Text = None
    service: _Service | None = None
    request: _Uid | None = None
    response: _Response | None = None


class _Url(msgspec.Struct, gc=False):
    path: _Text = None
    url_string: _Text = None


class _Request(msgspec.Struct, gc=False):
    http_method: _Text = None
    url: _Url | None = None
    user_agent: _Text = None
    x_forwarded_for: str | tuple[str, ...] | None = None


class _User(msgspec.Struct, gc=False):
    uid: _Text = None
    name: _Text = None
    credential_uid: _Text = None
    programmatic_credentials: tuple[_Uid, ...] | None = None


class _Actor(msgspec.Struct, gc=False):
    user: _User | None = None
    session: _Uid | None = None


class _Source(msgspec.Struct, gc=False):
    ip: _Text = None


class _Event(msgspec.Struct, gc=False):
    """The attributes that are read."""

    class_uid: int
    time: int
    activity_id: int = 0
    start_time: int | None = None
    duration: float | None = None
    actor: _Actor | None = None
    src_endpoint: _Source | None = None
    http_request: _Request | None = None
    http_response: _Response | None = None
    http_status: int | None = None
    api: _Api | None = None
    metadata: _Uid | None = None


def _bind(routes: RouteTemplates, identities: IdentityChain) -> Decode:
    target = routes.target
    client_of = identities.client_of(Identity.USER, Identity.CREDENTIAL, Identity.SESSION, Identity.ADDRESS_AGENT)

    def call_of(event: _Event) -> ApiCall:
        if event.class_uid not in _METHODS:
            raise invalid("class_uid", "neither HTTP Activity (4002) nor API Activity (6003)")
        status = _status(event)
        method, path, template = _target(event)
        peer = event.src_endpoint.ip if event.src_endpoint else None
        address = identities.address(_forwarded(event.http_request), peer)
        client, identity = client_of(_names(event), address, status, "src_endpoint.ip")
        endpoint, object_id = target(method, checked_path(path, "http_request.url.path"), status, template)
        return ApiCall(
            checked_time(event.start_time or event.time, "start_time" if event.start_time else "time"),
            client,
            endpoint,
            status,
            _duration(event),
            _request_id(event),
            identity,
            address_of(address),
            object_id,
        )

    return record_decoder(OCSF.name, json_reader(_Event, call_of), split_objects)


def _names(event: _Event) -> tuple[str | None, ...]:
    """Return user, credential, session and agent."""
    request, actor = event.http_request, event.actor
    user = actor.user if actor else None
    session = actor.session if actor else None
    name = credential = None
    if user is not None:
        name = user.uid or user.name
        credentials = user.programmatic_credentials
        credential = credentials[0].uid if credentials else user.credential_uid
    return name, credential, session.uid if session else None, request.user_agent if request else None


def _forwarded(request: _Request | None) -> str | None:
    addresses = request.x_forwarded_for if request else None
    return ",".join(addresses) if isinstance(addresses, tuple) else addresses


def _target(event: _Event) -> tuple[str, str, str | None]:
    """Return method, path and template of the request."""
    request, api = event.http_request, event.api
    method = request.http_method if request else None
    path = (request.url.path or request.url.url_string) if request and request.url else None
    template = None
    if api and api.operation:
        operation = api.operation.partition("?")[0]
        verb, _, target = operation.rpartition(" ")
        if target.startswith("/"):
            method = method or verb
            template = target if "{" in target and target != path else None
            path = path or target
        elif not path:
            template = f"{api.service.name}:{operation}" if api.service and api.service.name else operation
    if not path and not template:
        raise missing("http_request.url.path (or api.operation)")
    if not method:
        methods = _METHODS[event.class_uid]
        method = methods[event.activity_id] if 0 <= event.activity_id < len(methods) else ""
    return method, path or "", template


def _status(event: _Event) -> int:
    code = event.http_response.code if event.http_response else None
    if code is None and event.api and event.api.response:
        code = event.api.response.code
    if code is None:
        code = event.http_status
    return status_number(code)


def _duration(event: _Event) -> float | None:
    duration = event.duration
    if duration is None and event.http_response:
        duration = event.http_response.latency
    return None if duration is None or duration < 0 else duration


def _request_id(event: _Event) -> str | None:
    if event.metadata and event.metadata.uid:
        return request_id_of(event.metadata.uid)
    return request_id_of(event.api.request.uid) if event.api and event.api.request else None


OCSF = Adapter("ocsf", "OCSF HTTP Activity (4002) and API Activity (6003)", _bind)
