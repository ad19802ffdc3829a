"""SIGHUP: champion and challenger are read again together, or neither is."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from featurizer.features import ACCESS_BEHAVIOUR_V1, FeatureSchema
from scorer.bundle import ModelBundle
from stream import assembly
from stream.bundles import write_bundle
from stream.commands.config import problems
from stream.errors import CommandError, ExitCode
from stream.measuring import TimedJudge
from stream.model_reload import ModelReload
from stream.settings import Settings, load_settings
from stream.telemetry import Telemetry
from tests.model_factory import make_bundle
from tests.records import decode_words


def of_another_schema() -> ModelBundle:
    """Return a bundle whose features have another version."""
    own = make_bundle()
    other = FeatureSchema(ACCESS_BEHAVIOUR_V1.name, 99, ACCESS_BEHAVIOUR_V1.features)
    return ModelBundle.assemble(own.manifest, other, own.ensemble, own.reference)


class Installation:
    """A detector whose bundles lie in a folder, and what reloads them."""

    def __init__(self, folder: Path, *, challenger: bool = True) -> None:
        self.champion, self.challenger = folder / "champion", folder / "challenger"
        write_bundle(self.champion, make_bundle().to_files())
        write_bundle(self.challenger, make_bundle(seed=1).to_files())
        overrides = {"model.bundle": str(self.champion)}
        if challenger:
            overrides["model.challenger"] = str(self.challenger)
        self.settings: Settings = load_settings(overrides=overrides)
        self.telemetry = Telemetry(CollectorRegistry())
        judge = assembly.make_judge(self.settings, assembly.model_bundle(self.settings), TimedJudge)
        trial = assembly.make_challenger(self.settings, assembly.challenger_bundle(self.settings))
        self.detector = assembly.detector(self.settings, judge, {"logs": decode_words}, trial)

    def reload(self) -> bool:
        read = lambda: assembly.named_models(self.settings)  # noqa: E731 -- short
        return asyncio.run(ModelReload(self.settings, self.detector, self.telemetry, read).reload())

    @property
    def models(self) -> tuple[str, str | None]:
        """The uids of champion and challenger at work."""
        trial = self.detector.challenger
        return self.detector.judge.bundle.uid, None if trial is None else trial.judge.bundle.uid

    def value(self, metric: str, **labels: str) -> float | None:
        return self.telemetry.registry.get_sample_value(metric, labels)


BEFORE = (make_bundle().uid, make_bundle(seed=1).uid)
AFTER = (make_bundle(seed=2).uid, make_bundle(seed=3).uid)


def test_both_models_are_replaced_together(tmp_path: Path) -> None:
    own = Installation(tmp_path)
    write_bundle(own.champion, make_bundle(seed=2).to_files())
    write_bundle(own.challenger, make_bundle(seed=3).to_files())
    assert own.models == BEFORE
    assert own.reload()
    assert own.models == AFTER
    assert own.value("gatewatch_model_reloads_total", result="done") == 1
    labels = {"name": "test", "trained_on": make_bundle().manifest.trained_on}
    assert own.value("gatewatch_challenger_info", uid=AFTER[1], **labels) == 1


@pytest.mark.parametrize("broken", ["champion", "challenger"])
def test_when_either_is_broken_the_old_pair_stays(tmp_path: Path, broken: str) -> None:
    own = Installation(tmp_path)
    write_bundle(own.champion, make_bundle(seed=2).to_files())
    write_bundle(own.challenger, make_bundle(seed=3).to_files())
    (tmp_path / broken / "ensemble.npz").write_bytes(b"broken")
    assert not own.reload()
    assert own.models == BEFORE
    assert own.value("gatewatch_model_reloads_total", result="refused") == 1


def test_without_a_challenger_there_is_none_after_a_reload_either(tmp_path: Path) -> None:
    own = Installation(tmp_path, challenger=False)
    assert own.reload()
    assert own.models == (BEFORE[0], None)


def test_a_challenger_of_another_schema_is_refused_and_the_message_names_both(tmp_path: Path) -> None:
    own = Installation(tmp_path)
    write_bundle(own.challenger, of_another_schema().to_files())
    with pytest.raises(CommandError, match=r"model\.challenger: .*version 99 .* this gatewatch computes .* version 1"):
        assembly.challenger_bundle(own.settings)
    assert not own.reload()
    assert own.models == BEFORE


def test_a_challenger_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    settings = load_settings(overrides={"model.challenger": str(tmp_path / "absent")})
    with pytest.raises(CommandError, match="there is no model bundle") as error:
        assembly.challenger_bundle(settings)
    assert error.value.exit_code is ExitCode.USAGE
    assert "unset it to run without a challenger" in error.value.hint


def test_models_of_the_topic_are_not_looked_for_as_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert problems(None, ["model.bundle=topic:"]) == []
    with pytest.raises(CommandError, match="is the topic models, which only workers follow") as error:
        assembly.model_bundle(load_settings(overrides={"model.bundle": "topic:"}))
    assert "gatewatch models save champion our-api.zip" in error.value.hint


def test_a_challenger_that_is_named_beside_the_topic_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would follow it: all workers judge with the challenger of the topic."""
    monkeypatch.chdir(tmp_path)
    (problem,) = problems(None, ["model.bundle=topic:", "model.challenger=demo"])
    assert problem == "model.challenger names a bundle, but models are those of the topic models"


def test_config_check_looks_at_the_challenger_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (problem,) = problems(None, ["model.challenger=absent"])
    assert problem.startswith("model.challenger: there is no model bundle 'absent'")


def test_the_challenger_is_judged_as_it_would_be_once_promoted(tmp_path: Path) -> None:
    """Overrides of thresholds hold for both, or the comparison would end with the promotion."""
    own = Installation(tmp_path)
    settings = own.settings.model_copy(
        update={"model": own.settings.model.model_copy(update={"threshold_open": 0.75, "minimum_edges": 3})}
    )
    trial = assembly.make_challenger(settings, make_bundle(seed=1))
    assert trial is not None
    assert (trial.judge.threshold_open, trial.judge.minimum_edges) == (0.75, 3)
