"""Too many dead letters stop a role before they are written."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from featurizer.calls import ApiCall
from stream.agents import Send, add_detect_agents, add_normalise_agent
from stream.batches import Batch, dead_letter
from stream.dead_letter_limit import DeadLetterPolicy, DeadLetterWindow, TooManyDeadLettersError, entries_of
from stream.dead_letters import DeadLetter, Reason
from stream.errors import ExitCode
from stream.intake import Work
from stream.pipeline import Normaliser
from stream.roles import NormaliseStage
from stream.sections.kafka import TopicsSettings
from stream.telemetry import Telemetry
from tests.records import CALLS, LOGS, NOW, Made, call_record, decode_words, detect_stage, make_detector

CALL = (ApiCall(NOW, "ann", "GET /a"), NOW)
POLICY = DeadLetterPolicy(share=0.1, window=100, minimum=10)


def letters(count: int, reason: Reason = Reason.UNKNOWN_FORMAT, first: int = 0) -> list[DeadLetter]:
    return [dead_letter(Made(b"?", first + at, LOGS), reason, "no format fits") for at in range(count)]


def made(calls: int, dead: int) -> Batch:
    return Batch(calls=[CALL] * calls, dead_letters=letters(dead), records=calls + dead)


def window(**policy: Any) -> DeadLetterWindow:
    return DeadLetterWindow(DeadLetterPolicy(**{"share": 0.1, "window": 100, "minimum": 10} | policy), "normalise")


class TestWindow:
    def test_at_the_limit_it_goes_on_and_above_it_stops(self) -> None:
        own = window()
        own.add(made(90, 10))
        assert own.share == 0.1
        with pytest.raises(TooManyDeadLettersError):
            own.add(made(8, 1))

    def test_a_few_never_stop_a_worker_whatever_their_share(self) -> None:
        own = window()
        own.add(made(0, 9))
        assert (own.share, own.exceeded) == (1.0, False)
        with pytest.raises(TooManyDeadLettersError):
            own.add(made(0, 1))

    def test_what_lies_further_back_than_the_window_does_not_count(self) -> None:
        own = window(share=0.5)
        own.add(made(0, 9))
        own.add(made(100, 0))
        own.add(made(0, 9))
        assert own.share == pytest.approx(9 / 109)

    def test_a_share_of_one_turns_it_off(self) -> None:
        own = window(share=1)
        own.add(made(0, 100_000))
        assert own.share == 1.0

    def test_batches_without_records_do_not_push_others_out(self) -> None:
        own = window()
        own.add(made(0, 9))
        for _ in range(1000):
            own.add(Batch())
        assert own.share == 1.0

    def test_records_that_come_again_after_a_loss_do_not_count_twice(self) -> None:
        own = window()
        own.add(made(0, 9))
        own.clear()
        own.add(made(0, 9))
        assert not own.exceeded

    def test_late_calls_do_not_count(self) -> None:
        own = window()
        own.add(Batch(dead_letters=letters(500, Reason.LATE_CALL), calls=[CALL] * 5, records=505))
        assert (own.share, own.exceeded) == (0, False)

    def test_the_error_names_share_reasons_an_example_and_what_to_do(self) -> None:
        own = window()
        batch = Batch(dead_letters=[*letters(12), *letters(3, Reason.UNDECODABLE, 50)], calls=[CALL] * 5, records=20)
        with pytest.raises(TooManyDeadLettersError) as caught:
            own.add(batch)
        assert str(caught.value) == (
            "75 % of the last 20 records of the role normalise are dead letters, and the limit is 10 % "
            "(dead_letters.limit_share): 12 unknown_format, 3 undecodable; for example logs-0@11: no format fits"
        )
        assert caught.value.exit_code == ExitCode.FAILURE
        assert "restart: nothing is lost" in caught.value.hint

    @given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 30)), max_size=30), st.sampled_from([0.1, 1.0]))
    def test_it_stops_exactly_when_the_last_records_hold_too_many(
        self, sizes: list[tuple[int, int]], share: float
    ) -> None:
        own = window(share=share)
        seen: list[tuple[int, int]] = []
        for calls, dead in sizes:
            seen.append((calls, dead))
            last, size = Counter[str](), 0
            for a_call, a_dead in reversed(seen):
                if size >= POLICY.window:
                    break
                size += a_call + a_dead
                last["dead"] += a_dead
            too_many = last["dead"] >= POLICY.minimum and last["dead"] > share * size
            try:
                own.add(made(calls, dead))
            except TooManyDeadLettersError:
                assert too_many
            else:
                assert not too_many or calls + dead == 0
            assert own.share == pytest.approx(last["dead"] / size if size else 0)


class TestEntries:
    def test_entries_of_one_record_count_one_by_one(self) -> None:
        batch = Normaliser({"logs": decode_words}).normalise([Made(b"5 ann /a\n? no\n6 bob /b", 7, LOGS)])
        assert entries_of(batch) == 3

    def test_calls_refused_by_their_session_count_once(self) -> None:
        records = [
            call_record(0, NOW, request_id="r"),
            call_record(1, NOW - 1001),
            call_record(2, NOW, request_id="r"),
            Made(b"no call", 3),
        ]
        batch = make_detector().sessionize(records)
        assert (entries_of(batch), len(batch.dead_letters)) == (4, 2)


class Puts:
    """An outbox that keeps what it is given."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def put(self, batch: Batch) -> None:
        self.batches.append(batch)


class Channel:
    """Of Faust's channels what the agents use."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Work] = asyncio.Queue(1)

    async def send(self, *, value: Work) -> None:
        await self._queue.put(value)

    def __aiter__(self) -> "Channel":
        return self

    async def __anext__(self) -> Work:
        return await self._queue.get()


class App:
    """Of Faust's application what the agents use; an agent's exception ends it."""

    def __init__(self) -> None:
        self.agents: list[Coroutine[Any, Any, None]] = []

    def channel(self, maxsize: int) -> Channel:
        assert maxsize == 1
        return Channel()

    def agent(self, channel: Channel, name: str) -> Any:
        def decorate(function: Any) -> Any:
            assert function.__name__ == name
            self.agents.append(function(channel))
            return function

        return decorate


def normalising(app: Any, outbox: Any, telemetry: Telemetry) -> Send:
    limit = DeadLetterWindow(POLICY, "normalise")
    stage = NormaliseStage(Normaliser({"logs": decode_words}), TopicsSettings(), limit)
    return add_normalise_agent(app, stage, outbox, telemetry)


def detecting(app: Any, outbox: Any, telemetry: Telemetry) -> Send:
    limit = DeadLetterWindow(POLICY, "detect")
    stage = detect_stage(limit=limit)
    return add_detect_agents(app, stage, outbox, telemetry)


def run_agents(add: Any, batches: Sequence[Sequence[Made]]) -> tuple[Puts, Telemetry, list[BaseException | None]]:
    """Send batches through a role's agents, and return what reached the outbox, the metrics and each one's error."""
    outbox, telemetry = Puts(), Telemetry(CollectorRegistry())

    async def run() -> list[BaseException | None]:
        app = App()
        send = add(app, outbox, telemetry)
        agents = [asyncio.ensure_future(agent) for agent in app.agents]
        ends: list[BaseException | None] = []
        for records in batches:
            work = Work(records, (), NOW, asyncio.get_running_loop().create_future())
            await send(work)
            await asyncio.wait([work.done], timeout=5)
            ends.append(work.done.exception())
        for agent in agents:
            agent.cancel()
        await asyncio.gather(*agents, return_exceptions=True)
        return ends

    ends = asyncio.run(run())
    return outbox, telemetry, ends


@pytest.mark.parametrize(
    ("role", "add", "good"),
    [("normalise", normalising, Made(b"5 ann /a", 0, LOGS)), ("detect", detecting, call_record(0, NOW))],
)
def test_the_batch_that_crosses_the_limit_does_not_reach_the_outbox(role: str, add: Any, good: Made) -> None:
    bad = Made(b"? no", 1, good.source)
    outbox, telemetry, (first, second) = run_agents(add, [[good] * 50, [bad] * 50])
    assert (first, type(second)) == (None, TooManyDeadLettersError)
    assert [batch.records for batch in outbox.batches] == [50]
    sample = telemetry.registry.get_sample_value
    assert sample("gatewatch_dead_letter_share", {"role": role}) == 0.5
    assert sample("gatewatch_dead_letter_share_limit", {"role": role}) == 0.1


@pytest.mark.parametrize("stage", ["normalise", "detect"])
def test_a_lost_partition_starts_the_count_anew(stage: str) -> None:
    limit = DeadLetterWindow(POLICY, stage)
    limit.add(made(0, 9))
    normalising = NormaliseStage(Normaliser({}), TopicsSettings(), limit)
    own = normalising if stage == "normalise" else detect_stage(limit=limit)
    own.drop([CALLS])
    assert limit.share == 0
