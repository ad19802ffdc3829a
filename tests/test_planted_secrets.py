"""What must go no further than the first stage: secrets are planted in records, and looked for on every output topic.

The corpus of every format and records with secrets in all places that a client or a gateway could put one go through
the two roles, without a broker; what they would write is searched byte by byte.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import pytest

from featurizer.routes import RouteTemplates
from featurizer.sessions import CloseReason
from stream import assembly
from stream.adapters import FORMATS, decoder
from stream.app import Role
from stream.assembly import Models
from stream.checkpoints import StateTopics, checkpoint
from stream.dead_letters import Reason
from stream.encodings.records import FORMS, alert_record
from stream.records import TopicPartition
from stream.roles import DetectStage, NormaliseStage
from stream.settings import Settings, load_settings
from stream.wire import Outgoing
from stream.worker import assemble
from tests import golden_records
from tests import identity_records as own
from tests.model_factory import make_bundle
from tests.records import NOW, Made, plain_judge

PLANT = "S3cr3t-"
"""How every planted secret begins; those of the corpus all say ``secret``."""
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJTM2NyM3QtIn0.UzNjcjN0LVMzY3IzdC0"  # noqa: S105 -- to be found
TARGET = f"/orders/{TOKEN}/items/42;sid={PLANT}matrix?token={PLANT}query&mail=ann@{PLANT}.example#{PLANT}fragment"
SENT = {
    "authorization": f"Bearer {PLANT}token",
    "cookie": f"sid={PLANT}cookie",
    "x-api-key": f"{PLANT}key",
    "referer": f"https://a.example/?token={PLANT}referer",
    "user-agent": f"{PLANT}agent",
}
BODY = json.dumps({"password": f"{PLANT}body"})
ORDER = "session,consumer,subject,user,credential,address_agent,address"
KEYS: dict[str, Any] = {"privacy.current": "k2", "privacy.hmac_keys": f"k1={'1' * 32},k2={'2' * 32}"}


def planted() -> dict[str, list[bytes]]:
    """Return records of each format with secrets in them."""
    message = {"method": "GET", "uri": TARGET, "url": f"https://u:{PLANT}@a.example{TARGET}", "headers": SENT}
    message |= {"querystring": {"token": f"{PLANT}query"}, "body": BODY}
    answer = {"status": 200, "headers": {"set-cookie": f"sid={PLANT}set"}, "body": BODY}
    consumer = {"username": "shop", "auth_conf": {"key": f"{PLANT}key"}, "plugins": {"key-auth": SENT}}
    sent = {f"request_{name.title()}": text for name, text in SENT.items()}
    variables = {f"http_{name.replace('-', '_')}": text for name, text in SENT.items()}
    attributes = {f"http.request.header.{name}": [text] for name, text in SENT.items()}
    made: dict[str, dict[str, Any]] = {
        "gatewatch": {"time": NOW, "client": "ann", "method": "GET", "path": TARGET, "headers": SENT, "body": BODY},
        "nginx-json": {
            **(own.NGINX | {"path": TARGET, "cookie_session": f"{PLANT}session"}),
            **(variables | {"args": f"token={PLANT}", "request": f"GET {TARGET} HTTP/1.1", "request_body": BODY}),
        },
        "kong": own.KONG | {"request": message, "response": answer, "upstream_uri": TARGET},
        "apisix": own.APISIX | {"request": message, "response": answer, "consumer": consumer},
        "traefik": own.TRAEFIK | sent | {"RequestPath": TARGET, "downstream_Set-Cookie": f"sid={PLANT}set"},
        "envoy": own.ENVOY | SENT | {"path": TARGET, "user_agent": f"{PLANT}agent"},
        "aws-apigateway": {
            **(own.AWS | {"path": TARGET, "resourcePath": "/{proxy+}", "userAgent": f"{PLANT}agent"}),
            "authorizerToken": f"{PLANT}token",
        },
        "otlp-json": own.span(
            own.OTLP_ATTRIBUTES
            | attributes
            | {"url.path": TARGET, "url.query": f"token={PLANT}", "url.full": f"https://u:{PLANT}@a.example{TARGET}"}
            | {"user_agent.original": f"{PLANT}agent", "session.id": f"{PLANT}session", "http.request.body": BODY}
        ),
        "ocsf": own.OCSF
        | {
            "actor": {"user": {"uid": "ann"}, "session": {"uid": f"{PLANT}session"}},
            "api": {"operation": f"GET {TARGET}", "request": {"data": BODY}},
            "http_request": {
                "url": {"path": TARGET, "query_string": f"token={PLANT}"},
                "user_agent": f"{PLANT}agent",
                "http_headers": [{"name": name, "value": text} for name, text in SENT.items()],
            },
        },
    }
    lines = {name: json.dumps(record) for name, record in made.items()}
    agent, referer = SENT["user-agent"], SENT["referer"]
    lines["combined"] = (
        own.COMBINED.replace("GET /", f"GET {TARGET}").replace(own.AGENT, agent).replace('https://a/\\"b\\"', referer)
    )
    found = {name: [line.encode()] for name, line in lines.items()}
    for name, line in lines.items():
        shipped = {"log": line, "stream": "stdout", "attrs": SENT}
        found[name] += [json.dumps(shipped).encode(), f'{{"half": "{PLANT}'.encode()]
    return found


@cache
def corpus() -> Mapping[str, list[bytes | None]]:
    """Return the records of each format."""
    records: dict[str, list[bytes | None]] = defaultdict(list)
    for file in golden_records.files():
        records[file.parent.name] += golden_records.records(file)
    for name, more in planted().items():
        records[name] += more
    return records


def settings_of(**changes: Any) -> Settings:
    """Return settings with a topic for each format, read as keyed by client, and one for each that is not."""
    inputs: list[dict[str, Any]] = [{"topic": name, "format": name} for name in FORMATS]
    inputs += [{"topic": f"keyed-{name}", "format": name, "keyed": True} for name in FORMATS]
    lively = {"sessions.first_vector_calls": 2, "alerts.cooldown_s": 0, "identity.order": ORDER}
    return load_settings(overrides={"inputs": inputs, **lively, **changes})


def records_of(prefix: str = "") -> list[Made]:
    """Return the corpus as records, keyed with what a shipper may use: the address."""
    return [
        Made(record, at, TopicPartition(prefix + name, 0), NOW, own.PEER.encode())
        for name, records in corpus().items()
        for at, record in enumerate(records)
    ]


def outputs(settings: Settings) -> dict[str, list[bytes]]:
    """Return all that a worker would write, by topic: of the topic of anomalies each encoding by itself."""
    normalise, detect = (leg.stage for leg in assemble(settings, Models(make_bundle()), Role.ALL).legs)
    assert isinstance(normalise, NormaliseStage)
    assert isinstance(detect, DetectStage)
    detector = detect.detector
    detector.judge = plain_judge(0.0, 0.0)
    written = normalise.encode(normalise.normaliser.normalise(records_of()))
    calls = [record for record in written if record.topic == settings.topics.api_calls]
    read = [
        *(Made(call.value, at, TopicPartition(call.topic, 0), NOW, call.key) for at, call in enumerate(calls)),
        *records_of("keyed-"),
    ]
    names = sorted({TopicPartition(record.topic(), 0) for record in read})
    for name in names:
        detector.assign(name)
    batch = detector.sessionize(read)
    detector.score(batch)
    topics = StateTopics(settings.topics.state, settings.topics.degrees)
    for name in names:
        written += checkpoint(detector.partitions[name], topics, 1)
    last = detector.close(names, CloseReason.END_OF_INPUT)
    detector.score(last)
    for each in (batch, last):
        written += detect.encode(each)
        for alert in each.alerts:
            written += [alert_record(f"anomalies {encoding}", alert, NOW, encoding) for encoding in FORMS]
    found: dict[str, list[bytes]] = defaultdict(list)
    for record in written:
        found[record.topic].append(bytes_of(record))
    return found


def bytes_of(record: Outgoing) -> bytes:
    """Return everything of a record: key, value, headers."""
    headers = [text if isinstance(text, bytes) else text.encode() for pair in record.headers for text in pair]
    return b"\0".join([record.key or b"", record.value or b"", *headers])


@pytest.fixture(scope="module")
def plain() -> dict[str, list[bytes]]:
    return outputs(settings_of())


@pytest.fixture(scope="module")
def pseudonymous() -> dict[str, list[bytes]]:
    return outputs(settings_of(**KEYS, **{"dead_letters.originals": False}))


def found_in(written: Mapping[str, Iterable[bytes]], secrets: Iterable[str], but: str = "") -> list[tuple[str, str]]:
    """Return which secrets are on which topics."""
    return [
        (topic, secret)
        for topic, records in written.items()
        if topic != but
        for secret in secrets
        if any(secret.encode() in record for record in records)
    ]


SECRETS = (PLANT, "secret", "UzNjcjN0LV", TOKEN)


def test_every_topic_of_records_is_searched_and_every_format_is_on_it(plain: dict[str, list[bytes]]) -> None:
    assert set(plain) == {
        *("api-calls", "features", "dead-letters", "state", "degrees", "anomalies"),
        *(f"anomalies {encoding}" for encoding in ("ocsf", "ecs", "cef")),
    }
    for name in FORMATS:
        assert any(f"keyed-{name}".encode() in record for record in plain["anomalies ocsf"]), name
    assert all(name in corpus() for name in FORMATS)


def test_no_planted_secret_is_on_any_topic_but_that_of_dead_letters(plain: dict[str, list[bytes]]) -> None:
    assert found_in(plain, SECRETS, but="dead-letters") == []


def test_dead_letters_hold_what_came(plain: dict[str, list[bytes]]) -> None:
    assert ("dead-letters", PLANT) in found_in(plain, SECRETS)


def test_without_originals_no_topic_holds_a_planted_secret(pseudonymous: dict[str, list[bytes]]) -> None:
    assert found_in(pseudonymous, SECRETS) == []
    assert len(pseudonymous["dead-letters"]) > len(FORMATS)


def clients() -> set[str]:
    """Return the clients and the addresses of the corpus, but for those that are part of an endpoint or a reason."""
    found: set[str] = set()
    endpoints: set[str] = set()
    chain = assembly.identity_chain(settings_of())
    for name, records in corpus().items():
        decode = decoder(name, RouteTemplates(), chain)
        for call in (call for record in records for call in decode(record).calls):
            found |= {call.client, call.address or call.client}
            endpoints.add(call.endpoint)
    told = "\n".join([*endpoints, *Reason])
    return {name for name in found if len(name) > 4 and name not in told}


def test_with_keys_no_topic_holds_a_client_or_an_address_as_it_was_logged(
    pseudonymous: dict[str, list[bytes]], plain: dict[str, list[bytes]]
) -> None:
    names = clients()

    assert found_in(pseudonymous, names) == []
    assert len({secret for _, secret in found_in(plain, names)}) == len(names) > 20


def test_with_keys_sessions_are_what_they_were(
    pseudonymous: dict[str, list[bytes]], plain: dict[str, list[bytes]]
) -> None:
    for topic in ("api-calls", "features", "anomalies ocsf", "state"):
        assert len(pseudonymous[topic]) == len(plain[topic])
