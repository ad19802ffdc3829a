"""Format ``aws-apigateway``: access logs of AWS API Gateway as JSON, of REST and of HTTP APIs.

The keys are those of AWS' own examples and of the CDK (``AccessLogFormat.jsonWithStandardFields``), with a few more;
docs/gateways-cloud.md has both formats to paste. API Gateway writes every value as text, ``-`` where there is none:

==================== ================================= ================================================================
key                  variable                          what it is
==================== ================================= ================================================================
``requestTimeEpoch`` ``$context.requestTimeEpoch``     start of the request, epoch MILLISECONDS
``requestTime``      ``$context.requestTime``          else the start to the SECOND, ``09/Apr/2015:12:34:56 +0000``:
                                                       calls of one second stay in the order of the records
``sub``              ``$context.authorizer.claims.sub`` the subject of a token
``principalId``      ``$context.authorizer.principalId`` else the subject: whom a Lambda authorizer named
``user``             ``$context.identity.user``        the user (IAM)
``caller``           ``$context.identity.caller``      else the user
``apiKeyId``         ``$context.identity.apiKeyId``    the credential
``userAgent``        ``$context.identity.userAgent``   optional, the agent
``ip``               ``$context.identity.sourceIp``    the address
``httpMethod``       ``$context.httpMethod``           the method; of a ``routeKey`` where it is absent
``resourcePath``     ``$context.resourcePath``         REST: the template, ``/pets/{id}``
``routeKey``         ``$context.routeKey``             HTTP: method and template, ``GET /pets/{id}``, or ``$default``
``path``             ``$context.path``                 optional; read where the template says nothing: ``$default`` and
                                                       catch-alls (``/{proxy+}``)
``stage``            ``$context.stage``                optional; taken off the front of ``path``
``status``           ``$context.status``               status code
``responseLatency``  ``$context.responseLatency``      optional, milliseconds
``requestId``        ``$context.requestId``            optional
==================== ================================= ================================================================

A request that matched nothing (``-``, ``$default``) and has no path in the log is a call to ``{unmatched}``: clients
send such things, so they cannot make rejects.
"""

from functools import lru_cache

import msgspec

from featurizer.calls import UNMATCHED_ROUTE, ApiCall
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
from stream.adapters.times import clf_time
from stream.adapters.values import status_number

_Text = str | None
_Number = str | int | None
_NOTHING = frozenset({"", "-"})
_NO_TEMPLATE = frozenset({"", "-", "$default"})
_CATCH_ALL = "+}"


class _Line(msgspec.Struct, rename="camel", gc=False):
    """The keys that are read."""

    request_time_epoch: _Number = None
    ip: _Text = None
    http_method: _Text = None
    status: _Number = None
    resource_path: _Text = None
    route_key: _Text = None
    request_id: _Text = None
    response_latency: _Number = None
    path: _Text = None
    stage: _Text = None
    sub: _Text = None
    principal_id: _Text = None
    user: _Text = None
    caller: _Text = None
    api_key_id: _Text = None
    request_time: _Text = None
    user_agent: _Text = None


def _bind(routes: RouteTemplates, identities: IdentityChain) -> Decode:
    target = routes.target
    client_of = identities.client_of(Identity.SUBJECT, Identity.USER, Identity.CREDENTIAL, Identity.ADDRESS_AGENT)

    def call_of(line: _Line) -> ApiCall:
        status = status_number(line.status)
        template, path = _route(line)
        client, identity = client_of(_names(line), line.ip, status, "ip")
        endpoint, object_id = target(_method(line), checked_path(path, "path"), status, template)
        return ApiCall(
            _time(line),
            client,
            endpoint,
            status,
            _duration(line.response_latency),
            request_id_of(line.request_id),
            identity,
            address_of(line.ip),
            object_id,
        )

    return record_decoder(AWS_APIGATEWAY.name, json_reader(_Line, call_of), split_objects)


def _time(line: _Line) -> int:
    epoch = line.request_time_epoch
    if epoch is not None and epoch not in _NOTHING:
        return checked_time(_whole(epoch, "requestTimeEpoch"), "requestTimeEpoch")
    if line.request_time is None or line.request_time in _NOTHING:
        raise missing("requestTimeEpoch (or requestTime)")
    try:
        return checked_time(clf_time(line.request_time), "requestTime")
    except ValueError as error:
        raise invalid("requestTime", str(error)) from None


def _names(line: _Line) -> tuple[str | None, ...]:
    return _first(line.sub, line.principal_id), _first(line.user, line.caller), line.api_key_id, line.user_agent


def _first(name: str | None, other: str | None) -> str | None:
    return name if name and name != "-" else other


def _method(line: _Line) -> str:
    method = line.http_method
    if (method is None or method in _NOTHING) and line.route_key:
        method = line.route_key.partition(" ")[0]
    if method is None:
        raise missing("httpMethod")
    return method


def _route(line: _Line) -> tuple[str | None, str]:
    """Return the template that API Gateway matched, if any says something, and the path."""
    template, path = line.resource_path, line.path
    if template is None or template in _NOTHING:
        template = line.route_key
        if template is None and line.resource_path is None and path is None:
            raise missing("resourcePath (or routeKey, path)")
    no_path = path is None or path in _NOTHING
    if template is not None and template not in _NO_TEMPLATE and (no_path or _CATCH_ALL not in template):
        return template, "" if path is None or no_path else path
    if path is None or no_path:
        return UNMATCHED_ROUTE, ""
    if line.stage and path.startswith(f"/{line.stage}"):
        rest = path[len(line.stage) + 1 :]
        path = rest if rest.startswith("/") else path if rest else "/"
    return None, path


@lru_cache(4_096)  # most requests take one of few times
def _duration(value: _Number) -> float | None:
    return None if value is None or value in _NOTHING else float(_whole(value, "responseLatency"))


def _whole(value: _Number, field: str) -> int:
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            raise invalid(field, "not milliseconds")
        return int(value)
    if value is None or not 0 <= value < 1 << 63:
        raise invalid(field, "not milliseconds")
    return value


AWS_APIGATEWAY = Adapter("aws-apigateway", "AWS API Gateway access log as JSON, REST or HTTP API", _bind)
