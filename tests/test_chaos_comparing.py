"""The checker of the chaos trials can fail: what is lost, doubled or changed is reported."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from featurizer.calls import encode_call
from featurizer.features import GATEWAY_V1
from scorer.judge import Judge
from stream import assembly
from stream.dead_letters import DeadLetter, Reason
from stream.migration import partition_of
from stream.records import Record, TopicPartition
from stream.settings import Settings, load_settings
from stream.wire import dead_letter_record, vector_record
from tests.chaos.comparing import Comparison, compare, repeated_alerts
from tests.chaos.installation import put_model, settings_of
from tests.chaos.items import Item, letter_item, vector_item
from tests.chaos.reference import Detection, normalised, recorded_verdicts
from tests.chaos.schedule import make_schedule
from tests.chaos.traffic import PARTITIONS, make_traffic, markers
from tests.records import Made

START = 1_700_000_000_000
KINDS = ("call", "session", "vector", "alert", "dead letter", "degree")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The settings of a trial, its model in place."""
    bundle = tmp_path_factory.mktemp("chaos") / "model.zip"
    put_model(bundle, 0)
    chosen = settings_of(make_schedule(0), bundle, own_broker=True)
    return load_settings(None, chosen | {"inputs": [{"topic": "gateway-logs", "format": "gatewatch"}]})


@pytest.fixture(scope="module")
def logs() -> list[Made]:
    """The gateway logs of a small trial, the markers last."""
    records = [*make_traffic(3, START, 6_000), *markers(START)]
    return [
        Made(own.value, at, TopicPartition("gateway-logs", own.partition), own.timestamp, own.key)
        for at, own in enumerate(records)
    ]


@pytest.fixture(scope="module")
def calls(settings: Settings, logs: list[Made]) -> list[Made]:
    """What normalising them puts onto the topic of calls."""
    passed_on = assembly.normaliser(settings).normalise(logs).calls
    return [
        Made(
            encode_call(call), at, TopicPartition("api-calls", partition_of(call.client.encode(), PARTITIONS)), arrival
        )
        for at, (call, arrival) in enumerate(passed_on)
    ]


@pytest.fixture(scope="module")
def expected(settings: Settings, logs: list[Made], calls: list[Made]) -> list[Item]:
    """All items of the trial, in the order of the log."""
    detection = Detection(settings, None)
    return [*normalised(settings, logs), *detection.items(calls), *detection.degrees()]


def test_a_run_equals_itself_in_any_order(expected: list[Item]) -> None:
    result = compare(expected, expected[::-1])
    assert result.equal
    assert result.compared.total() == len(expected)
    assert min(result.compared[kind] for kind in KINDS) > 30
    assert result.findings == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_lost_is_reported(kind: str, expected: list[Item]) -> None:
    gone = next(item for item in expected if item.what == kind)
    rest = list(expected)
    rest.remove(gone)
    result = compare(expected, rest)
    assert (result.lost, result.duplicated, result.different) == (Counter({kind: 1}), Counter(), Counter())
    assert len(result.findings) == 1
    assert result.findings[0].startswith(f"{kind} (")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_twice_is_reported(kind: str, expected: list[Item]) -> None:
    twice = next(item for item in expected if item.what == kind)
    result = compare(expected, [*expected, twice])
    assert (result.lost, result.duplicated, result.different) == (Counter(), Counter({kind: 1}), Counter())
    assert "2 instead of 1" in result.findings[0]


@pytest.mark.parametrize("kind", KINDS[1:])
def test_what_is_changed_is_reported_with_both_values(kind: str, expected: list[Item]) -> None:
    item = next(item for item in expected if item.what == kind)
    for name in item.content:
        changed = item._replace(content={**item.content, name: "another"})
        result = compare([item], [changed])
        assert (result.lost, result.duplicated, result.different) == (Counter(), Counter(), Counter({kind: 1}))
        assert f"{name} is another, expected " in result.findings[0]


def test_what_nobody_expected_is_reported(expected: list[Item]) -> None:
    stranger = Item("session", ("another", "closed", 3), {"client": "bob"})
    result = compare(expected, [*expected, stranger])
    assert result.different == Counter(session=1)
    assert result.findings == ["session ('another', 'closed', 3): not expected; client=bob"]


def test_a_copy_that_must_be_there_twice_may_not_be_there_once(expected: list[Item]) -> None:
    """The input holds exact copies; they are passed on as often as they came."""
    call = next(item for item in expected if item.what == "call")
    assert compare([call, call], [call]).lost == Counter(call=1)
    assert compare([call, call], [call, call]).equal


def test_only_the_first_findings_are_kept_and_all_are_counted(expected: list[Item]) -> None:
    result = compare(expected, [])
    assert result.lost == result.compared
    assert len(result.findings) <= 12 * len(KINDS)


def test_a_second_alert_of_a_session_is_reported_whatever_its_uid(expected: list[Item]) -> None:
    """Another model gives another uid, which the comparison by uid would take for an alert of its own."""
    alerts = [item for item in expected if item.what == "alert"]
    assert repeated_alerts(alerts).equal
    again = alerts[0]._replace(identity=("another uid",))
    result = repeated_alerts([*alerts, again])
    assert result.duplicated == Counter(alert=1)


def test_a_dead_letter_is_told_by_its_place_and_compared_by_its_bytes() -> None:
    def item(original: bytes, index: int | None = None) -> Item:
        letter = DeadLetter(Reason.UNDECODABLE, "no JSON", "logs", 1, 7, START, original, index=index)
        record = dead_letter_record("", letter)
        return letter_item(record.key, record.value, record.headers)

    assert compare([item(b"\xff")], [item(b"\xff")]).equal
    assert compare([item(b"\xff")], [item(b"\xfe")]).different == Counter({"dead letter": 1})
    assert compare([item(b"\xff", 1)], [item(b"\xff", 2)]).lost == Counter({"dead letter": 1})


def forgetful(settings: Settings, calls: Sequence[Record], *, forget: bool) -> Comparison:
    """Compare a detector that loses a partition's state half-way, as a worker without checkpoints does."""
    judge = assembly.make_judge(settings, assembly.model_bundle(settings), Judge)
    detector = assembly.detector(settings, judge, assembly.detect_decoders(settings))
    names = [TopicPartition("api-calls", number) for number in range(4)]
    for name in names:
        detector.assign(name)
    found: list[Item] = []
    half = len(calls) // 2
    for part in (calls[:half], calls[half:]):
        batch = detector.sessionize(part)
        detector.score(batch)
        for sample, verdict in zip(batch.samples, batch.verdicts, strict=True):
            record = vector_record("", sample.vector, verdict, GATEWAY_V1)
            found.append(vector_item(record.value, everything=False))
        if forget:
            detector.release(names[:1])
            detector.assign(names[0])
    expected = [item for item in Detection(settings, {}).items(calls) if item.what in {"session", "vector"}]
    return compare(expected, found)


def test_a_worker_that_forgets_its_sessions_is_found_out(settings: Settings, calls: list[Made]) -> None:
    assert forgetful(settings, calls, forget=False).equal
    result = forgetful(settings, calls, forget=True)
    assert result.lost["session"] > 5
    assert result.different["session"] > 0


def test_recorded_verdicts_lead_to_the_alerts_of_the_run_they_are_of(
    settings: Settings, calls: list[Made], tmp_path: Path
) -> None:
    """Though the model is another by now."""
    judge = assembly.make_judge(settings, assembly.model_bundle(settings), Judge)
    detector = assembly.detector(settings, judge, assembly.detect_decoders(settings))
    for number in range(4):
        detector.assign(TopicPartition("api-calls", number))
    batch = detector.sessionize(calls)
    detector.score(batch)
    published = [
        Made(vector_record("", sample.vector, verdict, GATEWAY_V1).value)
        for sample, verdict in zip(batch.samples, batch.verdicts, strict=True)
    ]
    put_model(tmp_path / "model.zip", 1)
    model = settings.model.model_copy(update={"bundle": str(tmp_path / "model.zip")})
    detection = Detection(settings.model_copy(update={"model": model}), recorded_verdicts(published))
    found = list(detection.items(calls))
    alerts = {alert.uid for alert in batch.alerts}
    assert len(alerts) > 30
    assert {item.identity[0] for item in found if item.what == "alert"} == alerts
    totals = detector.degrees.snapshot()
    edges = sum(item.content["edges"] for item in detection.degrees() if "edges" in item.content)
    assert edges == totals.edges
