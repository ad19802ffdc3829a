"""``POST /v1/score``: one session in, a verdict with explanation out; plain functions, no web framework."""

import math
from collections.abc import Collection
from typing import Protocol

import msgspec
from pydantic import ValidationError

from featurizer.conduct import measure_graph
from featurizer.degree_snapshots import DegreeSnapshot, EndpointDegrees
from featurizer.degrees import GlobalDegrees
from featurizer.features import MISSING, FeatureSchema, FeatureVector
from featurizer.graph import CallGraph
from scorer.judge import Judge
from scorer.reasons import Contribution
from stream.web.answers import Answer, failure, json_answer
from stream.web.models import ExplainedFeature, GroupReason, OtherValue, Problem, ScoreAnswer, ScoreRequest

MAX_BODY_BYTES = 1_048_576
"""Larger bodies are refused: a session has at most some thousand edges."""


class Scoring(Protocol):
    """What scoring needs; the pipeline's Detector has it."""

    @property
    def judge(self) -> Judge:
        """The model in use."""

    @property
    def degrees(self) -> GlobalDegrees:
        """The live degree tables."""


class InvalidRequestError(Exception):
    """The request is well-formed but cannot be scored.

    Attributes:
        problems: each with its field.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = list(problems)


def answer_score(body: bytes, scoring: Scoring | None, excluded_methods: Collection[str] = ()) -> Answer:
    """Answer a request: 200 with a ScoreAnswer, 422 naming each wrong field, 413 or 503.

    Args:
        body: JSON of a ScoreRequest.
        scoring: model and degree tables; None on a worker that does not score.
        excluded_methods: HTTP methods that are no part of call graphs.
    """
    if scoring is None:
        return failure(503, "this worker does not score: ask one with the role detect or all")
    if len(body) > MAX_BODY_BYTES:
        return failure(413, f"the body is larger than {MAX_BODY_BYTES:,} bytes")
    try:
        request = ScoreRequest.model_validate_json(body)
        return json_answer(score(request, scoring, excluded_methods))
    except ValidationError as error:
        return failure(422, "the request cannot be read", problems_of(error))
    except InvalidRequestError as error:
        return failure(422, "the request cannot be scored", error.problems)


def score(request: ScoreRequest, scoring: Scoring, excluded_methods: Collection[str] = ()) -> ScoreAnswer:
    """Return the verdict on a request, with its explanation.

    Raises:
        InvalidRequestError: the features are not those of the schema, or no call is part of a call graph.
    """
    judge = scoring.judge
    values, total_edges = measure_request(request, scoring, excluded_methods)
    vector = FeatureVector(
        session_id="",
        client="",
        occasion=request.occasion,
        start=0,
        end=0,
        calls=len(request.calls or ()),
        schema=judge.schema.fingerprint,
        values=values,
        total_edges=total_edges,
    )
    (verdict,) = judge.verdicts([vector])
    why = judge.explain(vector, verdict)
    return ScoreAnswer(
        score=verdict.score,
        threshold=verdict.threshold,
        anomalous=verdict.anomalous,
        readiness=verdict.readiness,
        model=verdict.model,
        total_edges=verdict.total_edges,
        minimum_edges=verdict.minimum_edges,
        features={name: known(value) for name, value in zip(judge.schema.names, values, strict=True)},
        base=judge.bundle.reference.expected,
        reasons=[GroupReason(**msgspec.structs.asdict(reason)) for reason in why.reasons],
        counterfactual=OtherValue(**msgspec.structs.asdict(why.counterfactual)) if why.counterfactual else None,
        explanation=[explained(item) for item in sorted(why.contributions, key=lambda item: -abs(item.contribution))],
    )


def measure_request(
    request: ScoreRequest, scoring: Scoring, excluded_methods: Collection[str]
) -> tuple[tuple[float, ...], int]:
    """Return the feature values of a request, and the edges that its degrees were counted over.

    Calls and edges tell what a graph tells; of other features the values are missing.

    Raises:
        InvalidRequestError: as ``score``.
    """
    if request.features is not None:
        total = scoring.degrees.total_edges if request.total_edges is None else request.total_edges
        return values_of(request.features, scoring.judge.schema), total
    degrees = scoring.degrees if request.degrees is None else given_degrees(request)
    graph = graph_of(request, excluded_methods)
    return measure_graph(graph, degrees, scoring.judge.schema), degrees.total_edges


def graph_of(request: ScoreRequest, excluded_methods: Collection[str]) -> CallGraph:
    """Return the call graph of a request's calls or edges, excluded methods left out as in live sessions.

    Raises:
        InvalidRequestError: nothing is left.
    """
    excluded = tuple(f"{method} " for method in excluded_methods)
    if request.calls is not None:
        calls = [endpoint for endpoint in request.calls if not endpoint.startswith(excluded)]
        field, graph = "calls", CallGraph.of_calls(calls)
    else:
        edges = [edge for edge in request.edges or () if not any(node.startswith(excluded) for node in edge)]
        field, graph = "edges", CallGraph(edges)
    if not graph.nodes:
        methods = ", ".join(excluded_methods)
        raise InvalidRequestError(Problem(field=field, problem=f"only calls that are left out ({methods})"))
    return graph


def given_degrees(request: ScoreRequest) -> GlobalDegrees:
    """Return the degrees that a request brings along."""
    own = request.degrees or {}
    total = sum(item.source for item in own.values()) if request.total_edges is None else request.total_edges
    endpoints = {name: EndpointDegrees(item.source, item.destination) for name, item in own.items()}
    return GlobalDegrees(DegreeSnapshot(total, endpoints))


def values_of(features: dict[str, float | None], schema: FeatureSchema) -> tuple[float, ...]:
    """Return values in schema order.

    Raises:
        InvalidRequestError: names each feature that is absent or unknown.
    """
    wrong = [
        Problem(field=f"features.{name}", problem="no such feature") for name in features if name not in schema.names
    ]
    wrong += [
        Problem(field=f"features.{name}", problem="absent; give null if it is missing")
        for name in schema.names
        if name not in features
    ]
    if wrong:
        raise InvalidRequestError(*wrong)
    return tuple(MISSING if (value := features[name]) is None else value for name in schema.names)


def explained(item: Contribution) -> ExplainedFeature:
    """Return a contribution as the answer shows it."""
    return ExplainedFeature(
        feature=item.feature,
        meaning=item.meaning,
        value=item.value,
        usual_low=item.usual_low,
        usual_high=item.usual_high,
        direction=item.direction,
        contribution=item.contribution,
        group=item.group,
    )


def known(value: float) -> float | None:
    """Return a value, or None where it is missing: JSON has no NaN."""
    return None if math.isnan(value) else value


def problems_of(error: ValidationError) -> list[Problem]:
    """Return the problems of a body by field."""
    items = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        Problem(
            field=".".join(str(part) for part in item["loc"]),
            problem=item["msg"].removeprefix("Value error, "),
        )
        for item in items
    ]
