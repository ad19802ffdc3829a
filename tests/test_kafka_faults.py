"""Whatever ends or stops a worker, a consumer that reads committed records sees each call and each alert once."""

import random
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from featurizer.calls import ApiCall, decode_call, encode_call
from stream.clock import now_ms
from tests.kafka_broker import free_port
from tests.kafka_fixture import Kafka
from tests.kafka_workers import LIVELY, PARTITIONS, Gatewatch, Load, alarmed, wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]

KILLS = 4


def deploy(kafka: Kafka, folder: Path, **more: object) -> Gatewatch:
    """Return an installation that alerts on everything, its topics made; ``more`` has ``__`` for the dots."""
    settings = dict(LIVELY) | alarmed(folder) | {name.replace("__", "."): value for name, value in more.items()}
    gatewatch = Gatewatch(kafka, folder, settings)
    gatewatch.settings["inputs"] = [{"topic": gatewatch.logs, "format": "api-call"}]
    gatewatch.create_topics()
    return gatewatch


def assert_alerts_once(gatewatch: Gatewatch) -> None:
    """No alert twice, and of each session at most one early and one closing alert."""
    findings = [own for own in gatewatch.documents(gatewatch.anomalies) if own["unmapped"]["kind"] != "raised"]
    assert len(findings) > 100
    assert repeated(own["metadata"]["uid"] for own in findings) == []
    assert repeated((own["metadata"]["correlation_uid"], own["unmapped"]["kind"]) for own in findings) == []
    assert repeated(own["session_id"] for own in gatewatch.closed_sessions()) == []


def assert_calls_once(gatewatch: Gatewatch, load: Load) -> None:
    """Every call that was written was passed on, and none twice."""
    passed_on = [decode_call(record.value() or b"").request_id for record in gatewatch.read(gatewatch.api_calls)]
    assert repeated(passed_on) == []
    assert set(passed_on) == set(load.requests)


def moved(gatewatch: Gatewatch, role: str, topic: str, before: dict[int, int]) -> bool:
    """Tell whether a role has committed something since."""
    return gatewatch.committed(role, topic) != before


def repeated(items: Any) -> list[Any]:
    """Return the items that are there more than once."""
    return [item for item, count in Counter(items).items() if count > 1]


@pytest.mark.parametrize("role", ["detect", "all"])
def test_a_killed_worker_leaves_nothing_twice(role: str, kafka: Kafka, tmp_path: Path) -> None:
    """Its successor has its name in the group, so that it need not wait until the group misses it."""
    gatewatch = deploy(kafka, tmp_path, kafka__properties__group__instance__id="the-worker")
    first, source = ("detect", gatewatch.api_calls) if role == "detect" else ("normalise", gatewatch.logs)
    moments, port = random.Random(role), free_port()  # noqa: S311 -- not secret
    committed = []
    with Load(gatewatch.producer(), source, rate=3000, keyed=role == "detect") as load:
        for _ in range(KILLS):
            with gatewatch.worker(role, port) as worker:
                before = gatewatch.committed(first, source)
                wait_for(partial(moved, gatewatch, first, source, before), "the worker to commit something")
                time.sleep(moments.uniform(0, 0.6))
                worker.kill()
            committed.append(sum(gatewatch.committed(first, source).values()))
            assert committed[-1] < len(load.requests), "it was killed with work before it"
    with gatewatch.worker(role, port) as worker:
        gatewatch.wait_until_read(first, source)
        if role == "all":
            gatewatch.wait_until_read("detect", gatewatch.api_calls)
        assert worker.stop() == 0
    assert committed == sorted(set(committed)), "each life got further than the one before"
    assert_alerts_once(gatewatch)
    if role == "all":
        assert_calls_once(gatewatch, load)


def test_sigterm_commits_everything_and_leaves_the_group(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = deploy(kafka, tmp_path)
    with Load(gatewatch.producer(), gatewatch.logs, rate=3000, keyed=False) as load:
        with gatewatch.worker() as worker:
            worker.wait_ready()
            wait_for(lambda: worker.metric("gatewatch_alerts_total") > 0, "alerts")
            assert worker.stop() == 0
        assert gatewatch.members("normalise") == gatewatch.members("detect") == 0
        done = sum(gatewatch.committed("normalise", gatewatch.logs).values())
        assert 0 < done < len(load.requests)
        assert len(gatewatch.read(gatewatch.api_calls)) == done, "what is committed was passed on"

    with gatewatch.worker() as worker:
        gatewatch.wait_until_read("normalise", gatewatch.logs)
        gatewatch.wait_until_read("detect", gatewatch.api_calls)
        assert worker.metric("gatewatch_calls_total", format="api-call") >= len(load.requests) - done
        wait_for(lambda: gatewatch.calls_known() == len(load.requests), "each call to be in one session, or late")
        assert worker.metric("gatewatch_replayed_records_total") == 0, (
            "the checkpoint on the way out left nothing to do"
        )
        assert worker.stop() == 0
    assert_calls_once(gatewatch, load)
    assert_alerts_once(gatewatch)


def test_a_stopped_process_that_wakes_up_does_nothing_twice(kafka: Kafka, tmp_path: Path) -> None:
    """Its partitions have gone to another worker; it comes back in the middle of what it was doing."""
    gatewatch = deploy(kafka, tmp_path, kafka__transaction_timeout_s=30)
    with (
        gatewatch.worker("normalise") as sleeper,
        gatewatch.worker("normalise") as other,
        Load(gatewatch.producer(), gatewatch.logs, rate=3000, keyed=False) as load,
    ):
        wait_for(lambda: sleeper.partitions("normalise") == other.partitions("normalise") == PARTITIONS / 2, "halves")
        wait_for(lambda: len(load.requests) > 3000, "load")
        sleeper.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: other.partitions("normalise") == PARTITIONS, "the other to have all partitions")
        time.sleep(1)
        sleeper.process.send_signal(signal.SIGCONT)
        wait_for(lambda: sleeper.partitions("normalise") == other.partitions("normalise") == PARTITIONS / 2, "halves")
        assert "partitions lost to another worker" in sleeper.output()
        load.__exit__()
        gatewatch.wait_until_read("normalise", gatewatch.logs)
        assert [sleeper.stop(), other.stop()] == [0, 0]
    assert_calls_once(gatewatch, load)


@pytest.mark.parametrize(("role", "step"), [("normalise", "Normaliser.normalise"), ("detect", "Detector.score")])
def test_a_defect_in_an_agent_ends_the_worker(role: str, step: str, kafka: Kafka, tmp_path: Path) -> None:
    """It commits nothing of the batch, so that the next worker reads it again."""
    gatewatch = deploy(kafka, tmp_path)
    owner, method = step.split(".")
    broken = "def broken(*_): raise RuntimeError('a defect')"
    defect = f"{broken}\nfrom stream.pipeline import {owner}\n{owner}.{method} = broken"
    with (
        gatewatch.worker("all", before=defect) as worker,
        Load(gatewatch.producer(), gatewatch.logs, rate=500, keyed=False),
    ):
        assert worker.wait_ended() == 1
    assert "the worker stops" in worker.output()
    assert f"error='a defect' role={role}" in worker.output()
    assert "error: the worker stopped on an error" in worker.output()
    topic = gatewatch.logs if role == "normalise" else gatewatch.api_calls
    assert sum(gatewatch.committed(role, topic).values()) == 0
    assert gatewatch.members(role) == 0, "it left the group, so that the next worker need not wait"


@pytest.mark.parametrize("role", ["normalise", "detect"])
def test_a_topic_full_of_garbage_ends_the_worker(role: str, kafka: Kafka, tmp_path: Path) -> None:
    """Calls that came before are not held up; of the garbage nothing is committed, so that it is read again."""
    gatewatch = deploy(kafka, tmp_path)
    topic = gatewatch.logs if role == "normalise" else gatewatch.api_calls
    producer = gatewatch.producer()
    with gatewatch.worker(role) as worker:
        worker.wait_ready()
        for at in range(1000):
            producer.produce(topic, encode_call(ApiCall(now_ms(), f"ann-{at}", "GET /a")), f"ann-{at}")
        assert producer.flush(10) == 0
        gatewatch.wait_until_read(role, topic)
        before = gatewatch.committed(role, topic)
        assert worker.metric("gatewatch_dead_letter_share", role=role) == 0
        assert worker.metric("gatewatch_dead_letter_share_limit", role=role) == 0.05
        # In one batch, as after a deploy: to one partition, in one request.
        for _ in range(200):
            producer.produce(topic, b"no call", b"nobody", partition=0)
        assert producer.flush(10) == 0
        assert worker.wait_ended() == 1
    errors = worker.output().rpartition("error: ")[2]
    assert f"records of the role {role} are dead letters, and the limit is 5 %" in errors
    assert "undecodable; for example " in errors
    assert "next: correct the gateway's log format or the settings" in errors
    assert gatewatch.committed(role, topic) == before
    assert gatewatch.read(gatewatch.dead_letters) == []
    assert gatewatch.members(role) == 0


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_a_topic_that_refuses_records_ends_the_worker(guarantee: str, kafka: Kafka, tmp_path: Path) -> None:
    kafka.create_topic("features", PARTITIONS, {"max.message.bytes": "200", "retention.ms": str(720 * 3_600_000)})
    gatewatch = deploy(kafka, tmp_path, delivery__guarantee=guarantee)
    with gatewatch.worker() as worker, Load(gatewatch.producer(), gatewatch.logs, rate=500, keyed=False):
        assert worker.wait_ended() == 1
    assert "MSG_SIZE_TOO_LARGE" in worker.output()
    assert "error: the worker stopped on an error" in worker.output()
    assert sum(gatewatch.committed("detect", gatewatch.api_calls).values()) == 0


@pytest.mark.alone
def test_a_broker_that_crashes_and_comes_back_loses_and_doubles_nothing(kafka: Kafka, tmp_path: Path) -> None:
    """It is away for longer than the worker's place in its groups is kept, and back before the worker gives up."""
    gatewatch = deploy(kafka, tmp_path, kafka__transaction_timeout_s=120)
    with gatewatch.worker() as worker, Load(gatewatch.producer(), gatewatch.logs, rate=2000, keyed=False) as load:
        wait_for(lambda: worker.metric("gatewatch_alerts_total") > 0, "alerts")
        kafka.kill()
        time.sleep(7)
        kafka.restart()
        load.__exit__()
        gatewatch.wait_until_read("normalise", gatewatch.logs)
        gatewatch.wait_until_read("detect", gatewatch.api_calls)
        assert worker.stop() == 0
    assert_calls_once(gatewatch, load)
    assert_alerts_once(gatewatch)
