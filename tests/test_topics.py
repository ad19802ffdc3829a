import json
from pathlib import Path
from typing import Any

import pytest

from stream.cli import main
from stream.errors import CommandError, ExitCode
from stream.sections.kafka import OWN_TOPICS
from stream.settings import Settings, load_settings
from stream.topic_specs import TopicState, plan, wanted_topics
from stream.topics import Topics, missing_topics, require_topics
from tests.kafka_fixture import Kafka


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without a gatewatch.toml."""
    monkeypatch.chdir(tmp_path)


def settings_with(**overrides: Any) -> Settings:
    return load_settings(overrides={name.replace("__", "."): value for name, value in overrides.items()})


def as_wanted(settings: Settings) -> dict[str, TopicState]:
    """Return the state of a broker on which everything is as it should be."""
    specs = wanted_topics(settings)
    return {spec.name: TopicState(spec.partitions, spec.replication_factor, dict(spec.config)) for spec in specs}


def test_the_topics_of_the_design_are_wanted() -> None:
    specs = {spec.name: spec for spec in wanted_topics(load_settings())}

    own = {"api-calls", "anomalies", "dead-letters", "features", "state", "degrees", "labels"}
    assert set(specs) == {"gateway-logs", *own}
    assert specs["dead-letters"].config == {
        "cleanup.policy": "delete",
        "max.message.bytes": "2097152",
        "retention.ms": "604800000",
        "retention.bytes": "1073741824",
    }
    assert specs["gateway-logs"].roles == {"normalise"}
    assert specs["api-calls"].roles == {"normalise", "detect"}
    assert specs["state"].config["cleanup.policy"] == specs["degrees"].config["cleanup.policy"] == "compact"
    assert specs["state"].roles == specs["degrees"].roles == {"detect"}
    assert specs["labels"].config["cleanup.policy"] == "compact"
    assert specs["labels"].roles == frozenset(), "workers start without it"
    assert specs.pop("degrees").partitions == specs.pop("labels").partitions == 1
    assert {spec.partitions for spec in specs.values()} == {4}


def test_without_publishing_features_their_topic_is_not_wanted() -> None:
    names = [spec.name for spec in wanted_topics(settings_with(topics__publish_features=False))]

    assert "features" not in names


def test_the_topic_of_models_is_wanted_when_workers_follow_it() -> None:
    settings = settings_with(model__bundle="topic:", topics__models="our-models", topics__models_record_bytes=1 << 20)

    (spec,) = [spec for spec in wanted_topics(settings) if spec.name == "our-models"]

    assert spec.partitions == 1
    assert spec.roles == {"detect"}
    assert spec.config["cleanup.policy"] == "compact"
    assert spec.config["max.message.bytes"] == "1048576"


def test_the_topic_of_suppression_rules_is_wanted_when_workers_follow_it() -> None:
    settings = settings_with(alerts__suppressions="topic:", topics__suppressions="our-rules")

    (spec,) = [spec for spec in wanted_topics(settings) if spec.name == "our-rules"]

    assert (spec.partitions, spec.roles, spec.config["cleanup.policy"]) == (1, frozenset({"detect"}), "compact")
    assert "suppressions" not in {spec.name for spec in wanted_topics(load_settings())}


@pytest.mark.parametrize(("copies", "minimum"), [(1, None), (2, None), (3, "2")])
def test_three_copies_wait_for_two(copies: int, minimum: str | None) -> None:
    specs = wanted_topics(settings_with(topics__replication_factor=copies))

    assert {spec.config.get("min.insync.replicas") for spec in specs if spec.own} == {minimum}


def test_on_an_empty_cluster_all_is_missing_and_nothing_differs() -> None:
    settings = load_settings()

    found = plan(settings, {})

    assert found.missing == wanted_topics(settings)
    assert found.differences == []


def test_on_a_cluster_as_wanted_there_is_nothing_to_do() -> None:
    settings = settings_with(inputs=[{"topic": "a"}, {"topic": "b", "keyed": True}])

    assert plan(settings, as_wanted(settings)) == ([], [])


@pytest.mark.parametrize(
    ("topic", "state", "said"),
    [
        ("state", {"partitions": 8}, ("partitions", "4", "8")),
        ("anomalies", {"replication_factor": 3}, ("replication factor", "1", "3")),
        ("features", {"config": {"cleanup.policy": "compact"}}, ("cleanup.policy", "delete", "compact")),
        ("dead-letters", {"config": {"retention.bytes": "5"}}, ("retention.bytes", "1073741824", "5")),
        ("gateway-logs", {"config": {"cleanup.policy": "compact"}}, ("cleanup.policy", "delete", "compact")),
    ],
)
def test_what_differs_is_said_with_what_to_do(topic: str, state: dict[str, Any], said: tuple[str, str, str]) -> None:
    settings = load_settings()
    states = as_wanted(settings)
    config = states[topic].config | state.pop("config", {})
    states[topic] = states[topic]._replace(config=config, **state)

    (difference,) = plan(settings, states).differences

    assert difference.topic == topic
    assert (difference.what, difference.wanted, difference.found) == said
    assert difference.advice


def test_the_shape_of_a_gateway_s_topic_is_its_owner_s_business() -> None:
    settings = load_settings()
    states = as_wanted(settings)
    states["gateway-logs"] = TopicState(12, 3, {"cleanup.policy": "delete", "retention.ms": "1"})

    assert plan(settings, states) == ([], [])


def test_a_keyed_input_has_as_many_partitions_as_api_calls_has() -> None:
    """Whatever the settings say: what counts is what is there."""
    settings = settings_with(inputs=[{"topic": "keyed", "keyed": True}])
    states = as_wanted(settings)
    states["api-calls"] = states["api-calls"]._replace(partitions=6)

    different = plan(settings, states).differences
    del states["keyed"]
    (missing,) = plan(settings, states).missing

    assert [(item.topic, item.wanted, item.found) for item in different] == [
        ("keyed", "6", "4"),
        ("api-calls", "4", "6"),
        ("state", "6", "4"),
    ]
    assert (missing.name, missing.partitions) == ("keyed", 6)


def test_without_a_broker_the_error_says_where_it_looked_and_what_to_do() -> None:
    settings = settings_with(kafka__bootstrap_servers="127.0.0.1:1")

    with pytest.raises(CommandError) as caught:
        missing_topics(settings, timeout_s=0.5)

    assert caught.value.exit_code == ExitCode.UNREACHABLE
    assert str(caught.value).startswith("no broker answers at 127.0.0.1:1: ")
    assert "refused" in str(caught.value)
    assert "GATEWATCH_KAFKA__BOOTSTRAP_SERVERS" in caught.value.hint


# On a real broker


def on(kafka: Kafka, **overrides: Any) -> list[str]:
    """Return flags that name the broker and topics of this test only."""
    values = {
        "kafka.bootstrap_servers": kafka.bootstrap,
        "inputs": json.dumps([{"topic": f"{kafka.prefix}logs"}, {"topic": f"{kafka.prefix}keyed", "keyed": True}]),
        **{f"topics.{name}": f"{kafka.prefix}{name}" for name in OWN_TOPICS},
        "model.bundle": "topic:",
        "alerts.suppressions": "topic:",
        **overrides,
    }
    return [part for name, value in values.items() for part in ("--set", f"{name}={value}")]


def create(capsys: pytest.CaptureFixture[str], *flags: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Return exit code and answer of ``gatewatch topics create --json``."""
    code = main(["topics", "create", "--json", *flags])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.kafka
def test_topics_are_made_once_and_checked_after(kafka: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    flags = on(kafka)
    missing = {f"{kafka.prefix}{name}" for name in ("logs", "keyed", *OWN_TOPICS)}

    dry, would = create(capsys, *flags, "--dry-run")
    checked, absent = create(capsys, *flags, "--check")
    there = Topics(settings_with(kafka__bootstrap_servers=kafka.bootstrap)).names() & missing
    made, created = create(capsys, *flags)
    again, nothing = create(capsys, *flags)

    assert (dry, checked, made, again) == (0, ExitCode.DIFFERENT, 0, 0)
    assert there == set()
    assert {item["topic"] for item in would["missing"]} == missing
    assert {item["topic"] for item in absent["missing"]} == missing
    assert {item["topic"] for item in created["created"]} == missing
    assert nothing == {"created": [], "differences": []}


@pytest.mark.kafka
def test_differences_are_found_and_left_alone(kafka: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    anomalies = kafka.create_topic("anomalies", 2, {"cleanup.policy": "compact", "retention.ms": "60000"})
    flags = on(kafka)

    code, answer = create(capsys, *flags)
    state = Topics(settings_with(kafka__bootstrap_servers=kafka.bootstrap)).describe([anomalies, "none"])

    assert code == ExitCode.DIFFERENT
    assert {(item["topic"], item["what"], item["found"]) for item in answer["differences"]} == {
        (anomalies, "partitions", "2"),
        (anomalies, "cleanup.policy", "compact"),
        (anomalies, "retention.ms", "60000"),
    }
    assert list(state) == [anomalies]
    assert state[anomalies].config["retention.ms"] == "60000"


@pytest.mark.kafka
def test_run_names_the_missing_topics_of_its_role_and_the_command_that_makes_them(kafka: Kafka) -> None:
    kafka.create_topic("logs")
    kafka.create_topic("api_calls")
    kafka.create_topic("dead_letters")
    settings = load_settings(overrides=dict(flag.split("=", 1) for flag in on(kafka)[1::2]))

    require_topics(settings, ["normalise"])
    with pytest.raises(CommandError) as caught:
        require_topics(settings, ["detect"])

    assert caught.value.exit_code == ExitCode.UNREACHABLE
    missing = ", ".join(
        kafka.prefix + name for name in ("keyed", "anomalies", "features", "state", "degrees", "models", "suppressions")
    )
    assert str(caught.value) == f"missing topics: {missing}"
    assert "gatewatch topics create" in caught.value.hint


@pytest.mark.kafka
def test_a_refusal_of_the_broker_is_said(kafka: Kafka, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["topics", "create", *on(kafka, **{"topics.replication_factor": 3})])

    assert code == ExitCode.FAILURE
    assert "cannot be made" in capsys.readouterr().err
