"""``gatewatch promote``: the challenger's bundle in the champion's place, and the way back."""

import json
from pathlib import Path

import pytest

import stream.bundles
from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.bundle import BundleError
from stream.bundles import read_bundle, write_bundle
from stream.cli import main
from stream.errors import CommandError, ExitCode
from stream.promotion import kept_beside, promote, rollback
from tests.model_factory import make_bundle

SCHEMA = ACCESS_BEHAVIOUR_V1
FIRST, SECOND, THIRD = (make_bundle(seed=seed) for seed in range(3))


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without a gatewatch.toml."""
    monkeypatch.chdir(tmp_path)


def uid_at(path: Path) -> str:
    return read_bundle(path, SCHEMA).uid


@pytest.fixture(params=["model", "model.zip"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the champion lies; the challenger is beside it."""
    place = tmp_path / str(request.param)
    write_bundle(place, FIRST.with_documents({"MODEL_CARD.md": b"# first"}).to_files())
    write_bundle(tmp_path / "trial", SECOND.with_documents({"MODEL_CARD.md": b"# second"}).to_files())
    return place


def test_the_challenger_takes_the_place_and_the_champion_is_kept(place: Path) -> None:
    done = promote(str(place), "trial", SCHEMA)
    assert done == (place, SECOND.uid, kept_beside(place), FIRST.uid)
    assert (uid_at(place), uid_at(done.kept)) == (SECOND.uid, FIRST.uid)
    assert read_bundle(place, SCHEMA).documents["MODEL_CARD.md"] == b"# second"
    assert read_bundle(done.kept, SCHEMA).documents["MODEL_CARD.md"] == b"# first"
    assert uid_at(place.with_name("trial")) == SECOND.uid


def test_a_rollback_puts_the_champion_back_and_keeps_what_was_promoted(place: Path) -> None:
    promote(str(place), "trial", SCHEMA)
    done = rollback(str(place), SCHEMA)
    assert (uid_at(place), uid_at(done.kept)) == (FIRST.uid, SECOND.uid)
    rollback(str(place), SCHEMA)
    assert (uid_at(place), uid_at(done.kept)) == (SECOND.uid, FIRST.uid)


def test_the_champion_before_the_last_is_what_is_kept(place: Path) -> None:
    promote(str(place), "trial", SCHEMA)
    write_bundle("trial", THIRD.to_files())
    promote(str(place), "trial", SCHEMA)
    assert (uid_at(place), uid_at(kept_beside(place))) == (THIRD.uid, SECOND.uid)


def test_what_is_kept_lies_beside_in_the_same_form() -> None:
    assert kept_beside(Path("/models/our-api")) == Path("/models/our-api.previous")
    assert kept_beside(Path("/models/our-api.v2.zip")) == Path("/models/our-api.v2.previous.zip")


@pytest.mark.parametrize("failing", [1, 2])
def test_a_write_that_fails_leaves_the_champion_at_work(
    place: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    write, calls = stream.bundles.write_bundle, []

    def full(path: Path, files: dict[str, bytes]) -> None:
        calls.append(path)
        if len(calls) == failing:
            raise BundleError("can't be written (No space left on device)")
        write(path, files)

    monkeypatch.setattr("stream.promotion.write_bundle", full)
    with pytest.raises(CommandError, match="No space left"):
        promote(str(place), "trial", SCHEMA)
    assert uid_at(place) == FIRST.uid


class TestRefusals:
    def test_without_a_challenger_there_is_nothing_to_promote(self, place: Path) -> None:
        with pytest.raises(CommandError, match="there is no challenger") as error:
            promote(str(place), None, SCHEMA)
        assert error.value.exit_code is ExitCode.USAGE

    def test_a_shipped_champion_is_not_replaced(self, place: Path) -> None:
        assert place.exists()
        with pytest.raises(CommandError, match="demo ships with gatewatch and is not replaced"):
            promote("demo", "trial", SCHEMA)
        with pytest.raises(CommandError, match="demo ships with gatewatch and is not replaced"):
            rollback("demo", SCHEMA)

    def test_the_same_model_is_not_promoted_twice(self, place: Path) -> None:
        promote(str(place), "trial", SCHEMA)
        with pytest.raises(CommandError, match=rf"holds {SECOND.uid} already"):
            promote(str(place), "trial", SCHEMA)
        assert uid_at(kept_beside(place)) == FIRST.uid

    def test_a_broken_challenger_changes_nothing(self, place: Path) -> None:
        (place.parent / "trial" / "ensemble.npz").write_bytes(b"broken")
        with pytest.raises(CommandError, match=r"ensemble\.npz is not the file"):
            promote(str(place), "trial", SCHEMA)
        assert (uid_at(place), kept_beside(place).exists()) == (FIRST.uid, False)

    def test_before_a_promotion_there_is_nothing_to_go_back_to(self, place: Path) -> None:
        with pytest.raises(CommandError, match=r"there is no .*previous"):
            rollback(str(place), SCHEMA)

    def test_something_else_in_the_place_of_what_is_kept_is_left_alone(self, place: Path) -> None:
        kept = kept_beside(place)
        kept.mkdir()
        (kept / "notes.txt").write_text("mine")
        with pytest.raises(CommandError, match="previous"):
            promote(str(place), "trial", SCHEMA)
        assert ((kept / "notes.txt").read_text(), uid_at(place)) == ("mine", FIRST.uid)


class TestCommand:
    def test_it_says_what_was_done_and_what_is_left_to_do(
        self, place: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ["--bundle", str(place), "--challenger", "trial"]
        assert main(["promote", *arguments]) == ExitCode.OK
        out = capsys.readouterr().out
        assert f"in place  {SECOND.uid} in {place}\n" in out
        assert f"kept      {FIRST.uid} in {kept_beside(place)}\n" in out
        assert "send SIGHUP to every worker" in out

    def test_settings_name_the_bundles_too(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Path("gatewatch.toml").write_text(f'[model]\nbundle = "{place}"\nchallenger = "trial"\n')
        assert main(["promote", "--json"]) == ExitCode.OK
        assert json.loads(capsys.readouterr().out)["promoted"] == SECOND.uid
        assert main(["promote", "--rollback", "--json"]) == ExitCode.OK
        assert json.loads(capsys.readouterr().out)["promoted"] == FIRST.uid

    def test_a_rollback_takes_no_challenger(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        arguments = ["promote", "--rollback", "--bundle", str(place), "--challenger", "trial"]
        assert main(arguments) == ExitCode.USAGE
        assert "--rollback takes no --challenger" in capsys.readouterr().err
