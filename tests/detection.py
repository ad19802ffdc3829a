"""What a bundle finds of labelled attacks in a log, by the replay of the whole service."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scorer.bundle import ModelBundle
from scorer.labelling import AttackLabel
from scorer.verdicts import Readiness
from stream.replay import Replay
from stream.settings import Settings


@dataclass
class Found:
    """Sessions that were judged at least once after the degree table had grown large enough.

    Attributes:
        attacks: attacked sessions, by kind.
        found: of these, those with an anomalous verdict once hostile calls were among theirs.
        benign: benign sessions.
        false_alerts: of these, those with an anomalous verdict.
    """

    attacks: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    benign: int = 0
    false_alerts: int = 0

    @property
    def share(self) -> float:
        """Found by attacked sessions."""
        return self.found.total() / self.attacks.total()

    @property
    def false_alerts_per_1000(self) -> float:
        """False alerts in 1,000 benign sessions."""
        return 1000 * self.false_alerts / self.benign

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {self.found[kind]}/{count}" for kind, count in sorted(self.attacks.items()))
        return (
            f"{100 * self.share:.1f} % of attack sessions found ({kinds}), "
            f"{self.false_alerts_per_1000:.2f} false alerts in 1,000 of {self.benign} benign sessions"
        )


def detect(bundle: ModelBundle, settings: Settings, log: Path, labels: Sequence[AttackLabel]) -> Found:
    """Replay a log and count what was found."""
    spans: dict[str, tuple[str, int, int]] = {}
    moments: dict[str, list[int]] = {}
    for batch in Replay(settings, bundle).run([log]):
        for sample, verdict in zip(batch.samples, batch.verdicts, strict=True):
            vector = sample.vector
            if verdict.readiness is not Readiness.LEARNING:
                spans[vector.session_id] = (vector.client, vector.start, vector.end)
                alerting = moments.setdefault(vector.session_id, [])
                if verdict.anomalous:
                    alerting.append(vector.end)
    result = Found()
    for session, (client, start, end) in spans.items():
        own = next((label for label in labels if label.client == client and _overlap(label, start, end)), None)
        if own is None:
            result.benign += 1
            result.false_alerts += bool(moments[session])
        else:
            result.attacks[own.attack] += 1
            result.found[own.attack] += any(moment >= own.start for moment in moments[session])
    return result


def _overlap(label: AttackLabel, start: int, end: int) -> bool:
    return label.start <= end and label.end >= start
