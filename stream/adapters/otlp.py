"""Format ``otlp-json``: HTTP spans and log records of OpenTelemetry, as the collector's kafka exporter writes them.

A record is what the exporter sends with ``encoding: otlp_json``, a batch: an object with ``resourceSpans`` or
``resourceLogs``. A span or a log record by itself is read too: as that dead letters hold them.

==================== =================================================================================================
start                a span's ``startTimeUnixNano``; a log record's ``timeUnixNano``, else ``observedTimeUnixNano``,
                     NANOSECONDS, as text or number; what is below a millisecond is cut off
duration             a span's ``endTimeUnixNano`` less its start
user                 ``user.id``, else ``enduser.id``
session              ``session.id``, which is what the client says
agent                ``user_agent.original``
address              ``client.address``, else ``network.peer.address``; with ``identity.trusted_hops`` that of
                     ``http.request.header.x-forwarded-for`` where it is recorded
method               ``http.request.method``
template             ``http.route``, else the path ``url.path`` by the rules
status               ``http.response.status_code``, optional
request id           of a span, trace id and span id. Of a log record none: the ids in it may be those that the client
                     sent (``traceparent``), and be the same for many requests
==================== =================================================================================================

Where an attribute is absent, its name from before the conventions of 2023 is looked for: ``http.method``,
``http.target`` (or ``http.url``), ``http.status_code``, ``http.user_agent``, ``http.client_ip``,
``net.sock.peer.addr``, ``net.peer.ip``.

Only spans of kind SERVER with an HTTP method are calls; all others are ignored, they are no mistake. A log record
without a method is a reject: its line may be in its body (``stream.adapters.envelopes``). The calls of a batch are in
the order of their starts, since spans are exported when they end.

Sources: opentelemetry-proto 1.x (``trace.proto``, ``logs.proto``, JSON encoding in ``docs/specification.md``: enums are
numbers; exporters of before wrote their names), semantic conventions 1.x (``docs/http/http-spans.md``,
``docs/non-normative/http-migration.md``).
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Generic, TypeVar

import msgspec

from featurizer.calls import ApiCall
from featurizer.identity import Identity
from featurizer.routes import RouteTemplates
from stream.adapters.decoded import MOST_ELEMENTS, Adapter, Decode, Decoded, Ignored, record_decoder
from stream.adapters.fields import (
    LONGEST_CLIENT,
    address_of,
    checked_path,
    checked_time,
    invalid,
    missing,
    request_id_of,
    status_of,
)
from stream.adapters.identities import IdentityChain
from stream.adapters.json_elements import json_reader, split_objects
from stream.adapters.times import EARLIEST, LATEST

_start = attrgetter("time")
_SERVER = frozenset({2, "SPAN_KIND_SERVER"})
_PATHS = ("url.path", "http.target", "url.full", "http.url")
_ADDRESSES = ("client.address", "http.client_ip", "network.peer.address", "net.sock.peer.addr", "net.peer.ip")
_AGENTS = ("user_agent.original", "http.user_agent")
_FORWARDED = ("http.request.header.x-forwarded-for", "http.request.header.x_forwarded_for")
_READ = frozenset(
    {
        *("http.request.method", "http.method", "http.route", "http.response.status_code", "http.status_code"),
        *("user.id", "enduser.id", "session.id", *_AGENTS, *_FORWARDED, *_PATHS, *_ADDRESSES),
    }
)

_LONGEST_NUMBER = 1 << 63  # of a protobuf int64

Piece = TypeVar("Piece")
_Nanoseconds = str | int | None


class _Value(msgspec.Struct, rename="camel", gc=False):
    """An attribute's value, of the kinds that are read."""

    string_value: str | None = None
    int_value: str | int | None = None
    array_value: "_Values | None" = None


class _Values(msgspec.Struct, gc=False):
    """A list of values: of a header."""

    values: tuple[_Value, ...] = ()


class _Attribute(msgspec.Struct, gc=False):
    key: str = ""
    value: _Value | None = None


class _Entry(msgspec.Struct, rename="camel", gc=False):
    """A span or a log record: only a span has a start."""

    attributes: tuple[_Attribute, ...] = ()
    kind: int | str = 0
    trace_id: str = ""
    span_id: str = ""
    start_time_unix_nano: _Nanoseconds = None
    end_time_unix_nano: _Nanoseconds = None
    time_unix_nano: _Nanoseconds = None
    observed_time_unix_nano: _Nanoseconds = None


class _Scope(msgspec.Struct, Generic[Piece], rename="camel"):
    spans: tuple[Piece, ...] = ()
    log_records: tuple[Piece, ...] = ()


class _Resource(msgspec.Struct, Generic[Piece], rename="camel"):
    scope_spans: tuple[_Scope[Piece], ...] = ()
    scope_logs: tuple[_Scope[Piece], ...] = ()


class _Export(msgspec.Struct, Generic[Piece], rename="camel"):
    """What the exporter sends, with the entries decoded or as they stand."""

    resource_spans: tuple[_Resource[Piece], ...] | None = None
    resource_logs: tuple[_Resource[Piece], ...] | None = None


_decode_export = msgspec.json.Decoder(_Export[_Entry]).decode
_take_apart = msgspec.json.Decoder(_Export[msgspec.Raw]).decode


def _bind(routes: RouteTemplates, identities: IdentityChain) -> Decode:
    call_of = _caller(routes, identities)
    closer = record_decoder(OTLP_JSON.name, json_reader(_Entry, call_of), _split)

    def decode(value: bytes | None) -> Decoded:
        decoded = Decoded([], [], OTLP_JSON.name)
        try:
            entries = _entries(_decode_export(value)) or ()  # type: ignore[arg-type]  # None raises, seen below
            for entry in entries:
                try:
                    decoded.calls.append(call_of(entry))
                except Ignored:
                    decoded.ignored += 1
        except Exception:  # noqa: BLE001 -- any bytes may come; the closer look gives each its reason
            entries = ()
        if not 0 < len(entries) <= MOST_ELEMENTS:
            decoded = closer(value)
            if not (decoded.calls or decoded.rejects or decoded.ignored):
                decoded.ignored = 1  # a batch of nothing
        if len(decoded.calls) > 1:
            decoded.calls.sort(key=_start)
        return decoded

    return decode


def _caller(routes: RouteTemplates, identities: IdentityChain) -> Callable[[_Entry], ApiCall]:
    target = routes.target
    client_of = identities.client_of(Identity.USER, Identity.SESSION, Identity.ADDRESS_AGENT)

    def call_of(entry: _Entry) -> ApiCall:
        is_span = entry.start_time_unix_nano is not None
        if is_span and entry.kind not in _SERVER:
            raise Ignored
        values = {attribute.key: _text(attribute.value) for attribute in entry.attributes if attribute.key in _READ}
        get = values.get
        method = get("http.request.method") or get("http.method")
        if method is None:
            if is_span:
                raise Ignored
            raise missing("http.request.method")
        status = status_of(get("http.response.status_code") or get("http.status_code") or "")
        route = get("http.route")
        path = _first(values, _PATHS)
        if path is None:
            if not route:
                raise missing("url.path (or http.route)")
            path = ""
        time, duration = _times(entry)
        address = identities.address(_first(values, _FORWARDED), _address(values))
        names = (get("user.id") or get("enduser.id"), get("session.id"), _first(values, _AGENTS))
        client, identity = client_of(names, address, status, "client.address")
        endpoint, object_id = target(method, checked_path(path, "url.path"), status, route)
        return ApiCall(
            time,
            client,
            endpoint,
            status,
            duration,
            request_id_of(f"{entry.trace_id}-{entry.span_id}") if is_span and entry.span_id else None,
            identity,
            address_of(address),
            object_id,
        )

    return call_of


def _split(value: bytes) -> list[bytes] | None:
    """Return the entries of an export, or of several in lines or an array; None when it is one entry itself."""
    whole = split_objects(value)
    found: list[bytes] = []
    for element in [value] if whole is None else whole:
        try:
            inside = _entries(_take_apart(element))
        except (msgspec.DecodeError, UnicodeDecodeError):
            inside = None
        found += [element] if inside is None else [bytes(entry) for entry in inside]
    return None if whole is None and found == [value] else found


def _entries(export: _Export[Piece]) -> list[Piece] | None:
    """Return the spans and log records; None for what is no export."""
    if export.resource_spans is None and export.resource_logs is None:
        return None
    found: list[Piece] = []
    for resource in export.resource_spans or ():
        for scope in resource.scope_spans:
            found += scope.spans
    for resource in export.resource_logs or ():
        for scope in resource.scope_logs:
            found += scope.log_records
    return found


def _text(value: _Value | None) -> str:
    """Return an attribute's value as text; empty for the kinds that no attribute read here has."""
    if value is None:
        return ""
    if value.string_value is not None:
        return value.string_value
    if value.array_value is not None:
        return ",".join(map(_text, value.array_value.values))
    number = value.int_value
    if number is None or isinstance(number, str):
        return number or ""
    return str(number) if -_LONGEST_NUMBER < number < _LONGEST_NUMBER else ""


def _first(values: dict[str, str], names: tuple[str, ...]) -> str | None:
    for name in names:  # not by a generator, which would take most of the time, several times for each entry
        if name in values:
            return values[name]
    return None


def _address(values: dict[str, str]) -> str:
    """Return the first address that can be one.

    ``client.address`` may come from a header, so that a client may write anything into it: it is passed over for the
    peer's, and cut where there is none.
    """
    given = [values[name] for name in _ADDRESSES if values.get(name)]
    fitting = (address for address in given if len(address) <= LONGEST_CLIENT and not address.isspace())
    return next(fitting, given[0][:LONGEST_CLIENT] if given else "")


def _times(entry: _Entry) -> tuple[int, float | None]:
    """Return the start in milliseconds, and how long the request took where that is recorded."""
    if entry.start_time_unix_nano is None:
        time, field = entry.time_unix_nano, "timeUnixNano"
        if not time or time == "0":
            time, field = entry.observed_time_unix_nano, "observedTimeUnixNano"
        return _milliseconds(_nanoseconds(time, field), field), None
    field = "startTimeUnixNano"
    start = _nanoseconds(entry.start_time_unix_nano, field)
    if entry.end_time_unix_nano is None:
        return _milliseconds(start, field), None
    took = _nanoseconds(entry.end_time_unix_nano, "endTimeUnixNano") - start
    return _milliseconds(start, field), took / 1_000_000 if 0 <= took < _LONGEST_NUMBER else None


def _nanoseconds(value: _Nanoseconds, field: str) -> int:
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= 20):
            raise invalid(field, "not nanoseconds")
        return int(value)
    if value is None:
        raise missing(field)
    return value


def _milliseconds(nanoseconds: int, field: str) -> int:
    time = nanoseconds // 1_000_000
    if EARLIEST <= time < LATEST:
        return time
    for unit, factor in (("seconds", 0.001), ("milliseconds", 1), ("microseconds", 1_000)):
        if EARLIEST * factor <= nanoseconds < LATEST * factor:
            raise invalid(field, f"not nanoseconds; the number looks like {unit}")
    return checked_time(time, field)


OTLP_JSON = Adapter("otlp-json", "OpenTelemetry HTTP spans and log records (collector, otlp_json)", _bind)
