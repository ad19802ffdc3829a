"""The topic of models on a real Kafka: all workers take up what is promoted there, without a signal."""

import json
import os
from pathlib import Path

import pytest

from scorer.bundle import ModelBundle
from stream.assembly import SCHEMA
from stream.bundles import read_bundle, write_bundle
from stream.errors import CommandError, ExitCode
from stream.model_publishing import publish_trial
from stream.model_records import ModelRecord, ModelRole, Present, promotion, trial_record
from stream.model_topic import ModelTopic
from stream.settings import load_settings
from tests.kafka_fixture import Kafka
from tests.kafka_workers import LIVELY, Gatewatch, Load, Worker, wait_for
from tests.model_factory import make_bundle

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]


def followers(kafka: Kafka, folder: Path, **more: object) -> Gatewatch:
    """Return an installation whose workers follow the topic; topics are made."""
    names = {"topics.models": kafka.prefix + "models", "model.bundle": "topic:"}
    gatewatch = Gatewatch(kafka, folder, {**LIVELY, **names, "model.minimum_edges": 0, **more})
    gatewatch.create_topics()
    return gatewatch


def written(folder: Path, name: str, bundle: ModelBundle) -> str:
    """Write a bundle and return where."""
    write_bundle(folder / name, bundle.to_files())
    return str(folder / name)


def done(gatewatch: Gatewatch, *arguments: str) -> str:
    """Run a command that succeeds; return what it says."""
    code, out, err = gatewatch.command(*arguments)
    assert code == 0, err
    return out


def judging(workers: list[Worker], champion: str, challenger: str | None) -> None:
    """Return when all workers judge with these models."""

    def judge_so(worker: Worker) -> bool:
        trial = {} if challenger is None else {"uid": challenger}
        return (
            worker.metric("gatewatch_model_info", uid=champion) == 1
            and worker.metric("gatewatch_challenger_info", **trial) == len(trial)
            and worker.metric("gatewatch_challenger_info") == len(trial)
        )

    wait_for(lambda: all(map(judge_so, workers)), f"champion {champion} and challenger {challenger}")


def test_all_workers_follow_trial_promotion_and_rollback(kafka: Kafka, tmp_path: Path) -> None:
    """The first model calls nothing anomalous, the second everything. It is larger than brokers take by default."""
    calm, strict = (make_bundle(threshold_open=limit, threshold_closed=limit) for limit in (1.0, 0.0))
    strict = strict.with_documents({"notes.bin": os.urandom(3 << 20)})
    gatewatch = followers(kafka, tmp_path)
    done(gatewatch, "promote", "--challenger", written(tmp_path, "calm", calm))
    with gatewatch.worker("detect") as one, gatewatch.worker("detect") as two:
        workers = [one, two]
        with Load(gatewatch.producer(), gatewatch.api_calls, rate=100, keyed=True):
            judging(workers, calm.uid, None)
            done(gatewatch, "models", "try", written(tmp_path, "strict", strict))
            judging(workers, calm.uid, strict.uid)
            assert gatewatch.read(gatewatch.anomalies) == []
            said = json.loads(done(gatewatch, "promote", "--json"))
            assert (said["promoted"], said["replaced"]) == (strict.uid, calm.uid)
            judging(workers, strict.uid, None)
            wait_for(lambda: len(gatewatch.read(gatewatch.anomalies)) > 0, "alerts of the promoted model")
        finding = gatewatch.documents(gatewatch.anomalies)[0]["metadata"]["uid"]
        done(gatewatch, "label", finding, "--verdict", "true-positive")
        right = {"name": "gatewatch_model_precision", "model": strict.uid}
        wait_for(lambda: all(own.metric(**right) == 1 for own in workers), "the label in every worker's metrics")
        producer = gatewatch.producer()
        producer.produce(kafka.prefix + "models", b"broken", b"champion")
        assert producer.flush(30) == 0
        reloads = "gatewatch_model_reloads_total"
        wait_for(lambda: all(own.metric(reloads, result="refused") == 1 for own in workers), "refusals")
        judging(workers, strict.uid, None)
        done(gatewatch, "promote", "--rollback")
        judging(workers, calm.uid, None)
        assert [worker.stop() for worker in workers] == [0, 0]
    roles = json.loads(done(gatewatch, "models", "show", "--json"))
    assert (roles[0]["role"], roles[0]["uid"]) == ("champion", calm.uid)
    done(gatewatch, "models", "save", "champion", str(tmp_path / "saved.zip"))
    assert read_bundle(tmp_path / "saved.zip", SCHEMA).uid == calm.uid


def test_a_worker_does_not_start_without_a_champion(kafka: Kafka, tmp_path: Path) -> None:
    """One that judges nothing needs none."""
    gatewatch = followers(kafka, tmp_path)
    with gatewatch.worker("normalise") as normalising, gatewatch.worker("detect") as worker:
        assert worker.wait_ended() == ExitCode.USAGE
        normalising.wait_ready()
        assert normalising.metric("gatewatch_model_info") == 0
        assert normalising.stop() == 0
    assert "models has no champion" in worker.output()
    assert "gatewatch promote --bundle topic: --challenger BUNDLE" in worker.output()


def test_of_two_promotions_at_the_same_time_the_first_fails(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = followers(kafka, tmp_path)
    settings = load_settings(overrides=gatewatch.settings)
    first, second = (trial_record(make_bundle(seed=seed), 0, 8_388_608) for seed in range(2))

    def meanwhile(present: Present, time: int) -> list[ModelRecord]:
        with ModelTopic(settings) as other:
            other.change(lambda found, now: promotion(found, second, now, SCHEMA))
        return promotion(present, first, time, SCHEMA)

    with ModelTopic(settings) as topic:
        with pytest.raises(CommandError, match="models could not be changed"):
            topic.change(meanwhile)
        assert {role: record.uid for role, record in topic.read().items()} == {ModelRole.CHAMPION: second.uid}


def test_a_topic_that_takes_less_than_the_setting_says_changes_nothing(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = followers(kafka, tmp_path, **{"topics.models_record_bytes": 1 << 20})
    settings = load_settings(overrides={**gatewatch.settings, "topics.models_record_bytes": 8 << 20})
    large = make_bundle().with_documents({"notes.bin": os.urandom(2 << 20)})
    with pytest.raises(CommandError, match="Message size too large") as error:
        publish_trial(settings, written(tmp_path, "large", large), SCHEMA)
    assert "gatewatch topics create --check" in error.value.hint
    with ModelTopic(settings) as topic:
        assert topic.read() == {}


def test_without_transactions_a_promotion_works_too(kafka: Kafka, tmp_path: Path) -> None:
    first, second = (make_bundle(seed=seed) for seed in range(2))
    gatewatch = followers(kafka, tmp_path, **{"delivery.guarantee": "at_least_once"})
    done(gatewatch, "promote", "--challenger", written(tmp_path, "first", first))
    done(gatewatch, "models", "try", written(tmp_path, "second", second))
    done(gatewatch, "promote")
    with gatewatch.worker("detect") as worker:
        judging([worker], second.uid, None)
        assert worker.stop() == 0
    roles = json.loads(done(gatewatch, "models", "show", "--json"))
    assert [(own["role"], own["uid"]) for own in roles] == [("champion", second.uid), ("previous", first.uid)]
