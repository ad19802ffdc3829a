"""The topic of models: roles, promoting, going back, and what a worker takes from it."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.features import ACCESS_BEHAVIOUR_V1, FeatureSchema
from scorer.bundle import BundleError, ModelBundle
from scorer.manifest import ESTIMATOR
from stream.errors import CommandError, ExitCode
from stream.model_records import (
    ModelRecord,
    ModelRole,
    Present,
    TopicModels,
    applied,
    outgoing,
    promotion,
    record_of,
    trial_record,
    way_back,
)
from tests.model_factory import make_bundle

SCHEMA = ACCESS_BEHAVIOUR_V1
CHAMPION, CHALLENGER, PREVIOUS = ModelRole
ROOM = 8_388_608
MODELS = [make_bundle(seed=seed) for seed in range(3)]
RECORDS = [trial_record(model, 1_700_000_000_000, ROOM) for model in MODELS]
FIRST, SECOND, THIRD = RECORDS
BROKEN = ModelRecord(CHAMPION, b"broken", "broken-1")


def holding(**roles: ModelRecord) -> dict[ModelRole, ModelRecord]:
    """Return what a topic holds."""
    return {ModelRole(name): record._replace(role=ModelRole(name)) for name, record in roles.items()}


def uids(present: Present) -> dict[str, str]:
    return {str(role): record.uid for role, record in present.items()}


def of_another_schema() -> ModelBundle:
    """Return a bundle whose features have another version."""
    own = make_bundle()
    return ModelBundle.assemble(
        own.manifest, FeatureSchema(SCHEMA.name, 99, SCHEMA.features), own.ensemble, own.reference
    )


class TestRecord:
    def test_it_is_read_as_it_was_written(self) -> None:
        record = outgoing("models", FIRST)

        assert (record.topic, record.key, record.partition) == ("models", b"challenger", 0)
        assert record_of(record.key, record.value, record.headers) == FIRST
        assert FIRST.bundle(SCHEMA).uid == MODELS[0].uid

    def test_documents_are_in_it_and_the_estimator_is_not(self) -> None:
        whole = MODELS[0].with_documents({"MODEL_CARD.md": b"# card", ESTIMATOR: b"pickle"})

        found = trial_record(whole, 0, ROOM).bundle(SCHEMA)

        assert dict(found.documents) == {"MODEL_CARD.md": b"# card"}

    @pytest.mark.parametrize("key", [None, b"", b"runner-up", b"\xff"])
    def test_one_under_another_key_is_none_of_ours(self, key: bytes | None) -> None:
        assert record_of(key, b"", ()) is None

    def test_headers_of_another_program_are_no_obstacle(self) -> None:
        headers = (("time", b"yesterday"), ("uid", b"\xff"), ("name", None))

        record = record_of(b"champion", FIRST.content, headers)

        assert record is not None
        assert record.time == 0
        assert record.bundle(SCHEMA).uid == FIRST.uid

    def test_a_bundle_that_the_topic_does_not_take_is_refused_with_the_setting_to_raise(self) -> None:
        large = len(FIRST.content or b"")

        with pytest.raises(CommandError, match=rf"{FIRST.uid} is {large:,} bytes as \.zip") as error:
            trial_record(MODELS[0], 0, large)

        assert f"topics.models_record_bytes to {large + 4096}" in error.value.hint
        assert trial_record(MODELS[0], 0, large + 4096).content == FIRST.content


class TestPromotion:
    def test_the_first_champion_replaces_nothing(self) -> None:
        assert promotion({}, FIRST, 5, SCHEMA) == [FIRST._replace(role=CHAMPION, time=5)]

    def test_the_challenger_becomes_champion_and_its_trial_ends(self) -> None:
        before = holding(champion=FIRST, challenger=SECOND)

        after = applied(before, promotion(before, before[CHALLENGER], 5, SCHEMA))

        assert uids(after) == {"champion": SECOND.uid, "previous": FIRST.uid}
        assert {record.time for record in after.values()} == {5}

    def test_the_trial_of_another_goes_on(self) -> None:
        before = holding(champion=FIRST, challenger=SECOND)

        after = applied(before, promotion(before, THIRD, 5, SCHEMA))

        assert uids(after) == {"champion": THIRD.uid, "previous": FIRST.uid, "challenger": SECOND.uid}

    def test_the_champion_is_not_promoted_again(self) -> None:
        with pytest.raises(CommandError, match=f"{FIRST.uid} is the champion already") as error:
            promotion(holding(champion=FIRST, previous=SECOND), FIRST, 5, SCHEMA)
        assert error.value.exit_code is ExitCode.USAGE

    def test_what_cannot_be_used_is_not_promoted(self) -> None:
        with pytest.raises(CommandError, match="not a readable zip file"):
            promotion(holding(champion=FIRST), BROKEN, 5, SCHEMA)
        foreign = trial_record(of_another_schema(), 0, ROOM)
        with pytest.raises(CommandError, match="this gatewatch computes"):
            promotion(holding(champion=FIRST), foreign, 5, SCHEMA)

    def test_a_broken_champion_can_be_replaced(self) -> None:
        before = holding(champion=BROKEN)

        after = applied(before, promotion(before, FIRST, 5, SCHEMA))

        assert after[CHAMPION].bundle(SCHEMA).uid == FIRST.uid


class TestWayBack:
    def test_champion_and_previous_change_places_and_the_trial_goes_on(self) -> None:
        before = holding(champion=SECOND, previous=FIRST, challenger=THIRD)

        after = applied(before, way_back(before, 5, SCHEMA))

        assert uids(after) == {"champion": FIRST.uid, "previous": SECOND.uid, "challenger": THIRD.uid}
        assert uids(applied(after, way_back(after, 6, SCHEMA))) == uids(before)

    def test_before_a_promotion_there_is_nothing_to_go_back_to(self) -> None:
        with pytest.raises(CommandError, match="has no previous champion") as error:
            way_back(holding(champion=FIRST), 5, SCHEMA)
        assert "gatewatch promote" in error.value.hint

    def test_a_previous_one_that_cannot_be_used_stays_where_it_is(self) -> None:
        with pytest.raises(CommandError, match="not a readable zip file"):
            way_back(holding(champion=FIRST, previous=BROKEN), 5, SCHEMA)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from([0, 1, 2, None]), max_size=6), st.data())
def test_wherever_a_change_ends_there_is_a_champion_and_it_can_be_used(
    steps: Sequence[int | None], data: st.DataObject
) -> None:
    """Without transactions a change may end after any of its records; None is a rollback."""
    present: dict[ModelRole, ModelRecord] = holding(champion=FIRST)
    for step in steps:
        try:
            changes = way_back(present, 5, SCHEMA) if step is None else promotion(present, RECORDS[step], 5, SCHEMA)
        except CommandError:
            continue
        present = applied(present, changes[: data.draw(st.integers(0, len(changes)))])

        assert present[CHAMPION].bundle(SCHEMA).uid in {model.uid for model in MODELS}


class TestTopicModels:
    def test_the_newest_of_each_role_is_used(self) -> None:
        models = TopicModels("models", SCHEMA)

        changed, problems = models.take(
            [
                FIRST._replace(role=CHAMPION),
                SECOND._replace(role=CHAMPION),
                THIRD._replace(role=CHALLENGER),
            ]
        )

        assert (changed, problems) == (True, [])
        champion, challenger = models.models()
        assert challenger is not None
        assert (champion.uid, challenger.uid) == (SECOND.uid, THIRD.uid)

    def test_the_previous_one_changes_nothing(self) -> None:
        models = TopicModels("models", SCHEMA)
        models.take(holding(champion=FIRST).values())

        assert models.take([BROKEN._replace(role=PREVIOUS)]) == (False, [])
        assert models.take(holding(champion=FIRST).values()) == (False, [])

    def test_a_trial_that_ends_leaves_no_challenger(self) -> None:
        models = TopicModels("models", SCHEMA)
        models.take(holding(champion=FIRST, challenger=SECOND).values())

        assert models.take([ModelRecord(CHALLENGER, None)]) == (True, [])
        assert models.models().challenger is None

    @pytest.mark.parametrize("role", [CHAMPION, CHALLENGER])
    @pytest.mark.parametrize("content", [b"broken", trial_record(of_another_schema(), 0, ROOM).content])
    def test_a_bad_record_leaves_the_model_of_its_role_and_stops_no_other(
        self, role: ModelRole, content: bytes
    ) -> None:
        models = TopicModels("models", SCHEMA)
        models.take(holding(champion=FIRST, challenger=SECOND).values())
        other = CHALLENGER if role is CHAMPION else CHAMPION

        changed, (problem,) = models.take([ModelRecord(role, content, "bad-1"), THIRD._replace(role=other)])

        assert changed
        assert problem.startswith(f"model bundle bad-1 ({role} on the topic): ")
        champion, challenger = models.models()
        assert challenger is not None
        found = {CHAMPION: champion.uid, CHALLENGER: challenger.uid}
        assert found == {CHAMPION: FIRST.uid, CHALLENGER: SECOND.uid} | {other: THIRD.uid}

    def test_a_champion_that_is_deleted_stays_at_work(self) -> None:
        models = TopicModels("models", SCHEMA)
        models.take(holding(champion=FIRST).values())

        assert models.take([ModelRecord(CHAMPION, None)]) == (False, ["there is no champion on the topic"])
        assert models.models().champion.uid == FIRST.uid

    def test_without_a_champion_the_error_says_how_to_publish_one(self) -> None:
        models = TopicModels("our-models", SCHEMA)
        models.take(holding(challenger=FIRST).values())

        with pytest.raises(CommandError, match="the topic our-models has no champion") as error:
            models.models()
        assert error.value.exit_code is ExitCode.USAGE
        assert error.value.hint == "publish one: gatewatch promote --bundle topic: --challenger BUNDLE"

    def test_with_a_champion_that_cannot_be_used_it_says_why_and_how_to_go_back(self) -> None:
        models = TopicModels("models", SCHEMA)
        models.take([BROKEN])

        with pytest.raises(CommandError, match=r"model bundle broken-1 .* not a readable zip file") as error:
            models.models()
        assert "--rollback" in error.value.hint


def test_a_record_without_a_bundle_has_none() -> None:
    with pytest.raises(BundleError, match="there is no challenger on the topic"):
        ModelRecord(CHALLENGER, None).bundle(SCHEMA)
