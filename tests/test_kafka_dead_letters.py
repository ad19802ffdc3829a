"""``gatewatch dead-letters`` on a real Kafka: what is listed, and what comes back when the cause is mended."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from featurizer.calls import ApiCall, decode_call, encode_call
from stream.clock import now_ms
from stream.errors import ExitCode
from tests.kafka_fixture import Kafka
from tests.kafka_workers import GATEWATCH, Gatewatch

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]

UNTIL_KILLED = """
import os, signal
from stream import dead_letter_replay
from stream.cycle import Transactions
dead_letter_replay._BATCH_RECORDS = 10
send, sent = Transactions._send_offsets, []
def kill(*arguments):
    send(*arguments)
    sent.append(1)
    if len(sent) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
Transactions._send_offsets = kill
from stream.cli import main
raise SystemExit(main())
"""
"""Replays in transactions of ten, and is killed when all of the third one but its end has been sent."""


def deploy(kafka: Kafka, folder: Path) -> Gatewatch:
    """Return an installation whose inputs are read as the wrong format, its topics made."""
    gatewatch = Gatewatch(kafka, folder, {"dead_letters.limit_share": 1})
    gatewatch.settings["inputs"] = [{"topic": gatewatch.logs, "format": "combined"}]
    gatewatch.create_topics()
    return gatewatch


def mend(gatewatch: Gatewatch) -> None:
    gatewatch.settings["inputs"] = [{"topic": gatewatch.logs, "format": "api-call"}]


def command(gatewatch: Gatewatch, *arguments: str, program: Sequence[str] = GATEWATCH) -> tuple[int, str, str]:
    """Run ``gatewatch dead-letters``, and return exit code, output and errors."""
    done = subprocess.run(
        [*program, "dead-letters", *arguments, *gatewatch.flags()],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"COLUMNS": "250", "PATH": "", "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    return done.returncode, done.stdout, done.stderr


def replay(gatewatch: Gatewatch, *arguments: str) -> str:
    """Feed back, and return what the command says."""
    code, out, err = command(gatewatch, "replay", *arguments)
    assert code == 0, err
    return out


def write_calls(gatewatch: Gatewatch, count: int) -> dict[str, int]:
    """Write calls that the wrong format makes dead letters; return the Kafka timestamp of each by request id."""
    producer, now = gatewatch.producer(), now_ms()
    times = {f"r-{at}": now - 1000 + at for at in range(count)}
    for request, time in times.items():
        call = ApiCall(time, f"client-{request}", "GET /a", request_id=request)
        producer.produce(gatewatch.logs, encode_call(call), request, timestamp=time)
    assert producer.flush(10) == 0
    return times


def run_worker(gatewatch: Gatewatch) -> None:
    with gatewatch.worker("normalise") as worker:
        gatewatch.wait_until_read("normalise", gatewatch.logs)
        assert worker.stop() == 0


def headers(record: Message) -> dict[str, Any]:
    return dict(record.headers() or [])


def fed_back(gatewatch: Gatewatch) -> list[Message]:
    """Return the records of the input that a replay wrote."""
    return [record for record in gatewatch.read(gatewatch.logs) if "gatewatch.replayed-from" in headers(record)]


def test_when_the_settings_are_mended_the_calls_arrive_once(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = deploy(kafka, tmp_path)
    times = write_calls(gatewatch, 25)
    run_worker(gatewatch)
    assert gatewatch.read(gatewatch.api_calls) == []
    mend(gatewatch)
    producer = gatewatch.producer()
    good = ApiCall(now_ms(), "good", "GET /a", request_id="good")
    producer.produce(gatewatch.logs, encode_call(good))
    producer.produce(gatewatch.logs, b"\xff garbage")
    assert producer.flush(10) == 0
    run_worker(gatewatch)

    assert "26 undecodable would be fed back to " in replay(gatewatch, "--dry-run", "--source", gatewatch.logs)
    assert fed_back(gatewatch) == []
    assert "26 undecodable fed back to " in replay(gatewatch)
    records = fed_back(gatewatch)
    letters = {f"{own.topic()}-{own.partition()}@{own.offset()}" for own in gatewatch.read(gatewatch.dead_letters)}
    assert {headers(record)["gatewatch.replayed-from"].decode() for record in records} == letters
    calls = [record for record in records if record.key()]
    assert {(record.key() or b"").decode(): record.timestamp()[1] for record in calls} == times
    run_worker(gatewatch)
    requests = [decode_call(record.value() or b"").request_id for record in gatewatch.read(gatewatch.api_calls)]
    assert Counter(requests) == Counter(["good", *times])

    assert replay(gatewatch, "--dry-run").startswith("1 undecodable would be fed back"), "the garbage failed again"
    replay(gatewatch)
    assert replay(gatewatch).startswith("Nothing to feed back.")
    assert len(fed_back(gatewatch)) == 27
    assert "27 undecodable fed back to " in replay(gatewatch, "--again", "--to", gatewatch.features)
    assert len(gatewatch.read(gatewatch.features)) == 27


def test_the_list_shows_what_is_there_and_leaves_no_group(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = deploy(kafka, tmp_path)
    code, out, _ = command(gatewatch, "list")
    assert (code, out) == (0, "No dead letters.\n")
    began = now_ms()
    write_calls(gatewatch, 30)
    run_worker(gatewatch)
    producer = gatewatch.producer()
    producer.produce(gatewatch.dead_letters, b"of another program")
    assert producer.flush(10) == 0

    code, out, err = command(gatewatch, "list", "--limit", "3")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == ["undecodable", "30"]
    assert out.count(f"{gatewatch.dead_letters}-") == 3
    assert f"{gatewatch.logs}-" in out
    assert "client-r-" in out

    lines = [json.loads(line) for line in command(gatewatch, "list", "--json")[1].splitlines()]
    assert len(lines) == 30
    assert {decode_call(line["original"].encode()).request_id for line in lines} == {f"r-{at}" for at in range(30)}
    assert {line["topic"] for line in lines} == {gatewatch.logs}
    for filters, count in (
        (("--since", "1h"), 30),
        (("--since", "2100-01-01"), 0),
        (("--source", "elsewhere"), 0),
        (("--reason", "late_call"), 0),
        (("--reason", "late_call", "--reason", lines[0]["reason"], "--limit", "7"), 7),
    ):
        assert len(command(gatewatch, "list", "--json", *filters)[1].splitlines()) == count, filters
    assert all(line["time"] >= began for line in lines)

    groups = {group.group_id for group in kafka.admin().list_consumer_groups().result().valid}
    assert not {group for group in groups if group.startswith(kafka.prefix) and "dead-letters" in group}


def test_a_replay_that_is_killed_leaves_nothing_twice(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = deploy(kafka, tmp_path)
    times = write_calls(gatewatch, 45)
    run_worker(gatewatch)

    code, _, _ = command(gatewatch, "replay", program=[sys.executable, "-c", UNTIL_KILLED])
    assert code == -9
    assert "fed back" in replay(gatewatch)
    requests = [(record.key() or b"").decode() for record in fed_back(gatewatch)]
    assert Counter(requests) == Counter(list(times))
    assert replay(gatewatch).startswith("Nothing to feed back.")


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_what_a_filter_leaves_out_is_found_later(guarantee: str, kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = deploy(kafka, tmp_path)
    gatewatch.settings["delivery.guarantee"] = guarantee
    times = write_calls(gatewatch, 5)
    run_worker(gatewatch)
    assert replay(gatewatch, "--reason", "late_call").splitlines() == [
        "Nothing to feed back.",
        "5 left out by the filters: a later replay finds them",
    ]
    assert "5 undecodable fed back to " in replay(gatewatch, "--reason", "undecodable")
    assert replay(gatewatch).startswith("Nothing to feed back.")
    assert {(record.key() or b"").decode() for record in fed_back(gatewatch)} == set(times)


def test_without_a_topic_or_a_broker_the_exit_code_is_3(kafka: Kafka, tmp_path: Path) -> None:
    gatewatch = Gatewatch(kafka, tmp_path)
    for name in ("list", "replay"):
        code, _, err = command(gatewatch, name)
        assert code == ExitCode.UNREACHABLE
        assert f"missing topic: {gatewatch.dead_letters}" in err
    gatewatch.settings["kafka.bootstrap_servers"] = "127.0.0.1:1"
    code, _, err = command(gatewatch, "list")
    assert code == ExitCode.UNREACHABLE
    assert "no broker answers at 127.0.0.1:1" in err
