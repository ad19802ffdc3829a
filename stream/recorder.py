"""Recorder: a replay that keeps what the detector saw, verdict by verdict and call by call, to measure it by."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featurizer.calls import ApiCall
from featurizer.degree_snapshots import DegreeSnapshot
from featurizer.sessions import Outcome
from scorer.alerts import AlertKind
from scorer.bundle import ModelBundle
from scorer.judge import is_complete
from scorer.labelling import AttackLabel, LabelledVectors, label_vectors
from scorer.recording import Calls, Recording
from scorer.verdicts import Readiness, Verdict
from stream.adapters import Decoded
from stream.batches import Batch, Decode
from stream.errors import CommandError
from stream.records import REPLAY
from stream.replay import Progress, Replay
from stream.settings import Settings

if TYPE_CHECKING:
    from featurizer.features import FeatureVector

Change = Callable[[ApiCall], Iterable[ApiCall]]
"""What becomes of a call of the log: itself, others, none."""

SessionKey = tuple[int, int]
"""Offset and ordinal of the call that opened a session: no two sessions of a partition share both."""


class Recorder(Replay):
    """One run over labelled files.

    Args:
        settings: as for ``run``; the linger is taken as 0.
        bundle: the model.
        log_format: format of the files.
        change: applied to every call before it is put into a session.
    """

    def __init__(
        self, settings: Settings, bundle: ModelBundle, log_format: str = "auto", change: Change | None = None
    ) -> None:
        super().__init__(settings, bundle, log_format)
        state = self._detector.partitions[REPLAY]
        if change is not None and state.decode is not None:
            state.decode = _changed(state.decode, change)
        self._schema = bundle.schema
        self._windows, self._observe = state.windows, state.observe
        state.observe = self._record
        self._vectors: list[FeatureVector] = []
        self._verdicts: list[Verdict] = []
        self._clock = array("q")
        self._places = array("q")  # of each vector's session, in the order of the sessions' first calls
        self._raised: list[str] = []
        self._sessions: dict[SessionKey, int] = {}
        self._session, self._time, self._endpoint = array("q"), array("q"), array("q")
        self._endpoints: dict[str, int] = {}

    def record(
        self, files: Iterable[Path], labels: Sequence[AttackLabel], progress: Progress = lambda _: None
    ) -> tuple[Recording, DegreeSnapshot]:
        """Return the recording, and the degree table at its end.

        Raises:
            CommandError: there is no session in the files.
            OSError: a file cannot be read.
        """
        for batch in self.run(files, progress):
            self._keep(batch)
        try:
            vectors = label_vectors(self._vectors, labels, self._schema)
        except ValueError as error:
            raise CommandError(f"--calls: {error}", "gatewatch replay shows what is wrong with the lines") from error
        return self._recording(vectors), self.degrees

    def _recording(self, vectors: LabelledVectors) -> Recording:
        session = np.empty(len(self._sessions), dtype=np.intp)
        session[np.array(self._places)] = vectors.session
        numbers, clients = {}, {}
        for vector, number in zip(self._vectors, vectors.session.tolist(), strict=True):
            numbers[vector.session_id], clients[number] = number, vector.client
        return Recording(
            vectors=vectors,
            scores=np.array([verdict.score for verdict in self._verdicts]),
            complete=np.array([is_complete(vector) for vector in self._vectors]),
            alerting=np.array([verdict.anomalous for verdict in self._verdicts]),
            ready=np.array([verdict.readiness is Readiness.READY for verdict in self._verdicts]),
            clock=np.array(self._clock, dtype=np.int64),
            raised=np.array([numbers[alerted] for alerted in self._raised], dtype=np.intp),
            clients=tuple(clients[number] for number in range(len(clients))),
            calls=Calls(
                session=session[np.array(self._session, dtype=np.intp)],
                time=np.array(self._time, dtype=np.int64),
                endpoint=np.array(self._endpoint, dtype=np.intp),
                endpoints=tuple(self._endpoints),
            ),
        )

    def _record(self, call: ApiCall, arrival: int, offset: int) -> Outcome:
        outcome = self._observe(call, arrival, offset)
        if outcome is Outcome.IN_SESSION:
            session = self._windows.open[call.client]
            self._session.append(self._sessions.setdefault((session.offset, session.ordinal), len(self._sessions)))
            self._time.append(call.time)
            self._endpoint.append(self._endpoints.setdefault(call.endpoint, len(self._endpoints)))
        return outcome

    def _keep(self, batch: Batch) -> None:
        for sample in batch.samples:
            self._vectors.append(sample.vector)
            self._clock.append(sample.clock)
            self._places.append(self._sessions[sample.session.offset, sample.session.ordinal])
        self._verdicts += batch.verdicts
        # One whose severity rose tells of one that is counted.
        self._raised += [alert.session_id for alert in batch.alerts if alert.kind is not AlertKind.RAISED]


def _changed(decode: Decode, change: Change) -> Decode:
    def decoded(value: bytes | None) -> Decoded:
        result = decode(value)
        result.calls = [other for call in result.calls for other in change(call)]
        return result

    return decoded
