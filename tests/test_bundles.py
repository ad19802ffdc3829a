"""Bundles are found by name, folder or zip file; they are written whole or not at all."""

import os
import zipfile
from pathlib import Path

import pytest

import stream.bundles
from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.bundle import BundleError, ModelBundle
from stream.bundles import read_bundle, shipped_bundles, write_bundle
from tests.model_factory import make_bundle

SCHEMA = ACCESS_BEHAVIOUR_V1


def bundle_with_documents() -> ModelBundle:
    return make_bundle().with_documents({"MODEL_CARD.md": b"# card", "plots/roc.png": b"\x89PNG"})


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped bundles that holds one, called ``ready``."""
    folder = tmp_path / "shipped"
    write_bundle(folder / "ready", make_bundle("ready").to_files())
    monkeypatch.setattr(stream.bundles, "_shipped", lambda: folder)
    return folder


@pytest.mark.parametrize("place", ["model", "model.zip", "deeper/than/there/is"])
def test_what_is_written_is_read(tmp_path: Path, place: str) -> None:
    bundle = bundle_with_documents()
    write_bundle(tmp_path / place, bundle.to_files())
    assert read_bundle(tmp_path / place, SCHEMA).to_files() == bundle.to_files()
    assert read_bundle(str(tmp_path / place), SCHEMA).uid == bundle.uid


def test_the_same_bundle_gives_the_same_zip_file(tmp_path: Path) -> None:
    files = bundle_with_documents().to_files()
    write_bundle(tmp_path / "a.zip", files)
    write_bundle(tmp_path / "b.zip", files)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_zipped_folder_is_read_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for name, content in bundle_with_documents().to_files().items():
            archive.writestr(f"my model/{name}", content)
        archive.writestr("__MACOSX/my model/._manifest.json", b"")
    assert read_bundle(tmp_path / "model.zip", SCHEMA).documents["plots/roc.png"] == b"\x89PNG"


def test_a_shipped_bundle_is_found_by_name(shipped: Path) -> None:
    (shipped / "no bundle").mkdir()
    assert shipped_bundles() == ("ready",)
    assert read_bundle("ready", SCHEMA).manifest.name == "ready"


def test_a_shipped_name_wins_over_a_folder_called_the_same(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shipped.is_dir()
    monkeypatch.chdir(tmp_path)
    write_bundle("ready", make_bundle("own").to_files())
    assert read_bundle("ready", SCHEMA).manifest.name == "ready"
    assert read_bundle("./ready", SCHEMA).manifest.name == "own"


@pytest.mark.parametrize("name", ["absent", "absent.zip", "../absent", ""])
def test_an_unknown_bundle_is_refused_with_the_names_there_are(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert shipped.is_dir()
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    with pytest.raises(BundleError, match=r"there is no (model bundle .*\(ready\)|manifest\.json)"):
        read_bundle(name, SCHEMA)


def test_without_shipped_bundles_the_message_says_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.bundles, "_shipped", lambda: tmp_path / "nothing")
    with pytest.raises(BundleError, match=r"give a shipped name \(none\)"):
        read_bundle("absent", SCHEMA)


def test_errors_name_the_bundle(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model", bundle_with_documents().to_files())
    (tmp_path / "model" / "plots" / "roc.png").write_bytes(b"other")
    with pytest.raises(BundleError, match=r"model bundle .*model: plots/roc\.png is not the file that was written"):
        read_bundle(tmp_path / "model", SCHEMA)


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"there is no manifest\.json"):
        read_bundle(tmp_path, SCHEMA)


# --- what a bundle from elsewhere may not do -------------------------------------------------------------------------


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model", bundle_with_documents().to_files())
    secret = tmp_path / "secret"
    secret.write_bytes(b"# card")
    card = tmp_path / "model" / "MODEL_CARD.md"
    card.unlink()
    card.symlink_to(secret)
    with pytest.raises(BundleError, match=r"MODEL_CARD\.md is a link that leads out of the bundle"):
        read_bundle(tmp_path / "model", SCHEMA)


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    """Kubernetes mounts a ConfigMap as links into a folder beside them."""
    write_bundle(tmp_path / "model", bundle_with_documents().to_files())
    card = tmp_path / "model" / "MODEL_CARD.md"
    card.rename(tmp_path / "model" / "plots" / "card")
    card.symlink_to("plots/card")
    assert read_bundle(tmp_path / "model", SCHEMA).documents["MODEL_CARD.md"] == b"# card"


@pytest.mark.parametrize("place", ["model", "model.zip"])
def test_a_file_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """In a zip file a small entry may unfold to any size; it is read no further than the limit."""
    bundle = make_bundle().with_documents({"zeros": bytes(300_000)})
    write_bundle(tmp_path / place, bundle.to_files())
    monkeypatch.setattr(stream.bundles, "MAX_FILE_BYTES", 200_000)
    with pytest.raises(BundleError, match=r"zeros has more than the 200,000 bytes"):
        read_bundle(tmp_path / place, SCHEMA)


@pytest.mark.parametrize("place", ["model", "model.zip"])
def test_a_bundle_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    bundle = make_bundle().with_documents({"a": bytes(60_000), "b": bytes(60_000)})
    write_bundle(tmp_path / place, bundle.to_files())
    monkeypatch.setattr(stream.bundles, "MAX_BUNDLE_BYTES", 120_000)
    with pytest.raises(BundleError, match=r"has more than the [0-9,]+ bytes that are left to the bundle"):
        read_bundle(tmp_path / place, SCHEMA)


def test_zip_entries_that_lead_outside_are_never_written(tmp_path: Path) -> None:
    inside = tmp_path / "deep" / "deeper"
    inside.mkdir(parents=True)
    with zipfile.ZipFile(inside / "model.zip", "w") as archive:
        for name, content in make_bundle().to_files().items():
            archive.writestr(name, content)
        archive.writestr("../../evil", b"evil")
    before = sorted(tmp_path.rglob("*"))
    assert read_bundle(inside / "model.zip", SCHEMA).documents == {}
    assert sorted(tmp_path.rglob("*")) == before


def test_a_broken_zip_file_is_refused(tmp_path: Path) -> None:
    write_bundle(tmp_path / "model.zip", make_bundle().to_files())
    data = (tmp_path / "model.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    flipped = bytearray(data)
    flipped[200] ^= 0xFF
    (tmp_path / "flipped.zip").write_bytes(flipped)
    (tmp_path / "locked.zip").write_bytes(_encrypted(data))
    for name in ("cut", "flipped", "locked"):
        with pytest.raises(BundleError, match=rf"{name}\.zip: .*zip file"):
            read_bundle(tmp_path / f"{name}.zip", SCHEMA)


def _encrypted(data: bytes) -> bytes:
    """Return a zip file with every entry marked as encrypted."""
    marked = bytearray(data)
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            marked[at + flags] |= 1
            at = data.find(signature, at + 1)
    return bytes(marked)


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["model", "model.zip"])
def test_writing_replaces_the_bundle_that_was_there(tmp_path: Path, place: str) -> None:
    write_bundle(tmp_path / place, bundle_with_documents().to_files())
    write_bundle(tmp_path / place, make_bundle("second").to_files())
    assert read_bundle(tmp_path / place, SCHEMA).manifest.name == "second"
    assert [path.name for path in tmp_path.iterdir()] == [place]


@pytest.mark.parametrize("place", ["model", "model.zip"])
def test_a_write_that_fails_leaves_the_old_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    write_bundle(tmp_path / place, make_bundle("first").to_files())
    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        write(path, data[:100])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(BundleError, match="can't be written \\(No space left on device\\)"):
            write_bundle(tmp_path / place, make_bundle("second").to_files())
    assert read_bundle(tmp_path / place, SCHEMA).manifest.name == "first"
    assert [path.name for path in tmp_path.iterdir()] == [place]


def test_a_rename_that_fails_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path / "model", make_bundle("first").to_files())
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(stream.bundles, "_swapped", lambda *_: False)
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(BundleError, match="Permission denied"):
            write_bundle(tmp_path / "model", make_bundle("second").to_files())
    assert read_bundle(tmp_path / "model", SCHEMA).manifest.name == "first"


def test_a_folder_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that starts just then finds the one bundle or the other."""
    write_bundle(tmp_path / "model", make_bundle("first").to_files())
    swapped, seen = stream.bundles._swapped, []

    def watch(one: Path, other: Path) -> bool:
        seen.append(read_bundle(tmp_path / "model", SCHEMA).manifest.name)
        done = swapped(one, other)
        seen.append(read_bundle(tmp_path / "model", SCHEMA).manifest.name)
        return done

    def refuse(*_: Path) -> None:
        raise AssertionError("a second step")

    monkeypatch.setattr(stream.bundles, "_swapped", watch)
    monkeypatch.setattr(Path, "rename", refuse)
    write_bundle(tmp_path / "model", make_bundle("second").to_files())
    assert seen == ["first", "second"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_names_are_swapped_only_if_both_are_there(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    assert not stream.bundles._swapped(tmp_path / "one", tmp_path / "absent")
    assert (tmp_path / "one").is_dir()


def test_a_relative_path_is_written_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_bundle("model", make_bundle().to_files())
    assert (tmp_path / "model" / "manifest.json").is_file()


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    write_bundle(tmp_path, make_bundle().to_files())
    assert read_bundle(tmp_path, SCHEMA).uid == make_bundle().uid


def test_a_folder_of_other_things_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match="not a model bundle and is not empty"):
        write_bundle(tmp_path, make_bundle().to_files())
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_is_not_replaced_by_a_folder_nor_a_folder_by_a_zip(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.zip").mkdir()
    for place in ("file", "folder.zip"):
        with pytest.raises(BundleError, match="remove it, or write the bundle elsewhere"):
            write_bundle(tmp_path / place, make_bundle().to_files())


def test_a_written_folder_can_be_read_by_others(tmp_path: Path) -> None:
    """The worker often runs as another user than the one who trained."""
    before = os.umask(0o022)
    try:
        write_bundle(tmp_path / "model", make_bundle().to_files())
    finally:
        os.umask(before)
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "model" / "manifest.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_files_are_written_inside_the_folder_only(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="can't hold a file called"):
        write_bundle(tmp_path / "model", {**make_bundle().to_files(), name: b"evil"})
    assert list(tmp_path.iterdir()) == []
