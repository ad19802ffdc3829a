"""The pipeline: batches of records in, outputs and positions out; no broker, no clock, no metrics.

The Faust agents and ``gatewatch replay`` call the same three steps:

    Normaliser.normalise   gateway log records       -> calls keyed by client
    Detector.sessionize    records with calls        -> samples: a session and its feature vector
    Detector.score         samples                   -> verdicts, alerts

What is durable is a value here: ``Batch.positions`` says how far each input partition has been read, and a partition's
whole state hangs on one PartitionState.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from featurizer.calls import decode_call
from featurizer.conduct import measure_session
from featurizer.degree_snapshots import DegreeSnapshot
from featurizer.degrees import DegreeTable, GlobalDegrees
from featurizer.features import FeatureSchema, FeatureVector, Occasion
from featurizer.graph import rarest
from featurizer.sessions import CloseReason, Outcome, Session, SessionPolicy, SessionWindows
from scorer.alerts import Alert, AlertHistory, AlertPolicy, Decision, Position, Transition, make_alert
from scorer.judge import Judge
from scorer.severity import Grade, Severity
from scorer.suppression import Suppression, Suppressions, facts_of
from scorer.verdicts import Verdict
from stream.batches import Batch, Decode, Mark, PartitionState, Sample, dead_letter, refusals, rejects_of
from stream.challenger import Challenger
from stream.dead_letters import Reason
from stream.records import EPOCH_2000, Record, TopicPartition

_CUT_SHORT = (CloseReason.MAX_CALLS, CloseReason.MAX_DURATION, CloseReason.EVICTED)


class Normaliser:
    """Turns gateway logs into calls.

    Args:
        decoders: how to read each input topic.
    """

    def __init__(self, decoders: Mapping[str, Decode]) -> None:
        self._decoders = decoders

    def normalise(self, records: Sequence[Record]) -> Batch:
        """Return the calls of the records, and dead letters for what is no call."""
        batch = Batch(records=len(records))
        for record in records:
            arrival = record.timestamp()[1]
            try:
                decoded = self._decoders[record.topic()](record.value())
            except Exception as error:  # noqa: BLE001 -- a defect met by one record must not stop the others
                batch.dead_letters.append(dead_letter(record, Reason.INTERNAL_ERROR, repr(error)))
            else:
                batch.calls += [(call, arrival) for call in decoded.calls]
                batch.dead_letters += rejects_of(record, decoded)
                batch.formats[decoded.format] += len(decoded.calls)
                batch.ignored += decoded.ignored
            batch.positions[TopicPartition(record.topic(), record.partition())] = record.offset() + 1
        return batch


class Sessionizer:
    """Sessions, degrees and feature vectors over the assigned input partitions.

    Args:
        decoders: how to read each input topic; None for topics that hold calls in wire form.
        sessions: limits of sessions.
        alerts: limits of alerting, for the partitions' alert history.
        schema: features to compute.
        max_endpoints: endpoints a partition's degree table numbers.
        excluded_methods: HTTP methods that are no part of call graphs.
        frozen: degrees to read instead of the live ones.

    Attributes:
        degrees: the sum of the partitions' degree tables.
        partitions: state of each assigned partition.
    """

    def __init__(  # noqa: PLR0913 -- the parts of a sessionizer, each named at the call
        self,
        decoders: Mapping[str, Decode | None],
        *,
        sessions: SessionPolicy,
        alerts: AlertPolicy,
        schema: FeatureSchema,
        max_endpoints: int,
        excluded_methods: Iterable[str] = (),
        frozen: DegreeSnapshot | None = None,
    ) -> None:
        self.degrees = GlobalDegrees(frozen)
        self.partitions: dict[TopicPartition, PartitionState] = {}
        self._decoders = decoders
        self._sessions = sessions
        self._alerts = alerts
        self._schema = schema
        self._max_endpoints = max_endpoints
        self._excluded = tuple(excluded_methods)
        self._by_topic: dict[str, dict[int, PartitionState]] = {topic: {} for topic in decoders}
        self._samples: list[Sample] = []
        self._published: dict[TopicPartition, DegreeSnapshot] = {}

    @property
    def open_sessions(self) -> int:
        """Sessions open over all assigned partitions."""
        return sum(len(state.windows) for state in self.partitions.values())

    def assign(self, name: TopicPartition) -> PartitionState:
        """Start with an empty state for an input partition, and return it.

        Raises:
            KeyError: the topic is none of the inputs.
        """
        if name in self.partitions:
            self.partitions[name].table.detach()  # assigned anew without a word of its loss
        self.degrees.replace(str(name), None)
        table = DegreeTable(self.degrees, self._max_endpoints, self._excluded)

        def emit(session: Session, occasion: Occasion, reason: CloseReason | None) -> None:
            self._take(state, session, occasion, reason)

        windows = SessionWindows(str(name), self._sessions, table, emit)
        state = PartitionState(name, windows, AlertHistory(self._alerts), self._decoders[name.topic])
        self.partitions[name] = state
        self._by_topic[name.topic][name.partition] = state
        return state

    def learn(self, name: TopicPartition, degrees: DegreeSnapshot) -> None:
        """Take over what another worker has published of its partition's degree table.

        What is published of a partition that is kept here is only remembered: the table here is newer.
        """
        if name.topic not in self._by_topic:
            return  # no input any more
        self._published[name] = degrees
        if name not in self.partitions:
            self.degrees.replace(str(name), degrees)

    def release(self, names: Iterable[TopicPartition]) -> None:
        """Forget partitions; their degrees stay as they were last published. Those not held are passed over."""
        for name in names:
            state = self.partitions.pop(name, None)
            if state is not None:
                del self._by_topic[name.topic][name.partition]
                state.table.detach()
                self.degrees.replace(str(name), self._published.get(name))

    def close(self, names: Iterable[TopicPartition], reason: CloseReason) -> Batch:
        """Close all sessions of partitions; their last vectors are not yet scored, the degree tables stay."""
        batch = Batch()
        for name in names:
            state = self.partitions[name]
            state.windows.close_all(reason)
            batch.hold(state)
        return self._collect(batch)

    def advance(self, names: Iterable[TopicPartition], now: int, batch: Batch) -> None:
        """Let the wall clock (epoch milliseconds) move idle partitions' clocks, where that leads to anything.

        Adds to a batch not yet scored. Nothing in the log tells of such a move: the partitions that were moved are in
        ``batch.moved``, and need a checkpoint in the transaction that publishes the batch.
        """
        for name in names:
            state = self.partitions.get(name)
            if state is not None and state.windows.due(now):
                state.windows.advance(now)
                batch.hold(state)
                batch.moved.append(name)
        self._collect(batch)

    def sessionize(self, records: Sequence[Record]) -> Batch:
        """Put the records' calls into their sessions and take the vectors that fall due; they are not yet scored."""
        batch = Batch(records=len(records))
        by_topic = self._by_topic
        state: PartitionState | None = None
        touched: dict[PartitionState, None] = {}
        accepted = 0
        for record in records:
            found = by_topic[record.topic()][record.partition()]
            if found is not state:
                state = found
                touched[state] = None
            state.offset = offset = record.offset()
            try:
                if state.decode is not None:
                    self._observe_log(state, state.decode, record, batch)
                    continue
                call = decode_call(record.value() or b"")
                arrival = record.timestamp()[1]
                outcome = state.observe(call, arrival if arrival > EPOCH_2000 else call.time, offset)
                if outcome:
                    batch.outcomes[outcome] += 1
                    batch.dead_letters += refusals(record, {outcome: 1}, 1)
                else:
                    accepted += 1
            except msgspec.ValidationError as error:
                batch.dead_letters.append(dead_letter(record, Reason.INVALID_FIELD, str(error)))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                batch.dead_letters.append(dead_letter(record, Reason.UNDECODABLE, str(error)))
            except Exception as error:  # noqa: BLE001 -- a defect met by one record must not stop the others
                batch.dead_letters.append(dead_letter(record, Reason.INTERNAL_ERROR, repr(error)))
        batch.accepted += accepted
        for state in touched:
            batch.hold(state)
        return self._collect(batch)

    def _observe_log(self, state: PartitionState, decode: Decode, record: Record, batch: Batch) -> None:
        arrival = record.timestamp()[1]
        decoded = decode(record.value())
        batch.dead_letters += rejects_of(record, decoded)
        batch.ignored += decoded.ignored
        refused: Counter[Outcome] = Counter()
        for call in decoded.calls:
            outcome = state.observe(call, arrival if arrival > EPOCH_2000 else call.time, state.offset)
            batch.formats[decoded.format] += 1
            if outcome:
                batch.outcomes[outcome] += 1
                refused[outcome] += 1
            else:
                batch.accepted += 1
        batch.dead_letters += refusals(record, refused, len(decoded.calls))

    def _take(self, state: PartitionState, session: Session, occasion: Occasion, reason: CloseReason | None) -> None:
        vector = FeatureVector(
            session_id=state.windows.session_id(session),
            client=session.client,
            occasion=occasion,
            start=session.start,
            end=session.end,
            calls=session.calls,
            schema=self._schema.fingerprint,
            values=measure_session(session, state.table, self._schema),
            total_edges=self.degrees.total_edges,
            close_reason=reason,
            identity=session.identity,
        )
        windows = state.windows
        self._samples.append(Sample(state, session, vector, state.offset, windows.max_time, session.arrival))

    def _collect(self, batch: Batch) -> Batch:
        batch.samples += self._samples
        self._samples.clear()
        return batch


class Detector(Sessionizer):
    """A sessionizer whose vectors are judged and become alerts.

    Args:
        decoders: as for Sessionizer, and so is the rest.
        judge: the model applied, the champion.
        challenger: a model that judges beside it and never alerts.
        suppressions: rules that account for alerts beforehand; they change an alert's status and nothing else.
    """

    def __init__(
        self,
        decoders: Mapping[str, Decode | None],
        *,
        judge: Judge,
        challenger: Challenger | None = None,
        suppressions: Suppressions = Suppressions(),  # noqa: B008 -- frozen
        **limits: Any,
    ) -> None:
        super().__init__(decoders, **limits)
        self.judge = judge
        self.challenger = challenger
        self.suppressions = suppressions

    def finish(self, names: Iterable[TopicPartition], reason: CloseReason) -> Batch:
        """Close all sessions of partitions and score them; the degree tables stay."""
        batch = self.close(names, reason)
        self.score(batch)
        return batch

    def replay(self, records: Sequence[Record]) -> None:
        """Process records again whose outputs are published already: only the state moves.

        What was decided then is known from the partition's marks; nothing is judged.
        """
        for sample in self.sessionize(records).samples:
            state, mark = sample.state, sample.state.marks.get(sample.mark_key)
            state.history.forget(sample.clock)
            if mark is None:
                self._settle(sample, Decision.NORMAL, None)
            else:
                self._settle(sample, mark.decision, mark.severity)

    def score(self, batch: Batch) -> None:
        """Judge the batch's samples, raise alerts, and retract closed sessions that were alerted from the degrees."""
        batch.verdicts = self.judge.verdicts([sample.vector for sample in batch.samples])
        if self.challenger is not None:
            self.challenger.score(batch, self.grade)
        for sample, verdict in zip(batch.samples, batch.verdicts, strict=True):
            state = sample.state
            state.history.forget(sample.clock)
            # Only at_least_once can leave a mark of a vector whose record is processed again and published again.
            mark = state.marks.get(sample.mark_key) if state.marks else None
            if mark is None and not verdict.anomalous:
                batch.decisions[Decision.NORMAL] += 1
                self._settle(sample, Decision.NORMAL, None)
                continue
            grade = self.grade(sample, verdict)
            if mark is not None and mark.severity is not None:
                grade = msgspec.structs.replace(grade, severity=mark.severity)
            decision = self._decide(sample, verdict, grade.severity) if mark is None else mark.decision
            batch.decisions[decision] += 1
            if decision is Decision.ALERT:
                batch.alerts.append(self._alert(sample, verdict, grade))
            if self._settle(sample, decision, grade.severity):
                mark = Mark(
                    session_id=verdict.session_id,
                    occasion=sample.vector.occasion,
                    calls=sample.vector.calls,
                    decision=decision,
                    severity=grade.severity if decision is Decision.ALERT else None,
                )
                state.marks[mark.key] = mark
                batch.marks.append((state, mark))

    def grade(self, sample: Sample, verdict: Verdict) -> Grade:
        """Return the severity that an alert on a verdict has."""
        policy = self._alerts.severity
        called, whole = sample.called(self._sessions.max_edges) if policy.endpoints else ((), False)
        return policy.grade(sample.vector, verdict.score, called, whole=whole)

    def _decide(self, sample: Sample, verdict: Verdict, severity: Severity) -> Decision:
        session = sample.session
        return sample.state.history.decide(
            verdict,
            sample.vector,
            sample.clock,
            severity,
            early=session.alerted_open,
            closing=session.alerted_closed,
            alerted=Severity.of_rank(session.alerted_rank),
        )

    def _settle(self, sample: Sample, decision: Decision, severity: Severity | None) -> bool:
        """Let the state follow a decision; return whether a replay has to know of it.

        Args:
            sample: what it is about.
            decision: the decision.
            severity: of the alert that it made; None when that is not known, or it made none.
        """
        session, closed = sample.session, sample.vector.occasion is Occasion.CLOSED
        sample.state.history.follow(decision, sample.vector.client, sample.clock, sample.vector.session_id)
        if decision is Decision.ALERT:
            session.alerted_closed = session.alerted_closed or closed
            session.alerted_open = session.alerted_open or not closed
            session.alerted_rank = max(session.alerted_rank, severity.rank if severity else 0)
        # One that was held back is as anomalous, and must teach the tables as little.
        held_back = closed and decision in {Decision.COOLDOWN, Decision.BUDGET}
        if closed and (held_back or session.alerted_open or session.alerted_closed):
            sample.state.table.retract(session.edges)
        return held_back or decision in {Decision.ALERT, Decision.BUDGET}

    def _alert(self, sample: Sample, verdict: Verdict, grade: Grade) -> Alert:
        table, session = sample.state.table, sample.session
        covered = list(islice(session.edges, sample.n_edges))
        capped = sample.n_edges >= self._sessions.max_edges or sample.vector.close_reason in _CUT_SHORT
        return make_alert(
            vector=sample.vector,
            verdict=verdict,
            grade=grade,
            policy=self._alerts,
            explanation=self.judge.explain(sample.vector, verdict),
            transitions=[Transition(*found) for found in rarest(covered, self._alerts.evidence_transitions, table)],
            capped=capped,
            follows=session.alerted_open,
            position=Position(*sample.state.name, sample.offset, sample.vector.end, sample.record_time),
            suppression=self._suppression(sample, verdict) if self.suppressions.rules else None,
            overflow=sample.state.history.overflow(sample.clock),
        )

    def _suppression(self, sample: Sample, verdict: Verdict) -> Suppression | None:
        endpoints, whole = sample.called(self._sessions.max_edges)
        facts = facts_of(sample.vector, verdict.score, endpoints, whole=whole)
        return self.suppressions.find(facts, sample.clock)
