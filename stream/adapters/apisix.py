"""Format ``apisix``: what Apache APISIX's kafka-logger and http-logger write with ``meta_format`` ``default``.

One record is an array of entries, or one entry where ``batch_max_size`` is 1 (apache/apisix#7198). Fields, as in
``get_full_log`` of ``apisix/utils/log-util.lua``:

====================== ===============================================================================================
``start_time``         start of the request, epoch milliseconds
``request.method``
``request.uri``        as the client sent it, with query, which ends here
``response.status``    optional, a number
``latency``            optional, milliseconds until the answer, with fraction; a clock set back makes it negative
``consumer.username``  the consumer; else ``consumer.consumer_name``
``client_ip``          the address
``request_id``         optional; APISIX writes none by itself. Since 3.18 ``log_format_extra`` can add NGINX's own
====================== ===============================================================================================

What to know:

- Up to 2.10 ``consumer`` is the whole object, with its plugins and their secrets (apache/apisix#5445): only the two
  names are read.
- The header ``X-Request-Id`` of the plugin request-id is the client's, if it sent one, and is not read.
- ``route_id`` and ``service_id`` name configuration, not paths; a path without a route has the host as ``service_id``.
- The calls of an ``anonymous_consumer`` cannot be told from others of a consumer: they are one client.
- All records have the plugin's constant ``key``, so that one partition has them all; gatewatch keys calls anew.
- The Kafka timestamp is -1 unless ``api_version`` is 2 (apache/apisix#13521): gatewatch then takes its own clock for
  when a record came.
- A batch that failed is sent again or dropped (apache/apisix#4829); without a request id copies count.
- A ``log_format`` of your own replaces these fields: with NGINX's names it is format ``nginx-json``. ``meta_format``
  ``origin`` is a raw request, without time and status, and no log entry.
"""

import msgspec

from featurizer.calls import ApiCall
from featurizer.identity import Identity
from featurizer.routes import RouteTemplates
from stream.adapters.decoded import Adapter, Decode, record_decoder
from stream.adapters.fields import address_of, checked_path, checked_time, request_id_of
from stream.adapters.identities import IdentityChain
from stream.adapters.json_elements import json_reader, split_objects
from stream.adapters.values import duration_of, status_number, whole_milliseconds

_Text = str | None


class _Request(msgspec.Struct, gc=False):
    method: str
    uri: str


class _Response(msgspec.Struct, gc=False):
    status: int | None = None


class _Consumer(msgspec.Struct, gc=False):
    username: _Text = None
    consumer_name: _Text = None


class _Entry(msgspec.Struct, gc=False):
    """The fields that are read; see the module's table."""

    start_time: int | float
    request: _Request
    response: _Response | None = None
    latency: int | float | None = None
    client_ip: _Text = None
    consumer: _Consumer | None = None
    request_id: _Text = None


def _bind(routes: RouteTemplates, identities: IdentityChain) -> Decode:
    target = routes.target
    client_of = identities.client_of(Identity.CONSUMER)

    def call_of(entry: _Entry) -> ApiCall:
        request = entry.request
        status = status_number(entry.response.status) if entry.response is not None else 0
        consumer = entry.consumer
        name = None if consumer is None else consumer.username or consumer.consumer_name
        client, identity = client_of((name,), entry.client_ip, status, "client_ip")
        endpoint, object_id = target(request.method, checked_path(request.uri, "request.uri"), status)
        return ApiCall(
            checked_time(whole_milliseconds(entry.start_time), "start_time"),
            client,
            endpoint,
            status,
            duration_of(entry.latency, "latency"),
            request_id_of(entry.request_id),
            identity,
            address_of(entry.client_ip),
            object_id,
        )

    return record_decoder(APISIX.name, json_reader(_Entry, call_of), split_objects)


APISIX = Adapter("apisix", "Apache APISIX's kafka-logger and http-logger, default format", _bind)
