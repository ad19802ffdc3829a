"""What alerts on each kind of simulated attack say first, with the model that the demo ships."""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from featurizer.features import Group
from scorer.alerts import Alert
from scorer.counterfactual import Counterfactual
from scorer.verdicts import Leg
from stream import assembly
from stream.replay import Replay
from stream.settings import load_settings
from stream.simulator.attacks import AttackKind
from tests.simulated_logs import simulated_log

SETTINGS = load_settings(
    None, {"model.bundle": "demo", "sessions.gap_s": 60, "sessions.quiet_s": 3, "sessions.lateness_s": 1}
)
LEADING: Mapping[AttackKind, set[Group]] = {
    AttackKind.OBJECT_WALK: {Group.OUTCOMES, Group.SURPRISE},
    AttackKind.CREDENTIAL_STUFFING: {Group.OUTCOMES, Group.SURPRISE},
    AttackKind.ENDPOINT_SCAN: {Group.SURPRISE},
    AttackKind.SCRAPING: {Group.SURPRISE},
    AttackKind.LOGIC_PROBE: {Group.SURPRISE},
    AttackKind.ACCOUNT_TAKEOVER: {Group.SURPRISE, Group.OUTCOMES},
}
"""Sign-ins and walks are refused; the others take steps that hardly anyone takes."""


@pytest.fixture(scope="module")
def alerts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Sequence[Alert]]:
    """Alerts of the model by the kind of attack that they overlap in time."""
    folder = tmp_path_factory.mktemp("log")
    calls, labels = simulated_log(folder, seed=2002, duration_s=600, rate=200, attack_share=0.05)
    attacks = [json.loads(line) for line in labels.read_text().splitlines()]
    run = Replay(SETTINGS, assembly.model_bundle(SETTINGS), "auto")
    found: defaultdict[str, list[Alert]] = defaultdict(list)
    for batch in run.run([Path(calls)], lambda _: None):
        for alert in batch.alerts:
            for attack in attacks if alert.leg is not Leg.LEARNING else ():
                if attack["client"] == alert.client and attack["start"] <= alert.end and attack["end"] >= alert.start:
                    found[attack["attack"]].append(alert)
    return found


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.parametrize("kind", list(AttackKind))
def test_nearly_all_alerts_on_an_attack_tell_first_what_the_attack_is_about(
    kind: AttackKind, alerts: Mapping[str, Sequence[Alert]]
) -> None:
    first = Counter(alert.reasons[0].group for alert in alerts[kind])
    assert first.total() >= 20
    assert sum(first[group] for group in LEADING[kind]) >= 0.8 * first.total(), first


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_nearly_every_alert_of_the_demo_s_model_says_what_would_have_been_enough(
    alerts: Mapping[str, Sequence[Alert]],
) -> None:
    every = [alert for found in alerts.values() for alert in found]
    known = [alert for alert in every if isinstance(alert.counterfactual, Counterfactual)]
    assert len(known) >= 0.9 * len(every)
    assert all("alone would have kept it under the threshold" in alert.message for alert in known)
