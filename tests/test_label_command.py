"""``gatewatch label`` against an embedded broker: what it writes is what training reads, and precision comes of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from scorer.alerts import Alert
from scorer.feedback import Said
from stream.cli import main
from stream.demo import EmbeddedBroker
from stream.encodings.records import alert_record
from stream.errors import ExitCode
from stream.label_topic import LabelTopic
from stream.settings import Settings, load_settings
from tests.alerting import alert_of, vector, verdict_of

CREATED = 1_700_000_050_000


def alert(session: str, model: str = "old-1", client: str = "ann") -> Alert:
    own = vector(session_id=session, client=client)
    return alert_of(own, verdict=verdict_of(own, model=model))


ALERTS = [alert("s1"), alert("s1", "new-2"), alert("s2"), alert("s3", client="bob"), alert("s4", "new-2")]


@pytest.fixture(scope="module")
def broker() -> EmbeddedBroker:
    """A broker with alerts, and something else, on the topic of anomalies."""
    broker = EmbeddedBroker()
    broker.make_topics(["anomalies", "labels"])
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "log_level": 3})
    for own in ALERTS:
        record = alert_record("anomalies", own, CREATED)
        producer.produce("anomalies", record.value, record.key)
    producer.produce("anomalies", b"of another program")
    assert producer.flush(20) == 0
    return broker


@pytest.fixture
def servers(broker: EmbeddedBroker) -> str:
    return broker.bootstrap_servers


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without a gatewatch.toml."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings(servers: str) -> Settings:
    return load_settings(overrides={"kafka.bootstrap_servers": servers})


def label(capsys: pytest.CaptureFixture[str], servers: str, *arguments: str, code: int = 0) -> str:
    """Return what the command prints, on standard error when it fails."""
    assert main(["label", *arguments, "--bootstrap-servers", servers]) == code
    out, err = capsys.readouterr()
    return err if code else out


def said(settings: Settings) -> dict[str, tuple[Said, str, int | None, str]]:
    """Return the labels on the topic, read as training does."""
    with LabelTopic(settings) as topic:
        return {name: (own.verdict, own.attack, own.hostile_from, own.by) for name, own in topic.read().items()}


def test_labels_are_found_written_replaced_and_taken_back(
    capsys: pytest.CaptureFixture[str], servers: str, settings: Settings
) -> None:
    one, _, two, three, _ = (own.uid for own in ALERTS)
    flags = ["--attack", "scan", "--hostile-from", "1700000000000", "--by", "kim"]
    label(capsys, servers, one, "--verdict", "true-positive", *flags)
    printed = label(capsys, servers, two, three, "--verdict", "benign")
    assert printed == "benign  ann, session s2\nbenign  bob, session s3\n"
    assert said(settings) == {
        "s1": (Said.TRUE_POSITIVE, "scan", 1_700_000_000_000, "kim"),
        "s2": (Said.BENIGN, "", None, ""),
        "s3": (Said.BENIGN, "", None, ""),
    }
    with LabelTopic(settings) as topic:
        assert {name: own.model for name, own in topic.read().items()} == {"s1": "old-1", "s2": "old-1", "s3": "old-1"}
    label(capsys, servers, two, "--verdict", "test")
    label(capsys, servers, three, "--take-back")
    assert said(settings).keys() == {"s1", "s2"}
    assert said(settings)["s2"][0] is Said.TEST

    label(capsys, servers, three, "--verdict", "false-positive")
    found: list[dict[str, Any]] = json.loads(label(capsys, servers, "--summary", "--json"))
    models = {own["model"]: own for own in found}
    old, new = models["old-1"], models["new-2"]
    assert (old["alerted"], old["attacks"], old["others"], old["tests"], old["unlabelled"]) == (3, 1, 1, 1, 0)
    assert (new["alerted"], new["attacks"], new["others"], new["unlabelled"]) == (2, 1, 0, 1)
    assert (old["precision"], new["precision"]) == (0.5, 1.0)
    table = label(capsys, servers, "--summary")
    assert "50%" in table
    assert "old-1" in table


def test_a_finding_that_is_not_there_is_named_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], servers: str, settings: Settings
) -> None:
    before, absent = said(settings), "f" * 32
    complaint = label(capsys, servers, ALERTS[0].uid, absent, "--verdict", "test", code=ExitCode.FAILURE)
    assert f"no OCSF finding {absent} on the topic anomalies" in complaint
    assert said(settings) == before


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "there is no finding to label"),
        (["x"], "one of --verdict and --take-back"),
        (["x", "--verdict", "benign", "--take-back"], "one of --verdict and --take-back"),
        (["x", "--verdict", "benign", "--attack", "scan"], "--attack and --hostile-from are of a true positive"),
        (["x", "--summary"], "--summary labels nothing"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    assert problem in label(capsys, "127.0.0.1:1", *arguments, code=ExitCode.USAGE)
