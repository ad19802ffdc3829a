"""Format ``auto``: which format a record has, told from the record alone.

Nothing is remembered from record to record, so that every worker and every replay reads a record the same way. The
candidates follow from the first character and from a field that the format cannot do without; where several remain
(an NGINX log with fields of gatewatch's own format in it) the first of the table that reads every element wins, else
the one that reads most. All elements of one record are of one format.
"""

from typing import NoReturn

import msgspec

from featurizer.routes import RouteTemplates
from stream.adapters.aws_apigateway import AWS_APIGATEWAY
from stream.adapters.combined import COMBINED
from stream.adapters.decoded import Adapter, Decode, Decoded, record_decoder, whole_reject
from stream.adapters.json_elements import is_json, split_objects
from stream.adapters.nginx_json import NGINX_JSON
from stream.adapters.ocsf import OCSF
from stream.adapters.otlp import OTLP_JSON
from stream.adapters.own import API_CALL, GATEWATCH
from stream.dead_letters import Reason, Rejected

_OBJECTS = (
    (GATEWATCH, b'"client"'),
    (NGINX_JSON, b'"remote_addr"'),
    (AWS_APIGATEWAY, b'"requestTime'),  # and requestTimeEpoch
    (OTLP_JSON, b'imeUnixNano"'),  # every span and log record has one
    (OCSF, b'"class_uid"'),
)
"""Formats of JSON objects, in order of precedence, each with a field that it needs."""

_ARRAY_OF_A_CALL = frozenset(b"[]0123456789")


def _bind(routes: RouteTemplates) -> Decode:
    objects = [(marker, adapter.bind(routes)) for adapter, marker in _OBJECTS]
    arrays = API_CALL.bind(routes)
    lines = COMBINED.bind(routes)

    def decode(value: bytes | None) -> Decoded:
        if value is None or not (text := value.lstrip()):
            return whole_reject(AUTO.name, value, Reason.UNDECODABLE, "empty record")
        if text[0] not in b"[{":
            return _named_unknown(lines(value))
        if text[0] == ord("[") and (inner := text[1:].lstrip()) and inner[0] in _ARRAY_OF_A_CALL:
            return arrays(value)
        best: Decoded | None = None
        for marker, reads in objects:
            if marker in value:
                decoded = reads(value)
                if not decoded.rejects:
                    return decoded
                if best is None or len(decoded.calls) > len(best.calls):
                    best = decoded
        return best or _unknown(value)

    return decode


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
