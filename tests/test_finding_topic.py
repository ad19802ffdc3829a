"""A finding's vector, looked up around the time at which both were written."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import pytest

from featurizer.features import ACCESS_BEHAVIOUR_V1, FeatureVector
from stream import finding_topic
from stream.encodings.ocsf import detection_finding
from stream.encodings.records import alert_record
from stream.errors import CommandError
from stream.finding_topic import named_findings, vector_of
from stream.findings import read_finding
from stream.sections.detection import AlertEncoding
from stream.settings import load_settings
from stream.wire import vector_record
from tests.alerting import VECTOR, alert_of, vector
from tests.records import Made

CREATED = 1_700_000_050_000
MINUTE = 60_000


class MemoryTopic:
    """A topic of one partition, whose offsets are times."""

    kept: list[Made]

    def __init__(self, _settings: Any, name: str, _group: str) -> None:
        assert name in {"features", "anomalies"}
        self.bounds = {0: (0, 1 << 62)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def since(self, time_ms: int | None) -> dict[int, int]:
        return {0: time_ms or 0}

    def messages(self, starts: Mapping[int, int], _at_once: int) -> Iterator[Made]:
        yield from (own for own in self.kept if starts[0] <= own.at < self.bounds[0][1])


def kept(own: FeatureVector, time: int = CREATED) -> Made:
    record = vector_record("features", own, None, ACCESS_BEHAVIOUR_V1)
    return Made(record.value, time, name=record.key)


def looked_up(monkeypatch: pytest.MonkeyPatch, *records: Made) -> FeatureVector | None:
    monkeypatch.setattr(MemoryTopic, "kept", list(records), raising=False)
    monkeypatch.setattr(finding_topic, "WholeTopic", MemoryTopic)
    return vector_of(load_settings(), read_finding(detection_finding(alert_of(), CREATED)))


def test_it_is_that_of_the_same_session_at_the_same_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [vector(client="bob"), vector(session_id="s2"), vector(calls=8), VECTOR, vector(calls=32)]
    foreign = Made(b"of another program", CREATED, name=VECTOR.client.encode())
    found = looked_up(monkeypatch, foreign, *map(kept, others))
    assert found is not None
    assert (found.client, found.session_id, found.calls) == (VECTOR.client, VECTOR.session_id, VECTOR.calls)


@pytest.mark.parametrize("away", [-3 * MINUTE, 3 * MINUTE])
def test_it_is_not_looked_for_far_away_in_time(monkeypatch: pytest.MonkeyPatch, away: int) -> None:
    assert looked_up(monkeypatch, kept(VECTOR, CREATED + away)) is None


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("ocsf", "retention"), ("ecs", "alerts.encoding is ecs, and only"), ("cef", "alerts.encoding is cef, and only")],
)
def test_of_a_finding_that_is_not_found_the_error_says_what_is_read(
    monkeypatch: pytest.MonkeyPatch, encoding: AlertEncoding, said: str
) -> None:
    """An alert on the topic in another encoding is none that a command can use."""
    uid = read_finding(detection_finding(alert_of(), CREATED)).uid
    there = (
        [] if encoding == "ocsf" else [Made(alert_record("anomalies", alert_of(), CREATED, encoding).value, CREATED)]
    )
    monkeypatch.setattr(MemoryTopic, "kept", there, raising=False)
    monkeypatch.setattr(finding_topic, "WholeTopic", MemoryTopic)
    with pytest.raises(CommandError, match=f"no OCSF finding {uid} on the topic anomalies") as caught:
        named_findings(load_settings(overrides={"alerts.encoding": encoding}), [uid])
    assert said in caught.value.hint
    assert "give a file" in caught.value.hint
