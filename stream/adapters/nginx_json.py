"""Format ``nginx-json``: an NGINX access log with ``escape=json``, as ``deploy/nginx-log-format.conf`` writes it.

Fields have the names of NGINX's variables; values may be text or numbers:

======================== ===============================================================================================
``msec``                 epoch seconds with milliseconds. Else ``time_iso8601``, else ``time_local``. NGINX takes all
                         three when it writes the line, at the END of the request: ``request_time`` is taken off
``remote_addr``          the address
``request_method``       with ``path`` or ``request_uri``; else ``request``, the whole request line
``status``               optional; ``000`` and ``-`` are 0, none recorded
``request_time``         optional, seconds with milliseconds
``request_id``           optional
``route``                optional, the template if your configuration knows it
``remote_user``          optional, the user
``jwt_claim_sub``        optional, the subject: what NGINX Plus' ``auth_jwt`` has checked, or a variable of your own
``api_client_name``      optional, the credential: whose API key it is, by a ``map`` from keys to names
``cookie_session``       optional, the session: the cookie of that name, or ``"cookie_session":"$cookie_NAME"``
``http_user_agent``      optional, the agent
``http_x_forwarded_for`` optional, read with ``identity.trusted_hops`` only: NGINX's own ``real_ip_header`` is better
======================== ===============================================================================================

Other fields are ignored. ``uri`` is not read: NGINX has decoded and rewritten it. A request that NGINX could not parse
has no method or no path in the log: it is a call to ``{malformed}``.
"""

from functools import lru_cache

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
    split_request,
)
from stream.adapters.identities import IdentityChain
from stream.adapters.json_elements import json_reader, split_objects
from stream.adapters.times import clf_time, rfc3339_time, seconds_time
from stream.adapters.values import Number, status_number

_Text = str | None


class _Line(msgspec.Struct, gc=False):
    """The variables that are read; NGINX leaves a variable without value empty."""

    msec: Number = None
    remote_addr: _Text = None
    remote_user: _Text = None
    request_method: _Text = None
    path: _Text = None
    status: str | int | None = None
    request_time: Number = None
    request_id: _Text = None
    route: _Text = None
    request_uri: _Text = None
    request: _Text = None
    time_iso8601: _Text = None
    time_local: _Text = None
    jwt_claim_sub: _Text = None
    api_client_name: _Text = None
    cookie_session: _Text = None
    http_user_agent: _Text = None
    http_x_forwarded_for: _Text = None


def _bind(routes: RouteTemplates, identities: IdentityChain) -> Decode:
    target = routes.target
    client_of = identities.client_of(
        Identity.USER, Identity.SUBJECT, Identity.CREDENTIAL, Identity.SESSION, Identity.ADDRESS_AGENT
    )

    def call_of(line: _Line) -> ApiCall:
        status = status_number(line.status)
        time, field = _milliseconds(line.msec, "msec"), "msec"
        if time is None:
            time, field = _second(line)
        duration = _duration(line.request_time)
        method, path = line.request_method, line.path
        if method is None or path is None:
            method, path = _request(line)
        address = identities.address(line.http_x_forwarded_for, line.remote_addr)
        names = (
            line.remote_user,
            line.jwt_claim_sub,
            line.api_client_name,
            line.cookie_session,
            line.http_user_agent,
        )
        client, identity = client_of(names, address, status, "remote_addr")
        endpoint, object_id = target(method, checked_path(path, "path"), status, line.route)
        return ApiCall(
            checked_time(time if duration is None else time - duration, field),
            client,
            endpoint,
            status,
            None if duration is None else float(duration),
            request_id_of(line.request_id),
            identity,
            address_of(address),
            object_id,
        )

    return record_decoder(NGINX_JSON.name, json_reader(_Line, call_of), split_objects)


def _second(line: _Line) -> tuple[int, str]:
    """Return when NGINX wrote the line, to the second, and the field that says so."""
    field = "time_iso8601" if line.time_iso8601 else "time_local"
    try:
        if line.time_iso8601:
            return rfc3339_time(line.time_iso8601), field
        if line.time_local:
            return clf_time(line.time_local), field
    except ValueError as error:
        raise invalid(field, str(error)) from None
    raise missing("msec (or time_iso8601, time_local)")


@lru_cache(4_096)  # most requests take one of few times
def _duration(value: Number) -> int | None:
    return _milliseconds(value, "request_time")


def _milliseconds(value: Number, field: str) -> int | None:
    """Return seconds as milliseconds, exactly; None where there is no value."""
    if isinstance(value, str):
        if value in {"", "-"}:
            return None
        try:
            return seconds_time(value)
        except ValueError:
            raise invalid(field, "not seconds") from None
    if value is None:
        return None
    if not 0 <= value < 1e12:
        raise invalid(field, "not seconds")
    return round(value * 1000)


def _request(line: _Line) -> tuple[str, str]:
    """Return method and request target when they are not in ``request_method`` and ``path``."""
    path = line.path if line.path is not None else line.request_uri
    if line.request_method is not None and path is not None:
        return line.request_method, path
    if line.request is not None:
        return split_request(line.request)
    raise missing("request_method" if line.request_method is None else "path (or request_uri, request)")


NGINX_JSON = Adapter("nginx-json", "NGINX access log as JSON (deploy/nginx-log-format.conf)", _bind)
