"""Format ``kong``: what Kong's log serializer writes, by the plugins http-log, kafka-log, file-log, tcp-log, udp-log.

One record is one entry, or an array of entries (``queue.max_batch_size`` above 1). Fields, as in ``kong/pdk/log.lua``
(in old versions ``kong/plugins/log-serializers/basic.lua``):

======================== =============================================================================================
``started_at``           start of the request, epoch milliseconds
``request.method``
``request.uri``          as the client sent it, with query, which ends here
``response.status``      optional, a number
``latencies.request``    optional, milliseconds until the last byte of the answer
``request.id``           optional, since Kong 3.5; Kong's own, a client cannot choose it
``consumer``             with an ``authenticated_entity``, the consumer: its ``username``, else ``custom_id``, else
                         ``id``
``authenticated_entity`` its ``consumer_id``, the consumer where there is no other; its ``id``, the credential
``client_ip``            the address
======================== =============================================================================================

What to know:

- A consumer without ``authenticated_entity`` is the one of the option ``anonymous``: everybody who did not
  authenticate. Such calls are told apart by address (``set_anonymous_consumer`` in ``kong/plugins/key-auth``).
- The plugin ldap-auth makes the credential's id from a plain SHA-256 over name and password
  (``cache_key`` in ``kong/plugins/ldap-auth/access.lua``). Such an id goes no further.
- ``route.paths`` are prefixes or regular expressions, no templates (Kong/kong#677), and are not read. Nor are
  ``upstream_uri`` (rewritten), ``correlation_id`` (the client's, if it sent one) and ``trace_id`` (of several calls).
- ``latencies.proxy`` is -1 where Kong answered itself; ``latencies.request`` holds for those calls too.
- Entries of the stream proxy (TCP, TLS) have a ``session`` and no ``request``: calls to ``{malformed}``, as any client
  can open a connection. Give the plugin ``protocols`` without them.
- Kong loses what its queue holds when it restarts (Kong/kong#6790) and can be hours late (Kong/kong#5164).
"""

import msgspec

from featurizer.calls import ApiCall
from featurizer.identity import Identity
from featurizer.routes import RouteTemplates
from stream.adapters.decoded import Adapter, Decode, record_decoder
from stream.adapters.fields import address_of, checked_path, checked_time, missing, request_id_of
from stream.adapters.identities import IdentityChain
from stream.adapters.json_elements import json_reader, split_objects
from stream.adapters.values import duration_of, status_number, whole_milliseconds

_HASH_OF_A_PASSWORD = "ldap_auth_cache:"  # noqa: S105 -- how such ids begin, no password
_Text = str | None


class _Request(msgspec.Struct, gc=False):
    method: str
    uri: str
    id: _Text = None


class _Response(msgspec.Struct, gc=False):
    status: int | None = None


class _Latencies(msgspec.Struct, gc=False):
    request: int | float | None = None


class _Consumer(msgspec.Struct, gc=False):
    username: _Text = None
    custom_id: _Text = None
    id: _Text = None


class _Entity(msgspec.Struct, gc=False):
    consumer_id: _Text = None
    id: _Text = None


class _Session(msgspec.Struct, gc=False):
    """What the stream proxy writes of a connection; nothing of it is read."""


class _Entry(msgspec.Struct, gc=False):
    """The fields that are read; see the module's table."""

    started_at: int | float
    request: _Request | None = None
    response: _Response | None = None
    latencies: _Latencies | None = None
    client_ip: _Text = None
    consumer: _Consumer | None = None
    authenticated_entity: _Entity | None = None
    session: _Session | None = None


_STREAM = _Request("", "")


def _bind(routes: RouteTemplates, identities: IdentityChain) -> Decode:
    target = routes.target
    client_of = identities.client_of(Identity.CONSUMER, Identity.CREDENTIAL)

    def call_of(entry: _Entry) -> ApiCall:
        request = entry.request
        if request is None:
            if entry.session is None:
                raise missing("request")
            request = _STREAM
        status = status_number(entry.response.status) if entry.response is not None else 0
        client, identity = client_of(_names(entry), entry.client_ip, status, "client_ip")
        endpoint, object_id = target(request.method, checked_path(request.uri, "request.uri"), status)
        return ApiCall(
            checked_time(whole_milliseconds(entry.started_at), "started_at"),
            client,
            endpoint,
            status,
            duration_of(entry.latencies.request, "latencies.request") if entry.latencies is not None else None,
            request_id_of(request.id),
            identity,
            address_of(entry.client_ip),
            object_id,
        )

    return record_decoder(KONG.name, json_reader(_Entry, call_of), split_objects)


def _names(entry: _Entry) -> tuple[str | None, str | None]:
    """Return consumer and credential of who authenticated; neither where nobody did, whatever the consumer."""
    entity, consumer = entry.authenticated_entity, entry.consumer
    if entity is None:
        return None, None
    name = (consumer.username or consumer.custom_id or consumer.id) if consumer is not None else None
    credential = entity.id
    if credential is not None and credential.startswith(_HASH_OF_A_PASSWORD):
        credential = None
    return name or entity.consumer_id, credential


KONG = Adapter("kong", "Kong's log plugins (http-log, kafka-log, file-log)", _bind)
