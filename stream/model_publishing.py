"""What people do with the topic ``models``: promote, go back, put a challenger on trial, end the trial."""

from collections.abc import Sequence
from typing import NamedTuple

from featurizer.features import FeatureSchema
from scorer.bundle import BundleError
from stream.bundles import read_bundle
from stream.clock import now_ms
from stream.errors import CommandError, ExitCode
from stream.model_records import ModelRecord, ModelRole, Present, no_trial, promotion, trial_record, way_back
from stream.model_topic import Change, ModelTopic
from stream.settings import Settings


class Published(NamedTuple):
    """What was done.

    Attributes:
        topic: the topic of models.
        promoted: uid of the champion now.
        replaced: uid of the champion before, which is kept; None when there was none.
    """

    topic: str
    promoted: str
    replaced: str | None


def publish_champion(settings: Settings, schema: FeatureSchema) -> Published:
    """Make the bundle ``model.challenger`` the champion, or, without one, the challenger on the topic.

    Raises:
        CommandError: there is no challenger, it can't be used, or the topic can't be changed.
    """
    named = settings.model.challenger
    new = None if named is None else _as_trial(settings, named, schema)

    def decide(present: Present, time: int) -> Sequence[ModelRecord]:
        challenger = new or present.get(ModelRole.CHALLENGER)
        if challenger is None:
            hint = "name the bundle to promote: --challenger BUNDLE; or try one first: gatewatch models try BUNDLE"
            raise CommandError("there is no challenger", hint, ExitCode.USAGE)
        return promotion(present, challenger, time, schema)

    return _changed(settings, decide)


def publish_previous(settings: Settings, schema: FeatureSchema) -> Published:
    """Make the champion before the champion again, and keep the present one in turn.

    Raises:
        CommandError: nothing is kept, it can't be used, or the topic can't be changed.
    """
    return _changed(settings, lambda present, time: way_back(present, time, schema))


def publish_trial(settings: Settings, bundle: str, schema: FeatureSchema) -> str:
    """Put a bundle on trial, in place of the challenger that there may be; return its uid.

    Raises:
        CommandError: it can't be used, or the topic can't be changed.
    """
    trial = _as_trial(settings, bundle, schema)
    with ModelTopic(settings) as topic:
        topic.change(lambda _, time: [trial._replace(time=time)])
    return trial.uid


def end_trial(settings: Settings) -> str:
    """End the challenger's trial; return its uid.

    Raises:
        CommandError: there is no challenger, or the topic can't be changed.
    """
    ended: list[str] = []

    def decide(present: Present, time: int) -> Sequence[ModelRecord]:
        challenger = present.get(ModelRole.CHALLENGER)
        if challenger is None:
            raise CommandError("there is no challenger on the topic", "there is nothing to do", ExitCode.USAGE)
        ended.append(challenger.uid)
        return [no_trial(time)]

    with ModelTopic(settings) as topic:
        topic.change(decide)
    return ended[-1]


def _as_trial(settings: Settings, bundle: str, schema: FeatureSchema) -> ModelRecord:
    try:
        model = read_bundle(bundle, schema)
    except BundleError as error:
        raise CommandError(str(error), exit_code=ExitCode.USAGE) from error
    return trial_record(model, now_ms(), settings.topics.models_record_bytes)


def _changed(settings: Settings, decide: Change) -> Published:
    with ModelTopic(settings) as topic:
        changes = {change.role: change for change in topic.change(decide)}
        kept = changes.get(ModelRole.PREVIOUS)
        return Published(topic.name, changes[ModelRole.CHAMPION].uid, None if kept is None else kept.uid)
