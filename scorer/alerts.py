"""Alert: a verdict that somebody should look at, with the reasons; and the policy that decides which verdicts are.

An early alert is raised for an open session, another when its severity rises, a closing alert at its end: at most one
of each per session, severity and model. Policy (frozen limits) and history (what was alerted when) are apart; time is
always the log's event time, so a replay of the log raises the same alerts.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

import msgspec

from featurizer.features import FeatureVector, Occasion
from scorer.budget import Overflow, Spending
from scorer.counterfactual import Counterfactual
from scorer.reasons import Contribution, Explanation, Reason, foremost
from scorer.severity import Grade, Severity, SeverityPolicy
from scorer.suppression import Suppression
from scorer.verdicts import Leg, Verdict


class AlertKind(StrEnum):
    """When in a session's life its alert was raised."""

    EARLY = "early"
    RAISED = "raised"
    """The session is open still, and more severe than when it was alerted."""
    CLOSING = "closing"


class Transition(msgspec.Struct, frozen=True):
    """A rare transition of the session.

    Attributes:
        source: endpoint called first.
        destination: endpoint called next.
        expected: times this edge would be expected over all sessions if sources and destinations were independent:
            g_out(source) x g_in(destination) / total edges.
    """

    source: str
    destination: str
    expected: float


class Position(msgspec.Struct, frozen=True):
    """Where in the log a score was taken, and of which call. Times are epoch milliseconds.

    Attributes:
        topic: topic of the input.
        partition: partition of the input.
        offset: offset of the record at which the score was taken; that of the session's latest call when the alert was
            raised as the session grew, that of a later record when it had paused or ended.
        call_time: event time of the session's latest call.
        record_time: Kafka timestamp of that call's record.
    """

    topic: str
    partition: int
    offset: int
    call_time: int
    record_time: int


class Alert(msgspec.Struct, frozen=True):
    """An explained anomaly. Times are epoch milliseconds.

    Attributes:
        uid: deterministic: a consumer that sees it twice has seen one alert.
        kind: early (the session is open), raised (it still is, and its severity has risen) or closing.
        follows: the session has had an alert before: this one says how it went on.
        occasion: what the score was taken at: the session grew, paused or ended.
        severity: how urgent it is, by the policy's table.
        grade: how the severity came about.
        client: identity of the caller.
        session_id: deterministic id of the session.
        start: event time of the session's first call.
        end: event time of its latest call.
        calls: number of calls so far.
        score: probability of anomaly.
        threshold: score from which this kind alerts.
        model: uid of the model bundle, or of the rules.
        leg: what the verdict rests on.
        message: what happened and why it is unusual, in a few sentences for a person.
        reasons: why, in sentences: the groups of features that raised the score, first the strongest.
        counterfactual: another value of one feature that alone would have kept the score under the threshold; None
            when no value of a feature that the message tells of would.
        contributions: features that raised the score most, first the strongest.
        transitions: rarest transitions of the session, first the rarest.
        capped: the session had reached a limit, so its graph is incomplete and the score less certain.
        position: where in the log the score was taken.
        suppression: the rule that accounts for it; None when nobody has.
        identity: what ``client`` is, a value of ``featurizer.identity``; empty when not known.
        overflow: what there is to tell of the alert budget; None without a budget.
    """

    uid: str
    kind: AlertKind
    follows: bool
    occasion: Occasion
    severity: Severity
    grade: Grade
    client: str
    session_id: str
    start: int
    end: int
    calls: int
    score: float
    threshold: float
    model: str
    leg: Leg
    message: str
    reasons: tuple[Reason, ...]
    counterfactual: Counterfactual | None
    contributions: tuple[Contribution, ...]
    transitions: tuple[Transition, ...]
    capped: bool
    position: Position
    suppression: Suppression | None = None
    identity: str = ""
    overflow: Overflow | None = None


class AlertPolicy(msgspec.Struct, frozen=True):
    """Limits of alerting. Meaning and defaults: settings ``alerts``."""

    cooldown: int = 600_000
    top_features: int = 5
    evidence_transitions: int = 5
    severity: SeverityPolicy = SeverityPolicy()
    budget: int | None = None
    budget_exempt: Severity | None = Severity.CRITICAL


class Decision(StrEnum):
    """What the policy makes of a verdict."""

    ALERT = "alert"
    NORMAL = "normal"
    REPEATED = "repeated"
    """This session already has an alert of this kind."""
    COOLDOWN = "cooldown"
    """The client was alerted a short while ago, in another session."""
    BUDGET = "budget"
    """The hour has had as many alerts as it may have."""


class AlertHistory:
    """When each client was last alerted and in which session, and what is spent; the mutable half of the policy.

    Attributes:
        changed: clients whose entry has changed since somebody last cleared this set.
        spending: what has been spent of the budget.
    """

    def __init__(self, policy: AlertPolicy) -> None:
        self.policy = policy
        self.changed: set[str] = set()
        self.spending = Spending()
        self._last: dict[str, tuple[int, str]] = {}

    def __len__(self) -> int:
        return len(self._last)

    def decide(  # noqa: PLR0913 -- what is judged, and what its session has had, each named at the call
        self,
        verdict: Verdict,
        vector: FeatureVector,
        now: int,
        severity: Severity,
        *,
        early: bool,
        closing: bool,
        alerted: Severity | None = None,
    ) -> Decision:
        """Decide on a verdict; nothing changes before ``follow`` is told of the decision.

        Args:
            verdict: the judgement.
            vector: the vector judged.
            now: greatest event time seen in the log when the vector was taken, epoch milliseconds; never descends.
            severity: what an alert would have.
            early: the session already has an early alert.
            closing: the session already has a closing alert.
            alerted: greatest severity of the session's alerts so far; None when that is not known, or it has none.
        """
        if not verdict.anomalous:
            return Decision.NORMAL
        if verdict.occasion != Occasion.CLOSED:
            rose = alerted is not None and severity.rank > alerted.rank
            closing = closing or (early and not rose)
        if closing:
            return Decision.REPEATED
        last = self._last.get(vector.client)
        if last is not None and last[1] != vector.session_id and now - last[0] < self.policy.cooldown:
            return Decision.COOLDOWN
        return Decision.ALERT if self._affords(severity, now) else Decision.BUDGET

    def follow(self, decision: Decision, client: str, now: int, session_id: str) -> None:
        """Let a decision have its consequences: an alert starts the client's cooldown and is paid for."""
        if decision is Decision.ALERT:
            self.remember(client, now, session_id)
            self.spending = self.spending.after_alert(now)
        elif decision is Decision.BUDGET:
            self.spending = self.spending.after_holding_back()

    def overflow(self, now: int) -> Overflow | None:
        """Return what an alert at ``now`` has to tell of the budget; None without one."""
        return None if self.policy.budget is None else self.spending.overflow(now, self.policy.budget)

    def _affords(self, severity: Severity, now: int) -> bool:
        budget, exempt = self.policy.budget, self.policy.budget_exempt
        if budget is None or (exempt is not None and severity.rank >= exempt.rank):
            return True
        return self.spending.left(now, budget) > 0

    def remember(self, client: str, now: int, session_id: str) -> None:
        """Start a client's cooldown: it was alerted at ``now`` in a session."""
        self._last.pop(client, None)  # re-inserted at the end: the dict stays ordered by time of alert
        self._last[client] = (now, session_id)
        self.changed.add(client)

    def entry(self, client: str) -> tuple[int, str] | None:
        """Return when a client was last alerted, and in which session; None when that is over."""
        return self._last.get(client)

    def restore(self, entries: Mapping[str, tuple[int, str]]) -> None:
        """Go on from the entries of an earlier history."""
        self._last = dict(sorted(entries.items(), key=lambda item: item[1][0]))

    def take_out(self, wanted: Callable[[str], bool]) -> dict[str, tuple[int, str]]:
        """Take the entries of some clients out, for another partition's history."""
        taken = {client: entry for client, entry in self._last.items() if wanted(client)}
        for client in taken:
            del self._last[client]
        self.changed.update(taken)
        return taken

    def put_in(self, entries: Mapping[str, tuple[int, str]]) -> None:
        """Take over entries of other histories; of two of a client the later counts."""
        later = {client: max(entry, self._last.get(client, entry)) for client, entry in entries.items()}
        self.restore(self._last | later)
        self.changed.update(entries)

    def forget(self, now: int) -> None:
        """Drop clients whose cooldown is over at ``now``, so that memory stays bounded; decisions do not change."""
        while self._last:
            client, (time, _) = next(iter(self._last.items()))
            if now - time < self.policy.cooldown:
                return
            del self._last[client]
            self.changed.add(client)


def alert_kind(occasion: str, *, follows: bool = False) -> AlertKind:
    """Return the kind of alert that a vector of this occasion can raise.

    Args:
        occasion: why the vector was taken.
        follows: the session has an early alert.
    """
    if occasion == Occasion.CLOSED:
        return AlertKind.CLOSING
    return AlertKind.RAISED if follows else AlertKind.EARLY


def make_alert(  # noqa: PLR0913 -- the parts of an alert, each named at the call
    *,
    vector: FeatureVector,
    verdict: Verdict,
    grade: Grade,
    policy: AlertPolicy,
    explanation: Explanation,
    transitions: Iterable[Transition],
    capped: bool,
    follows: bool,
    position: Position,
    suppression: Suppression | None = None,
    overflow: Overflow | None = None,
) -> Alert:
    """Put an alert together.

    Args:
        vector: the vector that was judged.
        verdict: the judgement.
        grade: its severity.
        policy: how many contributions to name.
        explanation: why the verdict is what it is.
        transitions: rarest transitions of the session, the rarest first.
        capped: whether the session's graph is incomplete.
        follows: whether the session has had an alert before.
        position: where in the log the vector was taken.
        suppression: the rule that accounts for it.
        overflow: what there is to tell of the alert budget.
    """
    kind = alert_kind(vector.occasion, follows=follows)
    message = [message_of(vector, verdict, explanation), grade.sentence, *(overflow.sentences() if overflow else ())]
    return Alert(
        uid=alert_uid(vector.client, vector.session_id, kind, verdict.model, grade.severity),
        kind=kind,
        follows=follows,
        occasion=vector.occasion,
        severity=grade.severity,
        grade=grade,
        client=vector.client,
        session_id=vector.session_id,
        start=vector.start,
        end=vector.end,
        calls=vector.calls,
        score=verdict.score,
        threshold=verdict.threshold,
        model=verdict.model,
        leg=verdict.leg,
        message=" ".join(filter(None, message)),
        reasons=explanation.reasons,
        counterfactual=explanation.counterfactual,
        contributions=strongest(explanation.contributions, policy.top_features),
        transitions=tuple(transitions),
        capped=capped,
        position=position,
        suppression=suppression,
        identity=vector.identity,
        overflow=overflow,
    )


def alert_uid(client: str, session_id: str, kind: AlertKind, model: str, severity: Severity) -> str:
    """Return the deterministic id of an alert; its severity tells the raised ones of a session apart, and no others."""
    told = f"{kind} {severity}" if kind is AlertKind.RAISED else kind
    name = f"{client}\0{session_id}\0{told}\0{model}"
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def strongest(contributions: Iterable[Contribution], most: int) -> tuple[Contribution, ...]:
    """Return the contributions that raised the score, the strongest first."""
    raising = [item for item in contributions if item.contribution > 0]
    return tuple(sorted(raising, key=lambda item: (-item.contribution, item.feature))[:most])


def message_of(vector: FeatureVector, verdict: Verdict, explanation: Explanation) -> str:
    """Return what happened and why it is unusual, in a few sentences for a person."""
    seconds = (vector.end - vector.start) / 1000
    calls = "1 call" if vector.calls == 1 else f"{vector.calls} calls"
    state = "made" if vector.occasion == Occasion.CLOSED else "has made"
    sentences = [f"Client {vector.client} {state} {calls} in {_duration(seconds)}."]
    sentences += [reason.sentence for reason in foremost(explanation.reasons)]
    if verdict.leg is Leg.LEARNING:
        seen, needed = verdict.total_edges, verdict.minimum_edges
        sentences.append(
            f"This is a rule's finding, to be taken with care: {seen:,} of the {needed:,} transitions that a model "
            "needs have been seen."
        )
        return " ".join(sentences)
    # An alert that is raised again, after a crash, can have a score under the threshold by now.
    decisive = explanation.counterfactual is not None or verdict.score < verdict.threshold
    if explanation.reasons and not decisive:
        sentences.append("No other value of one of these alone would have kept it under the threshold.")
    return " ".join(sentences)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
