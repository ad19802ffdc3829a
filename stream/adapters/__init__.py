"""Adapters: one for each gateway log format, from a record's bytes to calls.

Query strings, bodies and headers end here: a call holds time, client and what its name is, endpoint, status, duration,
request id, address, and of the ids in its path a checksum. Clients and addresses can have pseudonyms from here on.
"""

from collections.abc import Mapping

from featurizer.routes import RouteTemplates
from stream.adapters.apisix import APISIX
from stream.adapters.aws_apigateway import AWS_APIGATEWAY
from stream.adapters.combined import COMBINED
from stream.adapters.decoded import Adapter, Decode, Decoded, Reject
from stream.adapters.detection import AUTO
from stream.adapters.envelopes import opening_envelopes
from stream.adapters.envoy import ENVOY
from stream.adapters.identities import IdentityChain
from stream.adapters.kong import KONG
from stream.adapters.nginx_json import NGINX_JSON
from stream.adapters.ocsf import OCSF
from stream.adapters.otlp import OTLP_JSON
from stream.adapters.own import API_CALL, GATEWATCH
from stream.adapters.pseudonyms import Pseudonyms, pseudonymising
from stream.adapters.traefik import TRAEFIK

__all__ = ["FORMATS", "Adapter", "Decode", "Decoded", "IdentityChain", "Pseudonyms", "Reject", "decoder"]

FORMATS: Mapping[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        GATEWATCH,
        API_CALL,
        NGINX_JSON,
        COMBINED,
        KONG,
        APISIX,
        TRAEFIK,
        ENVOY,
        AWS_APIGATEWAY,
        OTLP_JSON,
        OCSF,
        AUTO,
    )
}
"""The input formats by the name that settings use."""


def decoder(
    format: str,  # noqa: A002 -- the word that settings use
    routes: RouteTemplates,
    identities: IdentityChain = IdentityChain(),  # noqa: B008 -- frozen
    pseudonyms: Pseudonyms | None = None,
) -> Decode:
    """Return the function that decodes the records of one format, in envelopes (``stream.adapters.envelopes``) too.

    The function takes a record's value (None for a tombstone) and never raises, whatever the bytes.

    Args:
        format: name of the format.
        routes: which paths are one endpoint.
        identities: which names come first.
        pseudonyms: for clients and addresses; None to leave them as they are logged.

    Raises:
        ValueError: there is no such format; the message lists those there are.
    """
    try:
        adapter = FORMATS[format]
    except KeyError:
        raise ValueError(f"no input format {format!r}; there are {', '.join(FORMATS)}") from None
    decode = opening_envelopes(adapter.bind(routes, identities))
    return decode if pseudonyms is None else pseudonymising(decode, pseudonyms)
