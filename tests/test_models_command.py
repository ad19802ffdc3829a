"""``gatewatch models`` and ``gatewatch promote --bundle topic:``, with a topic in memory."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import stream.commands.models
import stream.model_publishing
from stream.assembly import SCHEMA
from stream.bundles import read_bundle, write_bundle
from stream.cli import main
from stream.errors import ExitCode
from stream.model_records import ModelRecord, ModelRole, applied
from stream.model_topic import Change
from stream.settings import Settings
from tests.model_factory import make_bundle

FIRST, SECOND = (make_bundle(seed=seed) for seed in range(2))
NOW = 1_700_000_000_000
TOPIC = ["--bundle", "topic:"]


class MemoryTopic:
    """A topic of models in memory."""

    name = "models"

    def __init__(self) -> None:
        self.present: dict[ModelRole, ModelRecord] = {}

    def read(self) -> dict[ModelRole, ModelRecord]:
        return self.present

    def change(self, decide: Change) -> Any:
        changes = decide(self.present, NOW)
        self.present = applied(self.present, changes)
        return changes

    @property
    def uids(self) -> dict[str, str]:
        return {str(role): record.uid for role, record in self.present.items()}


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MemoryTopic:
    """An empty topic; two bundles lie in the working folder."""
    monkeypatch.chdir(tmp_path)
    for name, bundle in (("first", FIRST), ("second", SECOND)):
        write_bundle(name, bundle.to_files())
    topic = MemoryTopic()

    @contextmanager
    def opened(_: Settings) -> Iterator[MemoryTopic]:
        yield topic

    for module in (stream.commands.models, stream.model_publishing):
        monkeypatch.setattr(module, "ModelTopic", opened)
    return topic


def test_a_bundle_is_tried_promoted_and_taken_back(topic: MemoryTopic, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote", *TOPIC, "--challenger", "first"]) == ExitCode.OK
    assert "previous" not in capsys.readouterr().out
    assert main(["models", "try", "second"]) == ExitCode.OK
    assert f"on trial  {SECOND.uid} on the topic models" in capsys.readouterr().out
    assert topic.uids == {"champion": FIRST.uid, "challenger": SECOND.uid}

    assert main(["promote", *TOPIC]) == ExitCode.OK
    said = capsys.readouterr().out
    assert f"champion  {SECOND.uid} on the topic models\n" in said
    assert f"previous  {FIRST.uid}, kept on the topic\n" in said
    assert topic.uids == {"champion": SECOND.uid, "previous": FIRST.uid}

    assert main(["promote", *TOPIC, "--rollback", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {"topic": "models", "promoted": FIRST.uid, "replaced": SECOND.uid}
    assert topic.uids == {"champion": FIRST.uid, "previous": SECOND.uid}


def test_without_a_challenger_there_is_nothing_to_promote(
    topic: MemoryTopic, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["promote", *TOPIC]) == ExitCode.USAGE
    assert "gatewatch models try BUNDLE" in capsys.readouterr().err
    assert topic.uids == {}


def test_a_trial_can_be_ended(topic: MemoryTopic, capsys: pytest.CaptureFixture[str]) -> None:
    main(["models", "try", "second"])
    assert main(["models", "withdraw"]) == ExitCode.OK
    assert f"withdrawn {SECOND.uid}" in capsys.readouterr().out
    assert topic.uids == {}
    assert main(["models", "withdraw"]) == ExitCode.USAGE
    assert "there is no challenger on the topic" in capsys.readouterr().err


def test_show_says_what_is_there_and_what_is_wrong_with_it(
    topic: MemoryTopic, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "show"]) == ExitCode.OK
    assert capsys.readouterr().out == "The topic models is empty.\n"
    main(["promote", *TOPIC, "--challenger", "first"])
    topic.present[ModelRole.CHALLENGER] = ModelRecord(ModelRole.CHALLENGER, b"broken", "broken-1")
    capsys.readouterr()

    assert main(["models", "show", "--json"]) == ExitCode.OK
    champion, challenger = json.loads(capsys.readouterr().out)
    assert (champion["role"], champion["uid"], champion["problem"]) == ("champion", FIRST.uid, "")
    assert champion["since"] == "2023-11-14T22:13:20+00:00"
    assert champion["trained_on"] == FIRST.manifest.trained_on
    assert "not a readable zip file" in challenger["problem"]
    assert main(["models", "show"]) == ExitCode.OK
    assert "refused: model bundle broken-1" in capsys.readouterr().out


def test_a_bundle_of_the_topic_is_saved_for_replay(topic: MemoryTopic, capsys: pytest.CaptureFixture[str]) -> None:
    main(["promote", *TOPIC, "--challenger", "first"])

    assert main(["models", "save", "champion", "ours.zip"]) == ExitCode.OK
    assert read_bundle("ours.zip", SCHEMA).uid == FIRST.uid
    assert topic.uids == {"champion": FIRST.uid}

    capsys.readouterr()
    assert main(["models", "save", "previous", "ours.zip"]) == ExitCode.FAILURE
    assert "the topic models has no previous" in capsys.readouterr().err
    assert main(["models", "save", "champion", "ours"]) == ExitCode.USAGE
    assert "ours is not called .zip" in capsys.readouterr().err
    assert main(["models", "save", "champion", "absent/ours.zip"]) == ExitCode.FAILURE
    assert "No such file or directory" in capsys.readouterr().err


def test_a_bundle_that_cannot_be_used_is_not_tried(topic: MemoryTopic, capsys: pytest.CaptureFixture[str]) -> None:
    Path("second/ensemble.npz").write_bytes(b"broken")
    assert main(["models", "try", "second"]) == ExitCode.USAGE
    assert "ensemble.npz is not the file" in capsys.readouterr().err
    assert topic.uids == {}
