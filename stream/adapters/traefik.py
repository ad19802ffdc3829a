"""Format ``traefik``: Traefik's access log with ``format: json``, one line a call.

Fields, as in ``pkg/middlewares/accesslog/logdata.go`` (the same since 1.4):

====================== =================================================================================================
``StartUTC``           start of the request, RFC 3339 with up to nanoseconds; else ``StartLocal``. ``time`` is when the
                       line was written, to the second, and is not read
``RequestMethod``
``RequestPath``        with query (traefik/traefik#4142), which ends here
``DownstreamStatus``   optional, a number: what the client got. ``OriginStatus`` is absent where Traefik answered itself
``Duration``           optional, NANOSECONDS
``ClientUsername``     the user; with status 401 only a claim: basic auth logs a name before it checks it
``ClientHost``         the address: the header ``X-Forwarded-For`` where there is one, see below; else the peer
``ClientAddr``         else the address: the peer's, with its port
``request_User-Agent`` the agent, where Traefik is told to keep that header
====================== =================================================================================================

What to know:

- ``ClientHost`` is the whole header, a list of addresses (traefik/traefik#13728). Traefik takes it from proxies that
  it trusts alone, so its last address, what the proxy next to Traefik saw, is always believed; those before it can be
  forged, unless ``identity.trusted_hops`` says that more proxies are yours. What is no address is passed over for the
  peer.
- A request target with a user in it (``GET http://alice@host/``) also sets ``ClientUsername`` where no middleware
  does (``usernameIfPresent`` in ``logger.go``): a client can then choose its name. Drop the field unless you
  authenticate with basic, digest or forward auth.
- No request id: ``trace_id`` (``TraceId``), with tracing, is shared by all calls of a trace. ``RequestCount`` starts
  anew with Traefik.
- ``RouterName`` and ``ServiceName`` name configuration, not paths. ``ServiceURL`` is text, in old versions an object.
"""

import msgspec

from featurizer.calls import ApiCall
from featurizer.identity import Identity
from featurizer.routes import RouteTemplates
from stream.adapters.decoded import Adapter, Decode, record_decoder
from stream.adapters.fields import address_of, checked_path, checked_time, invalid, missing
from stream.adapters.identities import IdentityChain
from stream.adapters.json_elements import json_reader, split_objects
from stream.adapters.times import rfc3339_time
from stream.adapters.values import duration_of, host_of, status_number

_NAMES = {
    "start_utc": "StartUTC",
    "start_local": "StartLocal",
    "method": "RequestMethod",
    "path": "RequestPath",
    "status": "DownstreamStatus",
    "duration": "Duration",
    "username": "ClientUsername",
    "host": "ClientHost",
    "peer": "ClientAddr",
    "agent": "request_User-Agent",
}
_UNKNOWN = "unknown"
"""Client of a call whose forwarded address is none, in a log without the peer's."""
_Text = str | None


class _Line(msgspec.Struct, gc=False, rename=_NAMES):
    """The fields that are read; see the module's table."""

    method: str
    path: str
    start_utc: _Text = None
    start_local: _Text = None
    status: int | None = None
    duration: float | None = None
    username: _Text = None
    host: _Text = None
    peer: _Text = None
    agent: _Text = None


def _bind(routes: RouteTemplates, identities: IdentityChain) -> Decode:
    target = routes.target
    client_of = identities.client_of(Identity.USER, Identity.ADDRESS_AGENT)
    hops = max(1, identities.trusted_hops)

    def call_of(line: _Line) -> ApiCall:
        status = status_number(line.status)
        time, field = line.start_utc, "StartUTC"
        if not time:
            time, field = line.start_local, "StartLocal"
        nanoseconds = line.duration
        address = host_of(line.peer)
        if line.host and line.host != address:
            address = identities.address(line.host, address, hops=hops) or _UNKNOWN
        names = (line.username, line.agent)
        client, identity = client_of(names, address, status, "ClientHost (or ClientAddr)")
        endpoint, object_id = target(line.method, checked_path(line.path, "RequestPath"), status)
        return ApiCall(
            _time(time, field),
            client,
            endpoint,
            status,
            None if nanoseconds is None else duration_of(nanoseconds / 1_000_000, "Duration"),
            identity=identity,
            address=address_of(address),
            object_id=object_id,
        )

    return record_decoder(TRAEFIK.name, json_reader(_Line, call_of), split_objects)


def _time(text: str | None, field: str) -> int:
    if not text:
        raise missing("StartUTC (or StartLocal)")
    try:
        return checked_time(rfc3339_time(text), field)
    except ValueError as error:
        raise invalid(field, str(error)) from None


TRAEFIK = Adapter("traefik", "Traefik's access log as JSON", _bind)
