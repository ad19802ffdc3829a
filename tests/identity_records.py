"""Records that hold every name of a client that their format has, and which names these are."""

import json
from typing import Any

from featurizer.identity import Identity
from stream.adapters.identities import session_name, with_agent

PEER, CLIENT, PROXY = "192.0.2.7", "203.0.113.9", "198.51.100.1"
AGENT = "Mozilla/5.0 (agent)"
COOKIE = "c00kie-of-a-session"
TIME = 1_700_000_000_123
START = "2023-11-14T22:13:20.123Z"
ALL = (
    *(Identity.SESSION, Identity.CONSUMER, Identity.SUBJECT, Identity.USER, Identity.CREDENTIAL),
    *(Identity.ADDRESS_AGENT, Identity.ADDRESS),
)

NGINX = {
    "msec": "1700000000.123",
    "remote_addr": PEER,
    "request_method": "GET",
    "path": "/",
    "status": "200",
    "remote_user": "ann",
    "jwt_claim_sub": "sub-1",
    "api_client_name": "key-1",
    "cookie_session": COOKIE,
    "http_user_agent": AGENT,
    "http_x_forwarded_for": f"6.6.6.6, {CLIENT}, {PROXY}",
}
KONG = {
    "started_at": TIME,
    "request": {"method": "GET", "uri": "/"},
    "response": {"status": 200},
    "client_ip": PEER,
    "consumer": {"username": "shop"},
    "authenticated_entity": {"id": "key-1"},
}
APISIX = {
    "start_time": TIME,
    "request": {"method": "GET", "uri": "/"},
    "response": {"status": 200},
    "client_ip": PEER,
    "consumer": {"username": "shop"},
}
TRAEFIK = {
    "StartUTC": START,
    "RequestMethod": "GET",
    "RequestPath": "/",
    "DownstreamStatus": 200,
    "ClientUsername": "ann",
    "ClientAddr": f"{PEER}:4711",
    "ClientHost": f"6.6.6.6, {CLIENT}, {PROXY}",
    "request_User-Agent": AGENT,
}
ENVOY = {
    "start_time": START,
    "method": "GET",
    "path": "/",
    "response_code": 200,
    "sub": "sub-1",
    "user_agent": AGENT,
    "downstream_remote_address": f"{PEER}:4711",
    "x_forwarded_for": f"6.6.6.6,{CLIENT},{PROXY},{PEER}",
}
AWS = {
    "requestTimeEpoch": str(TIME),
    "ip": PEER,
    "httpMethod": "GET",
    "resourcePath": "/",
    "status": "200",
    "sub": "sub-1",
    "user": "ann",
    "apiKeyId": "key-1",
    "userAgent": AGENT,
}
OTLP_ATTRIBUTES: dict[str, Any] = {
    "http.request.method": "GET",
    "url.path": "/",
    "user.id": "ann",
    "session.id": COOKIE,
    "user_agent.original": AGENT,
    "client.address": PEER,
    "http.response.status_code": "200",
    "http.request.header.x-forwarded-for": ["6.6.6.6", CLIENT, PROXY],
}
OCSF = {
    "class_uid": 6003,
    "time": TIME,
    "api": {"operation": "GET /"},
    "src_endpoint": {"ip": PEER},
    "http_request": {
        "http_method": "GET",
        "url": {"path": "/"},
        "user_agent": AGENT,
        "x_forwarded_for": [CLIENT, PROXY],
    },
    "actor": {"user": {"uid": "ann", "credential_uid": "key-1"}, "session": {"uid": COOKIE}},
    "http_response": {"code": 200},
}
COMBINED = f'{PEER} - ann [14/Nov/2023:22:13:20 +0000] "GET / HTTP/1.1" 200 5 "https://a/\\"b\\"" "{AGENT}" 0.100'


def span(attributes: dict[str, Any]) -> dict[str, Any]:
    """Return a server span; lists are lists of texts."""

    def value(found: Any) -> dict[str, Any]:
        if isinstance(found, list):
            return {"arrayValue": {"values": [{"stringValue": item} for item in found]}}
        return {"stringValue": found}

    listed = [{"key": name, "value": value(found)} for name, found in attributes.items()]
    return {"kind": 2, "startTimeUnixNano": f"{TIME}000000", "attributes": listed}


RECORDS: dict[str, bytes] = {
    "nginx-json": json.dumps(NGINX).encode(),
    "combined": COMBINED.encode(),
    "kong": json.dumps(KONG).encode(),
    "apisix": json.dumps(APISIX).encode(),
    "traefik": json.dumps(TRAEFIK).encode(),
    "envoy": json.dumps(ENVOY).encode(),
    "aws-apigateway": json.dumps(AWS).encode(),
    "otlp-json": json.dumps(span(OTLP_ATTRIBUTES)).encode(),
    "ocsf": json.dumps(OCSF).encode(),
}
NAMES: dict[str, dict[Identity, str]] = {
    "nginx-json": {
        Identity.USER: "ann",
        Identity.SUBJECT: "sub-1",
        Identity.CREDENTIAL: "key-1",
        Identity.SESSION: session_name(COOKIE),
        Identity.ADDRESS_AGENT: with_agent(PEER, AGENT),
    },
    "combined": {Identity.USER: "ann", Identity.ADDRESS_AGENT: with_agent(PEER, AGENT)},
    "kong": {Identity.CONSUMER: "shop", Identity.CREDENTIAL: "key-1"},
    "apisix": {Identity.CONSUMER: "shop"},
    "traefik": {Identity.USER: "ann", Identity.ADDRESS_AGENT: with_agent(PROXY, AGENT)},
    "envoy": {Identity.SUBJECT: "sub-1", Identity.ADDRESS_AGENT: with_agent(PEER, AGENT)},
    "aws-apigateway": {
        Identity.SUBJECT: "sub-1",
        Identity.USER: "ann",
        Identity.CREDENTIAL: "key-1",
        Identity.ADDRESS_AGENT: with_agent(PEER, AGENT),
    },
    "otlp-json": {
        Identity.USER: "ann",
        Identity.SESSION: session_name(COOKIE),
        Identity.ADDRESS_AGENT: with_agent(PEER, AGENT),
    },
    "ocsf": {
        Identity.USER: "ann",
        Identity.CREDENTIAL: "key-1",
        Identity.SESSION: session_name(COOKIE),
        Identity.ADDRESS_AGENT: with_agent(PEER, AGENT),
    },
}
"""What each format can tell besides the address."""
