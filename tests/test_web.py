import asyncio
import io
import json
import math
import socket
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import aiohttp
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from featurizer.degrees import DegreeTable, GlobalDegrees
from featurizer.features import ACCESS_BEHAVIOUR_V1
from featurizer.graph import CallGraph
from scorer.judge import Judge
from stream.app import create_app
from stream.settings import load_settings
from stream.telemetry import Telemetry
from stream.web.answers import answer_metrics, answer_ready, authorised
from stream.web.description import describe
from stream.web.models import ScoreAnswer, ScoreRequest
from stream.web.pages import Site, add_pages
from stream.web.scoring import MAX_BODY_BYTES, answer_score, known
from tests.model_factory import make_bundle, make_rows

SESSION = ["POST /login", "GET /orders", "GET /orders/{id}", "GET /orders", "GET /orders/{id}", "GET /orders/{id}"]


@dataclass
class Worker:
    """What a worker has: a model and degree tables that have seen some traffic."""

    judge: Judge
    degrees: GlobalDegrees


@pytest.fixture(scope="module")
def worker() -> Worker:
    degrees = GlobalDegrees()
    table = DegreeTable(degrees, max_endpoints=100)
    for source, destination in [*pairwise(SESSION), *pairwise(["GET /a", "GET /b", "GET /a"])] * 40:
        table.add(table.number(source), table.number(destination))
    return Worker(Judge(make_bundle()), degrees)


def post(worker: Worker | None, **body: Any) -> tuple[int, dict[str, Any]]:
    """Return status code and answer to a score request."""
    answer = answer_score(json.dumps(body).encode(), worker, ("OPTIONS",))
    return answer.status, json.loads(answer.body)


def test_a_session_gets_the_verdict_of_the_model_on_its_features(worker: Worker) -> None:
    status, answer = post(worker, calls=SESSION)
    values = CallGraph.of_calls(SESSION).values(worker.degrees)
    (score,) = worker.judge.bundle.score([values])

    assert status == 200
    assert answer["score"] == pytest.approx(score, abs=1e-12)
    assert answer["threshold"] == 0.5
    assert answer["anomalous"] == (score >= 0.5)
    assert answer["readiness"] == "ready"
    assert answer["model"] == worker.judge.bundle.uid
    assert list(answer["features"].values()) == [None if math.isnan(value) else value for value in values]


def test_the_explanation_adds_up_to_the_score(worker: Worker) -> None:
    _, answer = post(worker, calls=SESSION)
    raw = answer["base"] + sum(item["contribution"] for item in answer["explanation"])
    strengths = [abs(item["contribution"]) for item in answer["explanation"]]

    assert 1 / (1 + math.exp(-raw)) == pytest.approx(answer["score"], abs=1e-9)
    assert {item["feature"] for item in answer["explanation"]} == set(ACCESS_BEHAVIOUR_V1.names)
    assert strengths == sorted(strengths, reverse=True)
    assert all(item["usual_low"] <= item["usual_high"] for item in answer["explanation"])


def test_the_reasons_are_the_groups_of_features_that_raised_the_score(worker: Worker) -> None:
    _, answer = post(worker, calls=SESSION)
    sums: defaultdict[str, float] = defaultdict(float)
    for item in answer["explanation"]:
        sums[item["group"]] += item["contribution"]

    found = {reason["group"]: reason["contribution"] for reason in answer["reasons"]}
    assert found == pytest.approx({group: total for group, total in sums.items() if total > 0})
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert all(reason["sentence"].endswith(".") for reason in answer["reasons"])


def test_another_value_is_named_that_alone_would_have_kept_the_score_under_the_threshold(worker: Worker) -> None:
    rows, _ = make_rows(60, seed=7)
    bodies = [
        {name: known(value) for name, value in zip(ACCESS_BEHAVIOUR_V1.names, row, strict=True)}
        for row in rows.tolist()
    ]
    answers = [post(worker, features=body)[1] for body in bodies]
    named = [own for own in answers if own["counterfactual"] is not None]

    assert named
    for own in named:
        other = own["counterfactual"]
        _, changed = post(worker, features=own["features"] | {other["feature"]: other["enough"]})
        assert changed["score"] < own["threshold"] <= own["score"]
        assert changed["score"] == pytest.approx(other["score"], rel=1e-12)


def test_calls_their_edges_and_their_features_are_judged_alike(worker: Worker) -> None:
    _, by_calls = post(worker, calls=SESSION)
    _, by_edges = post(worker, edges=list(pairwise(SESSION)))
    _, by_features = post(worker, features=by_calls["features"])

    assert by_calls == by_edges == by_features


def test_one_call_has_no_edges_and_missing_features(worker: Worker) -> None:
    status, answer = post(worker, calls=["GET /orders"])

    assert status == 200
    assert answer["features"]["n_apis"] == 1
    assert answer["features"]["avg_source_share"] is None


def test_excluded_methods_are_left_out_as_in_live_sessions(worker: Worker) -> None:
    _, plain = post(worker, calls=SESSION)
    _, preflight = post(worker, calls=[SESSION[0], "OPTIONS /orders", *SESSION[1:]])
    status, nothing = post(worker, calls=["OPTIONS /orders"])

    assert preflight == plain
    assert (status, nothing["problems"][0]["field"]) == (422, "calls")


def test_degrees_of_the_request_are_read_instead_of_the_live_ones(worker: Worker) -> None:
    degrees = {name: {"source": 10, "destination": 20} for name in SESSION}
    _, answer = post(worker, calls=SESSION, degrees=degrees)
    _, partial = post(worker, calls=SESSION, degrees=degrees, total_edges=5000)

    assert answer["features"]["avg_source_share"] == pytest.approx(10 / 30)
    assert answer["features"]["max_dest_share"] == pytest.approx(20 / 30)
    assert answer["total_edges"] == 30
    assert partial["features"]["max_dest_share"] == 20 / 5000
    assert partial["total_edges"] == 5000


def test_while_the_tables_learn_nothing_is_anomalous(worker: Worker) -> None:
    degrees = {name: {"source": 10, "destination": 20} for name in SESSION}
    _, answer = post(worker, calls=SESSION, degrees=degrees, total_edges=worker.judge.minimum_edges - 1)

    assert (answer["readiness"], answer["anomalous"]) == ("learning", False)


@pytest.mark.parametrize(("occasion", "threshold"), [("closed", 0.5), ("growing", 0.6), ("quiet", 0.6)])
def test_the_occasion_decides_the_threshold(worker: Worker, occasion: str, threshold: float) -> None:
    assert post(worker, calls=SESSION, occasion=occasion)[1]["threshold"] == threshold


def test_live_degrees_are_read_at_each_request(worker: Worker) -> None:
    degrees = GlobalDegrees()
    live = Worker(worker.judge, degrees)
    table = DegreeTable(degrees, max_endpoints=10)
    before = post(live, calls=["GET /x", "GET /y"])[1]["features"]["max_dest_share"]

    table.add(table.number("GET /x"), table.number("GET /y"))
    after = post(live, calls=["GET /x", "GET /y"])[1]["features"]["max_dest_share"]

    assert (before, after) == (None, 1)


FEATURES = dict.fromkeys(ACCESS_BEHAVIOUR_V1.names, 1.0)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, [""]),
        ({"calls": ["GET /a"], "edges": [["GET /a", "GET /b"]]}, [""]),
        ({"calls": []}, ["calls"]),
        ({"calls": "GET /a"}, ["calls"]),
        ({"calls": ["GET /a", 7]}, ["calls.1"]),
        ({"calls": [""]}, ["calls.0"]),
        ({"edges": [["GET /a", "GET /b"], ["GET /a"]]}, ["edges.1.1"]),
        ({"edges": [["GET /a", "GET /b", "GET /c"]]}, ["edges.0"]),
        ({"features": FEATURES | {"n_apis": "many"}}, ["features.n_apis"]),
        ({"features": FEATURES | {"n_users": 1}}, ["features.n_users"]),
        ({"features": {name: 1 for name in FEATURES if name != "n_apis"}}, ["features.n_apis"]),
        ({"features": FEATURES, "degrees": {}}, [""]),
        ({"calls": ["GET /a"], "total_edges": -1}, ["total_edges"]),
        ({"calls": ["GET /a"], "degrees": {"GET /a": {"source": 1}}}, ["degrees.GET /a.destination"]),
        ({"calls": ["GET /a"], "occasion": "soon"}, ["occasion"]),
        ({"call": ["GET /a"]}, ["call"]),
    ],
)
def test_wrong_input_is_422_and_names_the_field(worker: Worker, body: dict[str, Any], fields: list[str]) -> None:
    status, answer = post(worker, **body)

    assert status == 422
    assert [problem["field"] for problem in answer["problems"]] == fields
    assert all(problem["problem"] for problem in answer["problems"])


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"features": {"n_apis": NaN}}', b'{"a": 1e999}']
)
def test_a_body_that_is_no_request_is_422(worker: Worker, body: bytes) -> None:
    answer = answer_score(body, worker)

    assert answer.status == 422
    assert json.loads(answer.body)["problems"]


def test_a_body_beyond_the_limit_is_413(worker: Worker) -> None:
    assert answer_score(b" " * (MAX_BODY_BYTES + 1), worker).status == 413


def test_a_worker_without_a_model_says_which_has_one() -> None:
    status, answer = post(None, calls=SESSION)

    assert status == 503
    assert "detect" in answer["error"]


endpoints = st.text(min_size=1, max_size=20)
degree_tables = st.dictionaries(
    endpoints, st.fixed_dictionaries({"source": st.integers(0, 9), "destination": st.integers(0, 9)}), max_size=5
)


@given(
    st.one_of(
        st.fixed_dictionaries(
            {"calls": st.lists(endpoints, min_size=1, max_size=30)}, optional={"degrees": degree_tables}
        ),
        st.fixed_dictionaries({"edges": st.lists(st.tuples(endpoints, endpoints), min_size=1, max_size=30)}),
        st.fixed_dictionaries(
            {"features": st.fixed_dictionaries({name: st.none() | st.floats(-1e9, 1e9) for name in FEATURES})},
            optional={"total_edges": st.integers(0, 2**53)},
        ),
    )
)
def test_whatever_is_well_formed_gets_a_probability(worker: Worker, body: dict[str, Any]) -> None:
    status, answer = post(worker, **body)

    assert status == 200, answer
    assert 0 <= answer["score"] <= 1
    ScoreAnswer.model_validate(answer)


# Readiness, metrics, token, description


def test_ready_is_when_every_check_passes() -> None:
    good, bad = (lambda: (True, "")), (lambda: (False, "no partitions assigned"))

    assert (answer_ready({}).status, answer_ready({"a": good}).status) == (200, 200)
    answer = answer_ready({"model": good, "consumer": bad})
    assert answer.status == 503
    assert json.loads(answer.body) == {"ready": False, "reasons": ["consumer: no partitions assigned"]}


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [("", "text/plain"), ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text")],
)
def test_metrics_come_in_the_format_asked_for(accept: str, content_type: str) -> None:
    telemetry = Telemetry(CollectorRegistry())
    answer = answer_metrics(telemetry.registry, accept)

    assert answer.content_type.startswith(content_type)
    assert b"gatewatch_late_calls_total 0.0" in answer.body
    assert answer.body.endswith(b"# EOF\n") == (content_type != "text/plain")


@pytest.mark.parametrize(
    ("header", "right"),
    [
        ("Bearer geheim", True),
        ("bearer  geheim ", True),
        ("", False),
        ("Bearer", False),
        ("Bearer ", False),
        ("Bearer geheime", False),
        ("Basic geheim", False),
        ("geheim", False),
        ("Bearer \udcff", False),
    ],
)
def test_only_the_token_is_the_token(header: str, right: bool) -> None:  # noqa: FBT001 -- a parameter of the cases
    assert authorised(header, "geheim") is right


def resolve(document: Any, schema: Any) -> dict[str, Any]:
    """Return a schema of the document that a validator can use by itself."""
    return {**schema, "components": document["components"]}


def test_the_description_describes_what_is_answered(worker: Worker) -> None:
    document = describe(secured=True)
    operation = document["paths"]["/v1/score"]["post"]
    request = resolve(document, operation["requestBody"]["content"]["application/json"]["schema"])

    for body, code in (({"calls": SESSION}, "200"), ({"calls": []}, "422")):
        status, answer = post(worker, **body)
        schema = operation["responses"][code]["content"]["application/json"]["schema"]
        assert str(status) == code
        jsonschema.Draft202012Validator(resolve(document, schema)).validate(answer)
    for example in document["components"]["schemas"]["ScoreRequest"]["examples"]:
        jsonschema.Draft202012Validator(request).validate(example)
        ScoreRequest.model_validate(example)


def test_the_description_wants_the_token_where_the_server_does() -> None:
    secured, free = describe(secured=True), describe(secured=False)

    assert secured["paths"]["/healthz"]["get"]["security"] == []
    assert secured["security"] == [{"token": []}]
    assert "401" in secured["paths"]["/metrics"]["get"]["responses"]
    assert "security" not in free
    assert "401" not in free["paths"]["/metrics"]["get"]["responses"]


def test_every_reference_in_the_description_leads_somewhere() -> None:
    document = describe(secured=True)
    references = {part.split('"')[0] for part in json.dumps(document).split('"$ref": "')[1:]}

    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


# On Faust's server


def served(
    talk: Callable[[aiohttp.ClientSession], Awaitable[None]], site: Callable[..., Site], token: str | None
) -> None:
    """Start a Faust application with the pages on a free port, talk to it, stop it."""

    async def run() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = load_settings(overrides={"web.port": port, "web.token": token})
        app = create_app(settings)
        add_pages(app, site(settings.web))
        app.finalize()
        await app.start()
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
                await talk(client)
        finally:
            await app.stop()

    asyncio.run(run())


def test_the_pages_on_fausts_server(worker: Worker) -> None:
    telemetry = Telemetry(CollectorRegistry())
    refreshed: list[int] = []

    async def talk(client: aiohttp.ClientSession) -> None:
        for path, status, part in [
            ("/", 200, "POST /v1/score"),
            ("/healthz", 200, "alive"),
            ("/readyz", 503, "intake: no partitions"),
            ("/openapi.json", 200, '"openapi"'),
            ("/metrics", 200, 'gatewatch_web_requests_total{route="/healthz",status_code="200"} 1.0'),
            ("/v1/score", 405, "Not Allowed"),
            ("/stats", 404, "Not Found"),
            ("/router/", 404, "Not Found"),
            ("/table/", 404, "Not Found"),
        ]:
            async with client.get(path) as response:
                text = await response.text()
                assert (response.status, part in text) == (status, True), (path, text)
        async with client.post("/v1/score", json={"calls": SESSION}) as response:
            assert (response.status, response.content_type) == (200, "application/json")
            assert (await response.json())["model"] == worker.judge.bundle.uid
        async with client.post("/v1/score", data=io.BytesIO(b"x" * (MAX_BODY_BYTES + 1))) as response:
            assert response.status == 413
        async with client.head("/healthz") as response:
            assert response.status == 200

    checks = {"intake": lambda: (False, "no partitions")}
    served(
        talk,
        lambda web: Site(web, telemetry, checks, worker, refresh=lambda: refreshed.append(1)),
        token=None,
    )

    assert refreshed == [1]
    assert telemetry.web_requests.labels("other", "404")._value.get() == 3


def test_with_a_token_only_health_is_open(worker: Worker) -> None:
    async def talk(client: aiohttp.ClientSession) -> None:
        for path in ("/", "/metrics", "/openapi.json", "/stats", "/v1/score"):
            async with client.get(path) as response:
                assert response.status == 401, path
                assert response.headers["WWW-Authenticate"].startswith("Bearer")
        async with client.post("/v1/score", json={"calls": SESSION}) as response:
            assert response.status == 401
        for path in ("/healthz", "/readyz"):
            async with client.get(path) as response:
                assert response.status == 200, path
        headers = {"Authorization": "Bearer geheim"}
        async with client.post("/v1/score", json={"calls": SESSION}, headers=headers) as response:
            assert response.status == 200
        async with client.get("/metrics", headers=headers) as response:
            assert response.status == 200

    served(talk, lambda web: Site(web, Telemetry(CollectorRegistry()), {}, worker), token="geheim")  # noqa: S106 -- made up


def test_a_defect_in_a_page_is_500_and_no_traceback(worker: Worker) -> None:
    def broken() -> tuple[bool, str]:
        raise ZeroDivisionError("inside")

    async def talk(client: aiohttp.ClientSession) -> None:
        async with client.get("/readyz") as response:
            assert response.status == 500
            assert "inside" not in await response.text()

    served(talk, lambda web: Site(web, Telemetry(CollectorRegistry()), {"x": broken}, worker), token=None)
