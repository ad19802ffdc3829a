"""The Faust agents: they hand batches to the pipeline, and to the next agent or the outbox."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import faust
from faust.types import ChannelT, StreamT

from stream.batches import Batch
from stream.dead_letter_limit import DeadLetterWindow
from stream.intake import Work
from stream.outbox import Outbox
from stream.roles import DetectStage, NormaliseStage
from stream.telemetry import Telemetry

Send = Callable[[Work], Awaitable[None]]


def add_normalise_agent(app: faust.App, stage: NormaliseStage, outbox: Outbox, telemetry: Telemetry) -> Send:
    """Add the agent that turns gateway logs into calls; return how to give it work."""
    channel = app.channel(maxsize=1)
    duration = telemetry.stage_duration.labels("normalise")
    count = _counting(stage.limit, telemetry)

    @app.agent(channel, name="normalise")
    async def normalise(works: StreamT[Work]) -> None:
        async for work in works:
            with answering(work), duration.time():
                work.batch = stage.normaliser.normalise(work.records)
                count(work.batch)
                outbox.put(work.batch)
            work.done.set_result(None)

    return _sender(channel)


def add_detect_agents(app: faust.App, stage: DetectStage, outbox: Outbox, telemetry: Telemetry) -> Send:
    """Add the agents that keep sessions and degree tables, and that run the model; return how to give them work."""
    calls = app.channel(maxsize=1)
    samples = app.channel(maxsize=1)
    detector = stage.detector
    sessionizing = telemetry.stage_duration.labels("sessionize")
    scoring = telemetry.stage_duration.labels("score")
    count = _counting(stage.limit, telemetry)

    @app.agent(calls, name="sessionize")
    async def sessionize(works: StreamT[Work]) -> None:
        async for work in works:
            with answering(work), sessionizing.time():
                work.batch = detector.sessionize(work.records)
                detector.advance(work.idle, work.now, work.batch)
            await samples.send(value=work)

    @app.agent(samples, name="score")
    async def score(works: StreamT[Work]) -> None:
        async for work in works:
            with answering(work), scoring.time():
                detector.score(work.batch)
                count(work.batch)
                outbox.put(work.batch)
            work.done.set_result(None)

    return _sender(calls)


@contextmanager
def answering(work: Work) -> Iterator[None]:
    """Tell the intake, which waits for the work, when an agent fails; Faust's supervisor hears of it too."""
    try:
        yield
    except Exception as error:
        work.done.set_exception(error)
        raise


def _counting(limit: DeadLetterWindow, telemetry: Telemetry) -> Callable[[Batch], None]:
    """Return what counts a batch's dead letters, and raises when they are too many."""
    share = telemetry.dead_letter_share.labels(limit.role)
    telemetry.dead_letter_share_limit.labels(limit.role).set(limit.policy.share)

    def count(batch: Batch) -> None:
        try:
            limit.add(batch)
        finally:
            share.set(limit.share)

    return count


def _sender(channel: ChannelT[Any]) -> Send:
    async def send(work: Work) -> None:
        await channel.send(value=work)

    return send
