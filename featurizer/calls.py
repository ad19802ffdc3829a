"""ApiCall: one call of a client to an API, as every later stage sees it."""

import msgspec

UNMATCHED_ROUTE = "{unmatched}"
"""Route of a call that no route of the API answered (HTTP 404): a scanner must not mint endpoints."""


_WRITES = ("POST ", "PUT ", "PATCH ", "DELETE ")
_UNMATCHED = f" {UNMATCHED_ROUTE}"


def is_write(endpoint: str) -> bool:
    """Return whether an endpoint's method changes what it names."""
    return endpoint.startswith(_WRITES)


def is_unmatched(endpoint: str) -> bool:
    """Return whether an endpoint stands for the calls that no route answered."""
    return endpoint.endswith(_UNMATCHED)


class ApiCall(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One API call; who, what, when and how it ended.

    The wire form on the topic ``api-calls`` is the JSON array of the fields in this order. Fields may be added
    at the end, with a default, and never reordered.

    Attributes:
        time: start of the call, event time, milliseconds since the epoch (UTC).
        client: identity of the caller; the key of the record and of its sessions.
        endpoint: HTTP method and route template, for example ``GET /orders/{id}``: a node of the call graph.
        status: HTTP response status code, 0 when the gateway recorded none.
        duration_ms: time the gateway took to answer, milliseconds, when recorded.
        request_id: the gateway's id of the request, when recorded; used to drop exact duplicates.
        identity: what ``client`` is, a value of ``featurizer.identity``; empty when not known. A plain text here, so
            that a worker reads the calls of one that knows more kinds.
        address: network address that the call came from, when recorded.
        object_id: 32-bit checksum of what the path had at the route's parameters: which object was asked for, without
            its id. None when the route has no parameter.
    """

    time: int
    client: str
    endpoint: str
    status: int = 0
    duration_ms: float | None = None
    request_id: str | None = None
    identity: str = ""
    address: str | None = None
    object_id: int | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(ApiCall)


def encode_call(call: ApiCall) -> bytes:
    """Return the wire form of a call."""
    return _encoder.encode(call)


def decode_call(data: bytes) -> ApiCall:
    """Return the call of a wire form.

    Raises:
        msgspec.DecodeError: the bytes are not the wire form of a call; the message names the field.
        UnicodeDecodeError: a text in it is not UTF-8.
    """
    return _decoder.decode(data)
