"""What signals do to a worker."""

import signal
import time
from pathlib import Path

import pytest

from stream.bundles import write_bundle
from tests.kafka_fixture import Kafka
from tests.kafka_workers import LIVELY, Gatewatch, Load, wait_for
from tests.model_factory import make_bundle

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]


def test_a_second_signal_ends_a_worker_at_once(kafka: Kafka, tmp_path: Path) -> None:
    """The first one waits for brokers that are gone."""
    gatewatch = Gatewatch(kafka, tmp_path)
    gatewatch.create_topics()
    with gatewatch.worker("detect") as worker:
        worker.wait_ready()
        producer = gatewatch.producer()
        kafka.kill()
        worker.process.send_signal(signal.SIGTERM)
        time.sleep(1)
        ended_early = worker.process.poll()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.wait_ended(20) in {0, 1}
        assert ended_early is not None or "a second signal" in worker.output()
        assert producer.flush(0) == 0


def test_a_shutdown_that_hangs_has_an_end(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = Gatewatch(kafka, tmp_path, {"delivery.shutdown_timeout_s": 1})
    gatewatch.create_topics()
    hang = "from stream.reader import Reader\nasync def forever(_):\n    import asyncio\n    await asyncio.sleep(900)\n"
    with gatewatch.worker("detect", before=hang + "Reader.close = forever") as worker:
        worker.wait_ready()
        began = time.monotonic()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.wait_ended() == 1
        assert time.monotonic() - began < 30, "the usual limit is 40 s"
    assert "stopping took longer than 11 s" in worker.output()


def test_a_worker_that_fails_has_an_end_even_if_it_hangs_then(kafka: Kafka, tmp_path: Path) -> None:
    """Whoever restarts workers waits for it: one that has failed and stays is worse than none."""
    gatewatch = Gatewatch(kafka, tmp_path, {"delivery.shutdown_timeout_s": 1})
    gatewatch.create_topics()
    hang = "import asyncio\nfrom stream.reader import Reader\nasync def forever(_): await asyncio.sleep(900)\n"
    fail = "async def fail(*_): raise RuntimeError('a defect')\n"
    with gatewatch.worker("detect", before=f"{hang}{fail}Reader.close, Reader.consume = forever, fail") as worker:
        assert worker.wait_ended() == 1
    assert "a defect" in worker.log.read_text()
    assert "stopping took longer than 11 s" in worker.output()


def test_a_worker_that_is_stuck_ends_and_says_where(kafka: Kafka, tmp_path: Path) -> None:
    """With the interpreter lock held, no thread of Python could end it."""
    gatewatch = Gatewatch(kafka, tmp_path)
    gatewatch.create_topics()
    stuck = "import ctypes\nfrom stream import host\nfrom stream.reader import Reader\nhost.STUCK_S = 3\n"
    stuck += "async def stuck_here(*_): ctypes.PyDLL(None).sleep(900)\nReader.consume = stuck_here"
    with gatewatch.worker("detect", before=stuck) as worker:
        assert worker.wait_ended() == 1
    assert "stuck_here" in worker.output()


def test_a_worker_that_takes_its_time_to_stop_is_not_stuck(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = Gatewatch(kafka, tmp_path)
    gatewatch.create_topics()
    slow = "import asyncio\nfrom stream import host\nfrom stream.reader import Reader\nhost.STUCK_S = 2\n"
    slow += "close = Reader.close\nasync def slowly(self): await asyncio.sleep(5); await close(self)\n"
    slow += "Reader.close = slowly"
    with gatewatch.worker("detect", before=slow) as worker:
        worker.wait_ready()
        assert worker.stop() == 0


def test_a_worker_that_is_stopped_while_it_connects_ends_in_good_order(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = Gatewatch(kafka, tmp_path)
    gatewatch.create_topics()
    slow = (
        "from stream.cycle import Transactions\ndef connect(_):\n    import time\n    print('connecting', flush=True)\n"
    )
    slow += "    time.sleep(2)\nTransactions.start = connect"
    with gatewatch.worker("detect", before=slow) as worker:
        wait_for(lambda: "connecting" in worker.output(), "the worker to connect")
        worker.process.send_signal(signal.SIGTERM)
        assert worker.wait_ended() == 0


def test_sighup_reloads_the_model_and_a_broken_one_changes_nothing(kafka: Kafka, tmp_path: Path) -> None:
    bundle = tmp_path / "model"
    write_bundle(bundle, make_bundle(threshold_open=0.5).to_files())
    gatewatch = Gatewatch(kafka, tmp_path, {"model.bundle": str(bundle)})
    gatewatch.create_topics()
    other = make_bundle(threshold_open=0.25)
    with gatewatch.worker("detect") as worker:
        worker.wait_ready()
        assert worker.metric("gatewatch_model_info", uid=other.uid) == 0
        write_bundle(bundle, other.to_files())
        worker.process.send_signal(signal.SIGHUP)
        wait_for(lambda: worker.metric("gatewatch_model_info", uid=other.uid) == 1, "the other model")
        (bundle / "ensemble.npz").write_bytes(b"broken")
        worker.process.send_signal(signal.SIGHUP)
        wait_for(lambda: worker.metric("gatewatch_model_reloads_total", result="refused") == 1, "a refusal")
        assert worker.metric("gatewatch_model_info", uid=other.uid) == 1
        assert worker.stop() == 0


def test_a_challenger_is_tried_on_live_traffic_and_promoted(kafka: Kafka, tmp_path: Path) -> None:
    """The champion calls nothing anomalous and the challenger everything, until it is the champion."""
    champion, trial = (make_bundle(threshold_open=limit, threshold_closed=limit) for limit in (1.0, 0.0))
    for name, bundle in (("model", champion), ("trial", trial)):
        write_bundle(tmp_path / name, bundle.to_files())
    paths = {"model.bundle": str(tmp_path / "model"), "model.challenger": str(tmp_path / "trial")}
    gatewatch = Gatewatch(kafka, tmp_path, {**LIVELY, **paths, "model.minimum_edges": 0, "drift.minimum_vectors": 2})
    gatewatch.create_topics()
    with gatewatch.worker("detect") as worker, Load(gatewatch.producer(), gatewatch.api_calls, rate=300, keyed=True):
        worker.wait_ready()
        wait_for(lambda: len(gatewatch.documents(gatewatch.features)) > 20, "verdicts")
        assert worker.metric("gatewatch_challenger_verdicts_total", champion="normal", challenger="anomalous") > 0
        assert worker.metric("gatewatch_alerts_total") == 0
        assert worker.metric("gatewatch_challenger_alerts_total") > 0
        assert worker.metric("gatewatch_drift_window_vectors") > 0
        for own in gatewatch.documents(gatewatch.features):
            assert (own["verdict"]["model"], own["challenger"]["model"]) == (champion.uid, trial.uid)
        code, _, err = gatewatch.command("promote")
        assert code == 0, err
        worker.process.send_signal(signal.SIGHUP)
        wait_for(lambda: worker.metric("gatewatch_model_info", uid=trial.uid) == 1, "the promoted model")
        wait_for(lambda: len(gatewatch.read(gatewatch.anomalies)) > 0, "its alerts")
        assert worker.stop() == 0
