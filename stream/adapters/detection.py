"""Format ``auto``: which format a record has, told from the record alone.

Nothing is remembered from record to record, so that every worker and every replay reads a record the same way. The
candidates follow from the first character and from a field that the format cannot do without; where several remain
(an NGINX log with fields of gatewatch's own format in it) the first of the table that reads every element wins, else
the one that reads most. All elements of one record are of one format.
"""

from collections.abc import Sequence
from typing import NoReturn

import msgspec

from featurizer.routes import RouteTemplates
from stream.adapters.apisix import APISIX
from stream.adapters.aws_apigateway import AWS_APIGATEWAY
from stream.adapters.combined import COMBINED
from stream.adapters.decoded import Adapter, Decode, Decoded, record_decoder, whole_reject
from stream.adapters.envoy import ENVOY
from stream.adapters.identities import IdentityChain
from stream.adapters.json_elements import is_json, split_objects
from stream.adapters.kong import KONG
from stream.adapters.nginx_json import NGINX_JSON
from stream.adapters.ocsf import OCSF
from stream.adapters.otlp import OTLP_JSON
from stream.adapters.own import API_CALL, GATEWATCH
from stream.adapters.traefik import TRAEFIK
from stream.dead_letters import Reason, Rejected

_OBJECTS = (
    (GATEWATCH, ("client",)),
    (NGINX_JSON, ("remote_addr",)),
    (KONG, ("started_at",)),
    (ENVOY, ("downstream_remote_address",)),
    (TRAEFIK, ("RequestPath",)),
    (APISIX, ("start_time",)),
    (AWS_APIGATEWAY, ("requestTime", "requestTimeEpoch")),
    (OTLP_JSON, ("resourceSpans", "resourceLogs", "startTimeUnixNano", "timeUnixNano", "observedTimeUnixNano")),
    (OCSF, ("class_uid",)),
)
"""Formats of JSON objects, in order of precedence, each with fields of which it needs one."""

_PLACES = {f"at_{place}": field for place, field in enumerate(field for _, fields in _OBJECTS for field in fields)}
"""Attributes of what `_top` returns, each with the field that it stands for."""

_ARRAY_OF_A_CALL = frozenset(b"[]0123456789")


def _bind(routes: RouteTemplates, identities: IdentityChain) -> Decode:
    places = {field: place for place, field in _PLACES.items()}
    objects = [
        ([(f'"{field}"'.encode(), places[field]) for field in fields], adapter.bind(routes, identities))
        for adapter, fields in _OBJECTS
    ]
    arrays = API_CALL.bind(routes, identities)
    lines = COMBINED.bind(routes, identities)

    def decode(value: bytes | None) -> Decoded:
        if value is None or not (text := value.lstrip()):
            return whole_reject(AUTO.name, value, Reason.UNDECODABLE, "empty record")
        if text[0] not in b"[{":
            return _named_unknown(lines(value))
        if text[0] == ord("[") and (inner := text[1:].lstrip()) and inner[0] in _ARRAY_OF_A_CALL:
            return arrays(value)
        best: Decoded | None = None
        top = _top(value) if text[0] == ord("{") else None
        for needed, reads in objects:
            if _has_one(needed, value, top):
                decoded = reads(value)
                if not decoded.rejects:
                    return decoded
                if best is None or len(decoded.calls) > len(best.calls):
                    best = decoded
        return best or _unknown(value)

    return decode


def _top(value: bytes) -> msgspec.Struct | None:
    """Return which of the fields one JSON object has, None for several.

    One pass finds them all, however many formats there are, and not in what a client sent: gateways log its headers
    and its query as objects within.
    """
    try:
        return _fields(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _has_one(needed: Sequence[tuple[bytes, str]], value: bytes, top: msgspec.Struct | None) -> bool:
    """Return whether a record has one of a format's fields, each given as it stands in JSON and by its place."""
    for field, place in needed:  # noqa: SIM110 -- asked for each format of each record: generators would take longest
        if field in value if top is None else getattr(top, place) is not msgspec.UNSET:
            return True
    return False


def _named_unknown(decoded: Decoded) -> Decoded:
    """Text of which no line is a log line is of an unknown format; a bad line among good ones is a bad line."""
    if not decoded.calls:
        decoded.rejects = [
            msgspec.structs.replace(reject, reason=Reason.UNKNOWN_FORMAT, detail="neither JSON nor a known log line")
            if reject.reason is Reason.UNDECODABLE
            else reject
            for reject in decoded.rejects
        ]
    return decoded


def _refuse(element: bytes) -> NoReturn:
    if is_json(element):
        raise Rejected(Reason.UNKNOWN_FORMAT, "no known gateway format has these fields")
    raise Rejected(Reason.UNDECODABLE, "no JSON")


AUTO = Adapter("auto", "whichever of the others fits, told for each record", _bind)
_unknown = record_decoder(AUTO.name, _refuse, split_objects)
_fields = msgspec.json.Decoder(
    msgspec.defstruct(
        "_Fields",
        [(place, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for place in _PLACES],
        rename=_PLACES,
        gc=False,
    )
).decode
