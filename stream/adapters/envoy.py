"""Format ``envoy``: access logs of Envoy, Istio and Envoy Gateway as JSON, one line a call.

The keys of Istio's default (``EnvoyJSONLogFormatIstio`` in ``pilot/pkg/model/telemetry_logging.go``), which
``docs/gateways.md`` has for Envoy too; in brackets those of Envoy Gateway:

=============================== ======================================================================================
``start_time``                  ``%START_TIME%``, start of the request, RFC 3339
``method``                      ``%REQ(:METHOD)%``
``path``                        ``%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%`` [``x-envoy-origin-path``], with query, which
                                ends here
``response_code``               ``%RESPONSE_CODE%``; 0: the client went away
``duration``                    ``%DURATION%``, milliseconds until the last byte
``downstream_remote_address``   ``%DOWNSTREAM_REMOTE_ADDRESS%``, the address, with port; see below
``x_forwarded_for``             ``%REQ(X-FORWARDED-FOR)%``, read with ``identity.trusted_hops`` only; see below
``sub``                         optional, the subject: ``%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:NAME:sub)%``,
                                with the NAME that ``payload_in_metadata`` gives; Envoy has checked the token then
``user_agent``                  ``%REQ(USER-AGENT)%``, optional, the agent
``request_id``                  ``%REQ(X-REQUEST-ID)%`` [``x-request-id``], optional
=============================== ======================================================================================

``-``, null and an absent key mean that there is no value. Numbers come as text (``json_format`` of the file access log,
up to 1.18; text formats in JSON's shape), as numbers (``json_format`` of ``log_format``, envoyproxy/envoy#9043), and as
``200.0`` from Istio 1.22 (envoyproxy/envoy#34420).

What to know:

- ``downstream_remote_address`` is what Envoy itself makes of peer and ``X-Forwarded-For`` (``mutateRequestHeaders`` in
  ``conn_manager_utility.cc``): with ``use_remote_address`` the peer, or the address that ``xff_num_trusted_hops``
  (Istio: ``numTrustedProxies``) names. WITHOUT ``use_remote_address`` it is the header's last address, which the
  client of an Envoy at the edge can choose.
- ``x_forwarded_for`` as logged ends with Envoy's own peer. With ``identity.trusted_hops`` at N the address is the one
  before the last N, as Envoy's own ``xff_num_trusted_hops`` counts; leave it at 0 where Envoy itself is told that.
- With ``use_remote_address`` Envoy also gives each request from outside its own id, unless
  ``preserve_external_request_id`` is on; without, a client can choose ids, and hide calls as copies.
- One call through gateway and sidecars has one id in all their logs.
- No identity is logged by default; without ``sub`` users behind one address are one client.
- What is no HTTP (TCP proxies, unknown server names, bytes of another protocol) has no method and no path: calls to
  ``{malformed}``, as any client can send such things. Log HTTP only, at the gateway.
- A waypoint of Istio's ambient mode has ``envoy://internal_client_address/`` for every client: log at the gateway.
- Envoy can also log when a request begins and while it lasts (``access_log_options``): the first entry of an id wins,
  and has no status. Leave that off.
- ``route_name`` and ``upstream_cluster`` name configuration, not paths.
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
from stream.adapters.times import rfc3339_time
from stream.adapters.values import Number, duration_of, host_of, status_number

_NAMES = {"gateway_path": "x-envoy-origin-path", "gateway_request_id": "x-request-id"}
_Text = str | None


class _Line(msgspec.Struct, gc=False, rename=_NAMES):
    """The keys that are read; see the module's table."""

    start_time: _Text = None
    method: _Text = None
    path: _Text = None
    response_code: Number = None
    duration: Number = None
    downstream_remote_address: _Text = None
    request_id: _Text = None
    gateway_path: _Text = None
    gateway_request_id: _Text = None
    sub: _Text = None
    user_agent: _Text = None
    x_forwarded_for: _Text = None


def _bind(routes: RouteTemplates, identities: IdentityChain) -> Decode:
    target = routes.target
    client_of = identities.client_of(Identity.SUBJECT, Identity.ADDRESS_AGENT)
    # Envoy has added its peer to the header by the time that it logs it.
    hops = identities.trusted_hops and identities.trusted_hops + 1

    def call_of(line: _Line) -> ApiCall:
        status = status_number(line.response_code)
        address = identities.address(line.x_forwarded_for, host_of(line.downstream_remote_address), hops=hops)
        client, identity = client_of((line.sub, line.user_agent), address, status, "downstream_remote_address")
        path = checked_path(line.path or line.gateway_path or "", "path")
        endpoint, object_id = target(line.method or "", path, status)
        return ApiCall(
            _time(line.start_time),
            client,
            endpoint,
            status,
            duration_of(line.duration, "duration"),
            request_id_of(line.request_id or line.gateway_request_id),
            identity,
            address_of(address),
            object_id,
        )

    return record_decoder(ENVOY.name, json_reader(_Line, call_of), split_objects)


def _time(text: str | None) -> int:
    if not text or text == "-":
        raise missing("start_time")
    try:
        return checked_time(rfc3339_time(text), "start_time")
    except ValueError as error:
        raise invalid("start_time", str(error)) from None


ENVOY = Adapter("envoy", "access logs of Envoy, Istio and Envoy Gateway as JSON", _bind)
