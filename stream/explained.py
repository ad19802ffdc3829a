"""Explained: one judged session with all that is known of it, from a published finding or from log files."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from featurizer.features import FeatureVector
from featurizer.graph import rarest
from scorer.alerts import Alert, Transition
from scorer.bundle import ModelBundle
from scorer.counterfactual import Counterfactual
from scorer.judge import Judge
from scorer.reasons import Contribution, Reason
from scorer.suppression import Suppression
from scorer.verdicts import Verdict
from stream import assembly
from stream.adapters import decoder
from stream.adapters.pseudonyms import is_pseudonym
from stream.batches import MarkKey, Sample
from stream.errors import CommandError, SettingsError
from stream.findings import Finding
from stream.known_calls import ClientCalls, KnownCall
from stream.outcomes import Outcome, outcome_of
from stream.replay import Lines, Progress, Replay
from stream.settings import Settings


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """A judged session. Times are epoch milliseconds.

    Attributes:
        client: who.
        session_id: the session.
        occasion: at what it was judged: it grew, paused or ended.
        start: its first call.
        end: its latest call.
        calls: its calls.
        model: uid of the model that judged it.
        score: probability of anomaly.
        threshold: score from which it is anomalous.
        outcome: what came of it.
        severity: of the alert; empty without one.
        severity_detail: why it is not that of the score; empty when it is.
        status_detail: why the alert is suppressed; empty when it is not.
        reasons: why, in sentences, first the strongest.
        counterfactual: another value of one feature that alone would have kept it under the threshold.
        contributions: of the features that are known, the strongest first.
        transitions: its rarest transitions, the rarest first.
        known: its calls, as far as they were found.
    """

    client: str
    session_id: str
    occasion: str
    start: int
    end: int
    calls: int
    model: str
    score: float
    threshold: float
    outcome: Outcome
    severity: str = ""
    severity_detail: str = ""
    status_detail: str = ""
    reasons: tuple[Reason, ...]
    counterfactual: Counterfactual | None
    contributions: tuple[Contribution, ...]
    transitions: tuple[Transition, ...]
    known: tuple[KnownCall, ...] = ()


class SessionLine(msgspec.Struct, frozen=True):
    """A session of the client in a few words: what came of it at its most anomalous."""

    session_id: str
    start: int
    calls: int
    score: float
    outcome: Outcome


def of_finding(finding: Finding, known: Sequence[KnownCall] = ()) -> Explained:
    """Return what a published finding says."""
    shared = {name: getattr(finding, name) for name in Explained.__struct_fields__ if hasattr(finding, name)}
    suppressed = finding.status == "Suppressed"
    outcome = Outcome.SUPPRESSED if suppressed else Outcome.ALERT
    return Explained(**shared, outcome=outcome, known=tuple(known))


def with_vector(explained: Explained, vector: FeatureVector, judge: Judge) -> Explained:
    """Return a finding's explanation with all features, from its vector and the model that judged it."""
    [verdict] = judge.verdicts([vector])
    found = judge.explain(vector, verdict)
    return msgspec.structs.replace(explained, contributions=_strongest_first(found.contributions))


class _Moment(NamedTuple):
    """A moment at which a session was judged, with its rarest transitions then, the rarest first."""

    sample: Sample
    verdict: Verdict
    alert: Alert | None
    transitions: tuple[Transition, ...] = ()

    @property
    def rank(self) -> tuple[bool, float]:
        """Greater the more there is to explain: one that alerted comes before others, then the highest score does."""
        return self.alert is not None, self.verdict.score


class ClientReplay:
    """A run over log files that keeps what one client did.

    Args:
        settings: as for ``replay``.
        bundle: the model.
        client: who.
        log_format: format of the files.
    """

    def __init__(self, settings: Settings, bundle: ModelBundle, client: str, log_format: str) -> None:
        self._calls = _client_calls(settings, client, log_format)
        self._client = self._calls.client
        self._replay = Replay(settings, bundle, log_format, decode=self._calls.decode)
        self._judge = assembly.make_judge(settings, bundle, Judge)
        self._best: dict[str, _Moment] = {}
        self._most = settings.alerts.evidence_transitions

    def run(self, files: Iterable[Path], progress: Progress = lambda _: None) -> tuple[Explained, list[SessionLine]]:
        """Run and return the client's most anomalous session, and all its sessions in their order.

        Raises:
            CommandError: there is no such client in the files.
        """
        for batch in self._replay.run(files, progress):
            alerts: dict[MarkKey, Alert] = {(own.session_id, own.occasion, own.calls): own for own in batch.alerts}
            for sample, verdict in zip(batch.samples, batch.verdicts, strict=True):
                if sample.vector.client == self._client:
                    self._keep(_Moment(sample, verdict, alerts.get(sample.mark_key)))
        if not self._best:
            raise CommandError(
                f"no session of {self._client} in the files", "gatewatch replay --json FILE lists sessions and clients"
            )
        lines = [
            SessionLine(name, sample.vector.start, sample.vector.calls, verdict.score, outcome_of(verdict, alert))
            for name, (sample, verdict, alert, _) in self._best.items()
        ]
        return self._explained(max(self._best.values(), key=lambda own: own.rank)), lines

    def _keep(self, moment: _Moment) -> None:
        before = self._best.get(moment.verdict.session_id)
        if before is None or moment.rank > before.rank:
            sample = moment.sample
            edges = islice(sample.session.edges, sample.n_edges)
            found = tuple(Transition(*own) for own in rarest(edges, self._most, sample.state.table))
            self._best[moment.verdict.session_id] = moment._replace(transitions=found)

    def _explained(self, moment: _Moment) -> Explained:
        vector, verdict, alert = moment.sample.vector, moment.verdict, moment.alert
        found = self._judge.explain(vector, verdict)
        return Explained(
            client=vector.client,
            session_id=vector.session_id,
            occasion=vector.occasion,
            start=vector.start,
            end=vector.end,
            calls=vector.calls,
            model=verdict.model,
            score=verdict.score,
            threshold=verdict.threshold,
            outcome=outcome_of(verdict, alert),
            severity="" if alert is None else alert.severity.capitalize(),
            severity_detail="" if alert is None else alert.grade.sentence,
            status_detail="" if alert is None or alert.suppression is None else detail_of(alert.suppression),
            reasons=found.reasons,
            counterfactual=found.counterfactual,
            contributions=_strongest_first(found.contributions),
            transitions=moment.transitions,
            known=tuple(self._calls.between(vector.start, vector.end, vector.calls)),
        )


def detail_of(suppression: Suppression) -> str:
    """Return why an alert is suppressed, in words."""
    return f"{suppression.reason} (rule {suppression.rule})"


def calls_of(
    settings: Settings, finding: Finding, files: Iterable[Path], log_format: str, progress: Progress
) -> list[KnownCall]:
    """Return the calls of a finding's session that are in log files.

    Raises:
        OSError: a file cannot be read.
    """
    calls = _client_calls(settings, finding.client, log_format)
    for records in Lines().read(files, progress):
        for record in records:
            calls.decode(record.value())
    return calls.between(finding.start, finding.end, finding.calls)


def document(explained: Explained, others: Sequence[SessionLine] = ()) -> dict[str, Any]:
    """Return an explanation as plain JSON types."""
    made: dict[str, Any] = msgspec.to_builtins(explained)
    made["known"] = [
        {
            "time": own.call.time,
            "endpoint": own.call.endpoint,
            "status": own.call.status,
            "path": None if own.decision is None else own.decision.path,
            "template_from": None if own.decision is None else own.decision.source,
        }
        for own in explained.known
    ]
    return made | {"sessions": msgspec.to_builtins(list(others))}


def _client_calls(settings: Settings, client: str, log_format: str) -> ClientCalls:
    """Return what keeps a client's calls: of a name its pseudonym's, and under the key that a pseudonym was made with.

    Raises:
        SettingsError: a route or a key is wrong, or the key of the client's pseudonym is gone.
    """
    pinned = assembly.route_templates(settings).pinned  # says what is wrong with the routes
    identities, pseudonyms = assembly.identity_chain(settings), assembly.pseudonyms(settings)
    if pseudonyms is not None:
        try:
            pseudonyms = pseudonyms.written_like(client)
        except ValueError as error:
            raise SettingsError([f"privacy: {client} cannot be found: {error}"]) from None
        client = client if is_pseudonym(client) else pseudonyms.of(client)
    own = partial(decoder, log_format, identities=identities, pseudonyms=pseudonyms)
    return ClientCalls(client, own, pinned)


def _strongest_first(contributions: Iterable[Contribution]) -> tuple[Contribution, ...]:
    return tuple(sorted(contributions, key=lambda item: (-abs(item.contribution), item.feature)))


def counts_of(transitions: Iterable[Transition]) -> Counter[tuple[str, str]]:
    """Return transitions that were seen at least once, when nothing is known of the calls."""
    return Counter((own.source, own.destination) for own in transitions)
