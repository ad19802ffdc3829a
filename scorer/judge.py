"""Judge: a model bundle applied to feature vectors; verdicts for all, explanations for the few that alert."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featurizer.features import INCOMPLETE, FeatureVector, Occasion, matrix_of
from scorer.bundle import ModelBundle
from scorer.counterfactual import Counterfactual, nearest_under
from scorer.explanation import contributions
from scorer.manifest import UNSUPERVISED
from scorer.reasons import Contribution, Explanation, Reason, Story, direction_of, foremost, stories
from scorer.rules import RULES_UID, THRESHOLD, RulePolicy, explain_rules, rule_score
from scorer.verdicts import Leg, Readiness, Verdict
from scorer.wording import sentence_of


def is_complete(vector: FeatureVector) -> bool:
    """Return whether the threshold for closed sessions holds: one that was cut off says no more than an open one."""
    return vector.occasion is Occasion.CLOSED and vector.close_reason not in INCOMPLETE


class Judge:
    """Scores vectors with one bundle.

    Args:
        bundle: the model.
        minimum_edges: edges the degree tables need before a verdict is ready; the bundle's own when None.
        threshold_open: score from which an open session is anomalous; the bundle's own when None.
        threshold_closed: likewise for a session that has ended; one that was cut off counts as open.
        rules: judge by rules until the degree tables are ready; None to let such verdicts be.
    """

    def __init__(
        self,
        bundle: ModelBundle,
        *,
        minimum_edges: int | None = None,
        threshold_open: float | None = None,
        threshold_closed: float | None = None,
        rules: RulePolicy | None = None,
    ) -> None:
        own = bundle.manifest.thresholds
        self.bundle = bundle
        self.schema = bundle.schema
        self.minimum_edges = bundle.manifest.minimum_edges if minimum_edges is None else minimum_edges
        self.threshold_open = own["open"] if threshold_open is None else threshold_open
        self.threshold_closed = own["closed"] if threshold_closed is None else threshold_closed
        self.rules = rules
        kind = bundle.manifest.parameters.get("model")
        self.leg = Leg.UNSUPERVISED if kind in UNSUPERVISED else Leg.TRAINED

    def verdicts(self, vectors: Sequence[FeatureVector]) -> list[Verdict]:
        """Return one verdict per vector.

        Raises:
            ValueError: a vector has not the features that the model reads.
        """
        if not vectors:
            return []
        scores = self.bundle.score(matrix_of(vectors, self.schema))
        return [self._verdict(vector, score) for vector, score in zip(vectors, scores.tolist(), strict=True)]

    def explain(self, vector: FeatureVector, verdict: Verdict) -> Explanation:
        """Return why a vector has its score: exact TreeSHAP (log-odds), in sentences, and what would have been enough.

        Args:
            vector: the vector.
            verdict: what was judged of it here; one by rules is explained by the rules that were broken.
        """
        if verdict.leg is Leg.LEARNING and self.rules is not None:
            return explain_rules(vector, self.rules)
        row = matrix_of([vector], self.schema)
        shap, _ = contributions(self.bundle.ensemble, row)
        effects = tuple(
            self._contribution(index, value, effect)
            for index, (value, effect) in enumerate(zip(row[0].tolist(), shap[0].tolist(), strict=True))
        )
        told = stories(effects)
        hint = self._counterfactual(row[0], foremost(told), verdict)
        reasons = [
            Reason(
                group=story.group,
                contribution=story.contribution,
                feature=story.telling.feature,
                direction=story.direction,
                sentence=sentence_of(story.telling, hint if hint and hint.feature == story.telling.feature else None),
            )
            for story in told
        ]
        return Explanation(effects, tuple(reasons), hint)

    def _counterfactual(
        self, row: NDArray[np.float64], told: Sequence[Story], verdict: Verdict
    ) -> Counterfactual | None:
        """Return what would have been enough, of the first told feature of which a value is."""
        if verdict.score < verdict.threshold:
            return None
        for story in told:
            index = self.schema.names.index(story.telling.feature)
            whole = self.schema.features[index].whole
            found = nearest_under(self.bundle.ensemble, row, index, verdict.threshold, whole=whole)
            if found is not None:
                return Counterfactual(story.telling.feature, float(row[index]), *found)
        return None

    def leg_at(self, total_edges: int) -> Leg:
        """Return what verdicts rest on when the degree tables hold so many edges."""
        return Leg.LEARNING if self.rules is not None and total_edges < self.minimum_edges else self.leg

    def _verdict(self, vector: FeatureVector, score: float) -> Verdict:
        ready, leg = vector.total_edges >= self.minimum_edges, self.leg_at(vector.total_edges)
        model, threshold = self.bundle.uid, self.threshold_closed if is_complete(vector) else self.threshold_open
        if leg is Leg.LEARNING and self.rules is not None:
            model, score, threshold = RULES_UID, rule_score(vector, self.rules), THRESHOLD
        return Verdict(
            session_id=vector.session_id,
            occasion=vector.occasion,
            model=model,
            score=score,
            threshold=threshold,
            readiness=Readiness.READY if ready else Readiness.LEARNING,
            total_edges=vector.total_edges,
            minimum_edges=self.minimum_edges,
            leg=leg,
        )

    def _contribution(self, index: int, value: float, effect: float) -> Contribution:
        low, high = self.bundle.reference.usual_range(index)
        feature = self.schema.features[index]
        known = None if np.isnan(value) else value
        return Contribution(
            feature=feature.name,
            meaning=feature.meaning,
            value=known,
            usual_low=low,
            usual_high=high,
            direction=direction_of(known, low, high),
            contribution=effect,
            unit=feature.unit,
            group=feature.group,
        )
