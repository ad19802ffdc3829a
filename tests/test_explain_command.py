"""``gatewatch explain``: a session of a log file, or a published finding, with all that is known of it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.graph_picture import MOST_ENDPOINTS, graph_picture
from scorer.judge import Judge
from stream.adapters import Pseudonyms
from stream.bundles import write_bundle
from stream.cli import main
from stream.encodings.ocsf import detection_finding
from stream.errors import ExitCode
from stream.explain_report import graph_lines
from stream.explained import of_finding, with_vector
from stream.findings import read_finding
from tests.alerting import COUNTERFACTUAL, VECTOR, alert_of
from tests.model_factory import make_bundle
from tests.simulated_logs import as_flags

BUNDLE = make_bundle(threshold_open=0.0)
LIMITS = {"model.bundle": "./bundle", "model.minimum_edges": 0}
NOON = VECTOR.start
FINDING = detection_finding(alert_of(), NOON)
SVG = b"<?xml"


def log_of(client: str, paths: str, start: int = NOON) -> list[dict[str, Any]]:
    """Return a call a second to ``/<letter>/42``."""
    return [
        {"time": start + 1000 * at, "client": client, "method": "GET", "path": f"/{letter}/42?q=1", "status": 200}
        for at, letter in enumerate(paths)
    ]


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder with a model, a log and a finding."""
    monkeypatch.chdir(tmp_path)
    write_bundle("bundle", BUNDLE.to_files())
    lines = [
        *log_of("user:ann", "abababacdefghijk"),
        *log_of("bob", "ab"),
        *log_of("user:ann", "ab", NOON + 10_000_000),
    ]
    Path("calls.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    Path("finding.json").write_text(json.dumps(FINDING))


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """Return what the command prints, on standard error when it fails."""
    assert main(["explain", *arguments, *as_flags(LIMITS)]) == code
    out, err = capsys.readouterr()
    return err if code else out


def test_a_client_of_a_log_is_explained_by_its_most_anomalous_session(capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, Any] = json.loads(run(capsys, "calls.jsonl", "--client", "user:ann", "--json"))
    assert found["sessions"][1]["calls"] == 2
    assert (found["client"], found["model"], found["outcome"]) == ("user:ann", BUNDLE.uid, "alert")
    assert len(found["contributions"]) == len(ACCESS_BEHAVIOUR_V1.names)
    assert len(found["known"]) == found["calls"]
    assert found["known"][0] == {
        "time": NOON,
        "endpoint": "GET /a/{id}",
        "status": 200,
        "path": "/a/42",
        "template_from": "the rules",
    }


def test_with_keys_a_client_is_found_by_its_name_and_by_an_older_pseudonym(capsys: pytest.CaptureFixture[str]) -> None:
    keys = {"old": b"o" * 32, "new": b"n" * 32}
    text = ",".join(f"{name}={secret.decode()}" for name, secret in keys.items())
    flags = ["--set", f"privacy.hmac_keys={text}", "--set", "privacy.current=new", "--json"]
    older = Pseudonyms(keys, "old").of("user:ann")

    by_name = json.loads(run(capsys, "calls.jsonl", "--client", "user:ann", *flags))
    by_older = json.loads(run(capsys, "calls.jsonl", "--client", older, *flags))

    assert (by_name["client"], by_older["client"]) == (Pseudonyms(keys, "new").of("user:ann"), older)
    assert by_name["calls"] == by_older["calls"] == len(by_older["known"])
    gone = ["--client", older.replace("old", "2025"), *flags]
    assert "there is no key '2025'" in " ".join(run(capsys, "calls.jsonl", *gone, code=ExitCode.USAGE).split())


def test_people_see_calls_paths_graph_and_features(capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(capsys, "calls.jsonl", "--client", "user:ann")
    assert "  → GET /b/{id}, 3 times" in printed
    for text in ("reached the threshold", "Paths and their endpoints", "/a/42", "n_connections", "Rarest transitions"):
        assert text in printed
    assert "q=1" not in printed


def test_a_rule_that_suppresses_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    rule = '[[rule]]\nname = "own"\nreason = "Known to ops"\nexpires = 9000-01-01\nclient = "user:*"\n'
    Path("rules.toml").write_text(rule)
    flags = ["--client", "user:ann", "--set", "alerts.suppressions=rules.toml"]
    assert "suppressed (" in (printed := run(capsys, "calls.jsonl", *flags))
    assert "Known to ops (rule own)" in " ".join(printed.split())


def test_a_finding_says_what_it_holds_and_calls_come_from_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    printed = run(capsys, "finding.json")
    assert "Its calls are not known" in printed
    assert f"With {COUNTERFACTUAL.feature} {COUNTERFACTUAL.enough:g} instead of {COUNTERFACTUAL.value:g}" in printed
    found = json.loads(run(capsys, "finding.json", "--calls", "calls.jsonl", "--json"))
    assert (found["session_id"], found["score"], len(found["known"])) == (VECTOR.session_id, 0.875, 16)


def test_with_its_vector_a_finding_is_explained_by_all_features() -> None:
    judge = Judge(BUNDLE)
    own = with_vector(of_finding(read_finding(FINDING)), VECTOR, judge)
    assert {item.feature for item in own.contributions} == set(ACCESS_BEHAVIOUR_V1.names)
    sizes = [abs(item.contribution) for item in own.contributions]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("name", ["graph.svg", "graph.png"])
def test_the_graph_is_drawn_on_request(capsys: pytest.CaptureFixture[str], name: str) -> None:
    run(capsys, "calls.jsonl", "--client", "user:ann", "--picture", name)
    made = Path(name).read_bytes()
    assert made.startswith(SVG if name.endswith("svg") else b"\x89PNG")


def test_what_cannot_be_explained_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no session of eve" in run(capsys, "calls.jsonl", "--client", "eve", code=ExitCode.FAILURE)
    assert "neither .svg nor .png" in run(capsys, "finding.json", "--picture", "graph.gif", code=ExitCode.USAGE)
    assert "there is no file absent" in run(capsys, "absent", "--client", "eve", code=ExitCode.USAGE)
    both = msgspec.json.encode(FINDING) + b"\n" + msgspec.json.encode(FINDING)
    Path("two.jsonl").write_bytes(both)
    assert "2 findings, but one" in run(capsys, "two.jsonl", code=ExitCode.USAGE)


class TestGraph:
    def test_as_text_the_most_walked_transitions_come_first(self) -> None:
        transitions = Counter({("a", "b"): 3, ("a", "a"): 1, ("b", "a"): 2, ("c", "a"): 1})
        assert graph_lines(transitions, 3) == [
            "a",
            "  → b, 3 times",
            "  → (itself)",
            "b",
            "  → a, 2 times",
            "and 1 more",
        ]

    def test_the_same_graph_gives_the_same_picture(self) -> None:
        transitions = {("a", "b"): 3, ("b", "a"): 1, ("b", "b"): 1}
        one, other = (graph_picture(transitions, {("b", "a")}, "title", "svg") for _ in range(2))
        assert one == other
        assert b">title<" in one

    def test_of_a_large_graph_the_rare_transitions_are_shown(self) -> None:
        transitions = {("hub", f"node {number}"): 2 for number in range(MOST_ENDPOINTS)} | {("rare", "rarest"): 1}
        made = graph_picture(transitions, {("rare", "rarest")}, "title", "svg").decode()
        assert ">rarest<" in made
        assert f"{MOST_ENDPOINTS} most telling of {MOST_ENDPOINTS + 3} endpoints" in made
        assert made.count(">node ") == MOST_ENDPOINTS - 3
