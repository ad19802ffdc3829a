"""Which verdicts of a challenger, the second model that judges the champion's vectors, would have been alerts."""

from featurizer.features import FeatureVector, Occasion
from scorer.alerts import AlertHistory, AlertPolicy, Decision
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
        self._early: set[str] = set()  # open sessions that have their early alert

    def decide(self, verdict: Verdict, vector: FeatureVector, now: int) -> bool:
        """Return whether a verdict would have been an alert.

        Args:
            verdict: the challenger's.
            vector: the vector judged.
            now: greatest event time seen in the partition, epoch milliseconds; never descends.
        """
        history, session = self._history, vector.session_id
        history.forget(now)
        decision = history.decide(verdict, vector, now, early=session in self._early, closing=False)
        history.changed.clear()
        if vector.occasion is Occasion.CLOSED:
            self._early.discard(session)
        elif decision is Decision.ALERT:
            self._early.add(session)
        return decision is Decision.ALERT
