"""Which verdicts of a challenger, the second model that judges the champion's vectors, would have been alerts."""

from featurizer.features import FeatureVector, Occasion
from scorer.alerts import AlertHistory, AlertKind, AlertPolicy, Decision, alert_kind
from scorer.severity import Severity
from scorer.verdicts import Verdict


class WouldBeAlerts:
    """Decides which verdicts of a challenger would have been alerts, over the vectors of one partition.

    It is kept in memory only: after a restart an open session, or a client in its cooldown, can count once more.

    Args:
        model: uid of the challenger's bundle.
        policy: the champion's limits of alerting.
    """

    def __init__(self, model: str, policy: AlertPolicy) -> None:
        self.model = model
        self._history = AlertHistory(policy)
        self._early: dict[str, Severity] = {}  # greatest severity of open sessions that have their early alert

    def decide(self, verdict: Verdict, vector: FeatureVector, now: int, severity: Severity) -> AlertKind | None:
        """Return the kind of alert that a verdict would have been; None when it would have been none.

        Args:
            verdict: the challenger's.
            vector: the vector judged.
            now: greatest event time seen in the partition, epoch milliseconds; never descends.
            severity: what the alert would have had.
        """
        history, session = self._history, vector.session_id
        alerted = self._early.get(session)
        history.forget(now)
        decision = history.decide(
            verdict, vector, now, severity, early=alerted is not None, closing=False, alerted=alerted
        )
        history.follow(decision, vector.client, now, session)
        history.changed.clear()
        if vector.occasion is Occasion.CLOSED:
            self._early.pop(session, None)
        elif decision is Decision.ALERT:
            self._early[session] = severity
        return alert_kind(vector.occasion, follows=alerted is not None) if decision is Decision.ALERT else None
