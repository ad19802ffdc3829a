"""Format ``gatewatch``: a plain JSON object for whoever can choose what is logged; and ``api-call``, the wire form.

One record of format ``gatewatch`` is one object, an array of objects, or several lines with an object each::

    {"time": 1431857103000, "client": "alice", "method": "GET", "path": "/orders/42?page=2", "status": 200,
     "duration_ms": 12.5, "request_id": "cdae69cd4c98a041"}

=============== ======== ============================================================================================
field           needed   value
=============== ======== ============================================================================================
``time``        yes      start of the call: epoch milliseconds (number), or RFC 3339 text with ``Z`` or an offset;
                         years 2000 to 2099; what is below a millisecond is cut off
``client``      yes      who called, the stablest identity that you have (user, key, else address): text of 1 to 256
                         characters, or an integer; not ``-``
``method``      yes      HTTP method, any case
``path``        one of   request target as the client sent it; query and fragment are dropped here
``route``       these    template that the gateway matched, ``/orders/{id}``; it wins over the path
``status``      no       HTTP response status code, integer 0 to 999; 0 or null: none recorded
``duration_ms`` no       milliseconds until the answer, number from 0
``request_id``  no       id of the request, text or integer; empty, ``-`` or over 256 characters: none
``identity``    no       what ``client`` is: ``consumer``, ``subject``, ``user``, ``credential``, ``session``,
                         ``address_agent`` or ``address``; null: not known
``address``     no       network address that the call came from; empty, ``-`` or over 256 characters: none
=============== ======== ============================================================================================

Other fields are ignored, so that query strings, bodies and headers go no further. A path that is no request target
(empty, without its ``/``) is a call to ``{malformed}``, not a reject: clients send such things.

Format ``api-call`` is what gatewatch's own topic ``api-calls`` holds: ``featurizer.calls.ApiCall`` as a JSON array,
``[1431857103000,"alice","GET /orders/{id}",200]``; or an array, or lines, of those. Fields that are left out at the end
have their defaults.
"""

from typing import Annotated

import msgspec

from featurizer.calls import ApiCall
from featurizer.identity import Identity
from featurizer.routes import RouteTemplates
from stream.adapters.decoded import Adapter, Decode, record_decoder
from stream.adapters.fields import (
    address_of,
    checked_client,
    checked_path,
    checked_time,
    invalid,
    missing,
    request_id_of,
)
from stream.adapters.identities import IdentityChain
from stream.adapters.json_elements import json_reader, split_arrays, split_objects
from stream.adapters.times import EARLIEST, LATEST, rfc3339_time

LONGEST_ENDPOINT = 1_024
LONGEST_IDENTITY = 32
_CHECKSUM_BITS = 32
_IDENTITIES = frozenset(map(str, Identity))

_Status = Annotated[int, msgspec.Meta(ge=0, le=999)]
_Duration = Annotated[float, msgspec.Meta(ge=0)]


class _Entry(msgspec.Struct, gc=False):
    """The fields of format ``gatewatch``; see the module's table."""

    time: int | float | str
    client: str | int
    method: str
    path: str | None = None
    route: str | None = None
    status: _Status | None = 0
    duration_ms: _Duration | None = None
    request_id: str | int | None = None
    identity: str | None = None
    address: str | None = None


def _bind_gatewatch(routes: RouteTemplates, _identities: IdentityChain) -> Decode:
    target = routes.target

    def call_of(entry: _Entry) -> ApiCall:
        time = entry.time
        if type(time) is not int or not EARLIEST <= time < LATEST:
            time = _time(time)
        client = str(entry.client)
        path = entry.path
        if path is None:
            if not entry.route:
                raise missing("path (or route)")
            path = ""
        status = entry.status or 0
        request_id = entry.request_id
        identity = entry.identity or ""
        if identity and identity not in _IDENTITIES:
            raise invalid("identity", f"not one of {', '.join(Identity)}")
        endpoint, object_id = target(entry.method, checked_path(path, "path"), status, entry.route)
        return ApiCall(
            time,
            checked_client(client, "client"),
            endpoint,
            status,
            entry.duration_ms,
            None if request_id is None else request_id_of(str(request_id)),
            identity,
            address_of(entry.address),
            object_id,
        )

    return record_decoder(GATEWATCH.name, json_reader(_Entry, call_of), split_objects)


def _time(time: float | str) -> int:
    if isinstance(time, str):
        try:
            time = rfc3339_time(time)
        except ValueError as error:
            raise invalid("time", str(error)) from None
    return checked_time(int(time), "time")


def _bind_api_call(_routes: RouteTemplates, _identities: IdentityChain) -> Decode:
    def call_of(call: ApiCall) -> ApiCall:
        checked_time(call.time, "time")
        checked_client(call.client, "client")
        if not 0 <= call.status <= 999:
            raise invalid("status", "not a number from 0 to 999")
        if call.duration_ms is not None and call.duration_ms < 0:
            raise invalid("duration_ms", "below zero")
        if not call.endpoint:
            raise missing("endpoint")
        if len(call.endpoint) > LONGEST_ENDPOINT:
            raise invalid("endpoint", f"longer than {LONGEST_ENDPOINT} characters")
        if len(call.identity) > LONGEST_IDENTITY:
            raise invalid("identity", f"longer than {LONGEST_IDENTITY} characters")
        if call.address is not None and address_of(call.address) is None:
            raise invalid("address", "no address")
        if call.object_id is not None and call.object_id >> _CHECKSUM_BITS:
            raise invalid("object_id", f"not a number of {_CHECKSUM_BITS} bits")
        return call

    reader = json_reader(ApiCall, call_of, ApiCall.__struct_fields__)
    return record_decoder(API_CALL.name, reader, split_arrays)


GATEWATCH = Adapter("gatewatch", "gatewatch's own JSON object", _bind_gatewatch)
API_CALL = Adapter("api-call", "calls in wire form, as on the topic api-calls", _bind_api_call)
