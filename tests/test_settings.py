import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.kafka_config import consumer_config, kafka_common, producer_config
from stream.settings import Settings, SettingsError, load_settings, merged, nested
from stream.settings_errors import field_names, fields, is_section


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No file in the working directory, no variable in the environment."""
    for name in [name for name in os.environ if name.upper().startswith("GATEWATCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def problems(config: Path | None = None, overrides: dict[str, Any] | None = None) -> str:
    """Return what loading complains of."""
    with pytest.raises(SettingsError) as caught:
        load_settings(config, overrides)
    return str(caught.value)


def test_defaults_are_those_of_the_design() -> None:
    settings = load_settings()

    assert settings.kafka.bootstrap_servers == "127.0.0.1:9092"
    assert [(entry.topic, entry.format, entry.keyed) for entry in settings.inputs] == [("gateway-logs", "auto", False)]
    assert (settings.sessions.gap_s, settings.sessions.lateness_s, settings.sessions.linger_s) == (1800, 30, 60)
    assert settings.delivery.guarantee == "exactly_once"
    assert settings.web.bind == "127.0.0.1"


def test_flags_win_over_environment_over_file_over_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "gatewatch.toml").write_text("[sessions]\ngap_s = 100\nlateness_s = 1\nlinger_s = 2\n")
    monkeypatch.setenv("GATEWATCH_SESSIONS__GAP_S", "200")
    monkeypatch.setenv("GATEWATCH_SESSIONS__LATENESS_S", "3")

    settings = load_settings(overrides={"sessions.gap_s": 300})

    assert settings.sessions.gap_s == 300
    assert settings.sessions.lateness_s == 3
    assert settings.sessions.linger_s == 2
    assert settings.sessions.max_calls == 10_000


def test_a_named_file_is_read_instead_of_the_one_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "gatewatch.toml").write_text("[web]\nport = 1\n")
    other = tmp_path / "other.toml"
    other.write_text("[web]\nport = 2\n")

    assert load_settings(other).web.port == 2


def test_settings_are_frozen() -> None:
    settings = load_settings()

    with pytest.raises(ValueError, match="frozen"):
        settings.sessions.gap_s = 1.0


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"sessions.gaps_s": 1}, "sessions.gaps_s: no such setting; did you mean sessions.gap_s?"),
        ({"session.gap_s": 1}, "session: no such setting; did you mean sessions?"),
        ({"pinned": []}, "pinned: no such setting; did you mean routes.pinned?"),
        ({"alerts.severity.hihg": 1}, "alerts.severity.hihg: no such setting; did you mean alerts.severity.high?"),
        ({"inputs": [{"topc": "x"}]}, "inputs[0].topc: no such setting; did you mean inputs[0].topic?"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_valid_one(overrides: dict[str, Any], said: str) -> None:
    assert problems(overrides=overrides) == said


def test_an_unknown_name_in_the_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "gatewatch.toml").write_text("[kafka]\nbootstrap_server = 'x'\n")

    assert problems() == "kafka.bootstrap_server: no such setting; did you mean kafka.bootstrap_servers?"


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("GATEWATCH_SESSION__GAP_S", "GATEWATCH_SESSIONS__GAP_S"),
        ("GATEWATCH_SESSIONS__GAPS", "GATEWATCH_SESSIONS__GAP_S"),
        ("GATEWATCH_BOOTSTRAP_SERVERS", "GATEWATCH_KAFKA__BOOTSTRAP_SERVERS"),
    ],
)
def test_an_unknown_environment_variable_is_an_error_once(
    monkeypatch: pytest.MonkeyPatch, variable: str, meant: str
) -> None:
    monkeypatch.setenv(variable, "1")

    assert problems() == f"{variable}: no such setting; did you mean {meant}?"


def test_the_variable_that_names_the_file_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWATCH_CONFIG", "x.toml")

    assert load_settings() == Settings()


def test_an_empty_environment_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files pass ``${NAME:-}`` on."""
    monkeypatch.setenv("GATEWATCH_WEB__TOKEN", "")

    assert load_settings().web.token is None


def test_all_problems_are_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWATCH_FOO", "1")

    lines = problems(overrides={"sessions.gap_s": -1, "web.port": 0, "log.level": "loud"}).splitlines()

    assert [line.partition(":")[0] for line in lines] == ["GATEWATCH_FOO", "sessions.gap_s", "web.port", "log.level"]


def test_lists_and_tables_may_be_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWATCH_SESSIONS__EXCLUDED_METHODS", "head, trace")
    monkeypatch.setenv("GATEWATCH_ROUTES__PINNED", '["/orders/{id}"]')
    monkeypatch.setenv("GATEWATCH_INPUTS", json.dumps([{"topic": "a", "keyed": True}, {"topic": "b"}]))

    settings = load_settings(overrides={"alerts.severity": '{"medium": 0.6}'})

    assert settings.sessions.excluded_methods == ("HEAD", "TRACE")
    assert settings.routes.pinned == ("/orders/{id}",)
    assert [entry.topic for entry in settings.inputs] == ["a", "b"]
    assert (settings.alerts.severity.medium, settings.alerts.severity.high) == (0.6, 0.85)


def test_text_that_is_nearly_json_names_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWATCH_INPUTS", "[{topic: a}]")

    assert problems().startswith("inputs: not valid JSON")


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        ({"topics.features": "api-calls"}, "9 different topics"),
        ({"inputs": [{"topic": "anomalies"}]}, "anomalies is a topic of gatewatch's own"),
        ({"inputs": [{"topic": "a"}, {"topic": "a"}]}, "listed twice"),
        ({"inputs": []}, "name at least one topic"),
        ({"alerts.severity.medium": 0.99}, "must not descend"),
        ({"sessions.quiet_s": 1800}, "quiet_s (1800) must be less than gap_s (1800)"),
        ({"drift.clear_below": 0.5}, "clear_below (0.5) must not be above raise_above (0.25)"),
        ({"drift.window_vectors": 500}, "minimum_vectors must not be more than window_vectors"),
        ({"sessions.gap_s": float("inf")}, "sessions.gap_s"),
        ({"topics.anomalies": "no spaces"}, "topics.anomalies"),
    ],
)
def test_what_contradicts_itself_is_refused(overrides: dict[str, Any], part: str) -> None:
    assert part in problems(overrides=overrides)


@pytest.mark.parametrize("bind", ["0.0.0.0", "192.0.2.1", "::", "gateway.example"])  # noqa: S104 -- refused
def test_beyond_loopback_the_web_server_wants_a_token(bind: str) -> None:
    assert "set web.token" in problems(overrides={"web.bind": bind})
    assert load_settings(overrides={"web.bind": bind, "web.token": "t"}).web.token is not None


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_loopback_it_does_not(bind: str) -> None:
    assert load_settings(overrides={"web.bind": bind}).web.loopback


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("[web\n")

    assert "none.toml: cannot be read" in problems(tmp_path / "none.toml")
    assert "broken.toml: not valid TOML" in problems(broken)
    assert "line 1" in problems(broken)


def test_secrets_are_in_no_representation_and_no_error() -> None:
    overrides = {
        "web.token": "s3cret",
        "kafka.properties.sasl.password": "s3cret",
        "kafka.properties.group.id": "s3cret",
    }

    assert "s3cret" not in problems(overrides=overrides)
    del overrides["kafka.properties.group.id"]
    assert "s3cret" not in repr(load_settings(overrides=overrides))


def test_every_setting_has_a_unit_a_reason_and_a_default() -> None:
    for name, field in fields(Settings):
        assert field.description, name
        assert field.description.endswith("."), name
        assert isinstance(field.json_schema_extra, dict), name
        assert field.json_schema_extra["unit"], name
        assert not field.is_required(), name
        assert is_section(field) or name in field_names(Settings)


@given(st.dictionaries(st.sampled_from(field_names(Settings)), st.integers(), max_size=6))
def test_dotted_names_become_tables_and_none_is_lost(values: dict[str, int]) -> None:
    def leaves(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in table.items():
            found |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        return found

    assert leaves(nested(values)) == values


def test_merging_leaves_its_arguments_as_they_were() -> None:
    low, high = {"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}

    assert merged(low, high) == {"a": {"b": 3, "c": 2}}
    assert low == {"a": {"b": 1, "c": 2}}


# kafka.properties


def properties(**values: Any) -> Settings:
    return load_settings(overrides={"kafka": {"properties": values}})


def test_properties_may_be_dotted_nested_or_in_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "gatewatch.toml").write_text(
        "[kafka.properties]\n\"security.protocol\" = 'sasl_ssl'\nsasl.mechanism = 'PLAIN'\nsasl.username = 'u'\n"
    )
    monkeypatch.setenv("GATEWATCH_KAFKA__PROPERTIES__SASL_PASSWORD", "p")

    config = kafka_common(load_settings())

    assert config["security.protocol"] == "sasl_ssl"
    assert (config["sasl.mechanism"], config["sasl.username"], config["sasl.password"]) == ("PLAIN", "u", "p")


def test_properties_reach_every_client_that_knows_them() -> None:
    settings = properties(**{"linger.ms": 7, "fetch.wait.max.ms": 9, "socket.keepalive.enable": True})
    consumer, producer = consumer_config(settings, "detect"), producer_config(settings, "tx")

    assert consumer["group.id"] == "gatewatch-detect"
    assert (consumer["fetch.wait.max.ms"], "linger.ms" in consumer) == (9, False)
    assert (producer["linger.ms"], "fetch.wait.max.ms" in producer) == (7, False)
    assert consumer["socket.keepalive.enable"] is producer["socket.keepalive.enable"] is True
    assert set(kafka_common(settings)) == {"bootstrap.servers", "client.id", "logger", "socket.keepalive.enable"}


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("fetch.qeue.backoff.ms", 10, 'No such configuration property: "fetch.qeue.backoff.ms"'),
        ("linger.ms", "soon", "Invalid value"),
        ("broker.version.fallback", "0.9.0", "broker.version.fallback is deprecated: remove it"),
        ("sasl.mechanism", "PLAIN", "`security.protocol` is not configured for SASL"),
        ("message.timeout.ms", 90_000, "`message.timeout.ms` must be set <= `transaction.timeout.ms`"),
    ],
)
def test_librdkafka_judges_the_properties(name: str, value: str | int, part: str) -> None:
    with pytest.raises(SettingsError) as caught:
        producer_config(properties(**{name: value}), "tx")

    assert part in str(caught.value)


@pytest.mark.parametrize("name", ["group.id", "enable.auto.commit", "isolation.level", "bootstrap.servers"])
def test_properties_that_would_break_the_guarantee_are_refused(name: str) -> None:
    assert f"{name} is not yours to set" in problems(overrides={"kafka": {"properties": {name: "x"}}})


def test_clients_commit_with_their_outputs_and_read_what_was_committed() -> None:
    consumer, producer = consumer_config(load_settings(), "detect"), producer_config(load_settings(), "tx")

    assert consumer["enable.auto.commit"] is False
    assert consumer["isolation.level"] == "read_committed"
    assert consumer["enable.partition.eof"] is True
    assert consumer["partition.assignment.strategy"] == "cooperative-sticky"
    assert producer["transactional.id"] == "tx"
    assert producer["transaction.timeout.ms"] == 60_000
    assert "transactional.id" not in producer_config(load_settings(), None)


def test_static_members_take_all_partitions_anew_at_each_change_unless_told_otherwise() -> None:
    """What a cooperative one gave up just before it stopped would be nobody's."""
    static = {"group.instance.id": "worker-1"}
    assert consumer_config(properties(**static), "detect")["partition.assignment.strategy"] == "range"
    chosen = properties(**static, **{"partition.assignment.strategy": "roundrobin"})
    assert consumer_config(chosen, "detect")["partition.assignment.strategy"] == "roundrobin"
    newer = consumer_config(properties(**static, **{"group.protocol": "consumer"}), "detect")
    assert "partition.assignment.strategy" not in newer


def test_the_newer_group_protocol_is_possible() -> None:
    config = consumer_config(properties(**{"group.protocol": "consumer"}), "detect")

    assert "partition.assignment.strategy" not in config
