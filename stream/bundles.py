"""Where model bundles lie: shipped with gatewatch by name, in a folder, or in one zip file; and the zip as bytes."""

import ctypes
import io
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from featurizer.features import FeatureSchema
from scorer.bundle import BundleError, ModelBundle
from scorer.manifest import ENSEMBLE, MANIFEST, REFERENCE, decode_manifest, safe_name

MAX_FILE_BYTES = 64 * 1024 * 1024
"""Greatest file read from a bundle; a model of 250 trees is under one megabyte."""
MAX_BUNDLE_BYTES = 256 * 1024 * 1024

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_EPOCH = (1980, 1, 1, 0, 0, 0)

ReadFile = Callable[[str, int], bytes | None]
"""Returns a file of the bundle by name, None when it is not there; at most so many bytes."""


def shipped_bundles() -> tuple[str, ...]:
    """Return the names of the bundles that come with gatewatch."""
    folder = _shipped()
    if not folder.is_dir():
        return ()
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.joinpath(MANIFEST).is_file()))


def read_bundle(name_or_path: str | Path, schema: FeatureSchema) -> ModelBundle:
    """Load and check a model bundle.

    Args:
        name_or_path: a shipped name (it wins over a folder called the same: write ``./name`` for that), a folder, or a
            ``.zip`` file.
        schema: the features that vectors have here.

    Raises:
        BundleError: there is no such bundle, or it can't be used here; the message says what to do.
    """
    name = str(name_or_path)
    if name in shipped_bundles():
        return _load(name, _from_package(_shipped().joinpath(name)), schema)
    path = Path(name_or_path).expanduser()
    try:
        if path.is_dir():
            return _load(name, _from_folder(path), schema)
        if path.is_file():
            return _load_zip(path, name, schema)
    except OSError as error:
        raise BundleError(f"model bundle {name}: can't be read ({error.strerror or error})") from error
    known = ", ".join(shipped_bundles()) or "none"
    raise BundleError(
        f"there is no model bundle {name!r}: give a shipped name ({known}), or the path of a folder or .zip file "
        "that `gatewatch train` wrote"
    )


def write_bundle(path: str | Path, files: Mapping[str, bytes]) -> None:
    """Write a bundle so that a reader sees all of it or none.

    It is written beside its place and then renamed. A bundle that is there already is replaced in one step; a folder
    on a file system that can't swap two names (NFS) in two: for a moment there is none, and the old one is put back if
    the second fails.

    Args:
        path: a folder, or a file ending in ``.zip``.
        files: the bundle's files by name, as ``ModelBundle.to_files`` returns them.

    Raises:
        BundleError: the place is taken by something else than a bundle, or can't be written.
    """
    target = Path(path).expanduser().absolute()
    for name in files:
        if not safe_name(name):
            raise BundleError(f"a bundle can't hold a file called {name!r}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, since only a rename within one file system is atomic.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
            if target.suffix == ".zip":
                _write_zip(target, Path(scratch), files)
            else:
                _write_folder(target, Path(scratch), files)
    except OSError as error:
        raise BundleError(f"model bundle {target}: can't be written ({error.strerror or error})") from error


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a bundle as one zip file, whose bytes depend on the bundle's content only."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=_EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def read_zipped(content: bytes, name: str, schema: FeatureSchema) -> ModelBundle:
    """Load and check a bundle of the bytes of a zip file.

    Args:
        content: of the file.
        name: what messages call it.
        schema: the features that vectors have here.

    Raises:
        BundleError: it can't be used here; the message says what to do.
    """
    return _load_zip(io.BytesIO(content), name, schema)


def _shipped() -> Traversable:
    return resources.files("scorer").joinpath("bundles")


def _load(name: str, read: ReadFile, schema: FeatureSchema) -> ModelBundle:
    """Read what the manifest names, no more, and let the bundle check it."""
    try:
        manifest = read(MANIFEST, MAX_FILE_BYTES)
        if manifest is None:
            raise BundleError(f"there is no {MANIFEST}: this is not a model bundle; `gatewatch train` writes one")  # noqa: TRY301 -- gets the bundle's name below
        files, left = {MANIFEST: manifest}, MAX_BUNDLE_BYTES - len(manifest)
        for file_name in (ENSEMBLE, REFERENCE, *decode_manifest(manifest).files):
            content = None if file_name in files else read(file_name, min(left, MAX_FILE_BYTES))
            if content is not None:
                files[file_name] = content
                left -= len(content)
        return ModelBundle.from_files(files, schema)
    except BundleError as error:
        raise BundleError(f"model bundle {name}: {error}") from error


def _limited(name: str, size: int, limit: int) -> None:
    if size > limit:
        raise BundleError(f"{name} has more than the {limit:,} bytes that are left to the bundle")


def _from_package(folder: Traversable) -> ReadFile:
    def read(name: str, limit: int) -> bytes | None:
        file = folder.joinpath(*name.split("/"))
        if not file.is_file():
            return None
        content = file.read_bytes()
        _limited(name, len(content), limit)
        return content

    return read


def _from_folder(folder: Path) -> ReadFile:
    root = folder.resolve()

    def read(name: str, limit: int) -> bytes | None:
        file = (root / name).resolve()
        if not file.is_relative_to(root):
            raise BundleError(f"{name} is a link that leads out of the bundle: do not use this bundle")
        if not file.is_file():
            return None
        with file.open("rb") as stream:
            content = stream.read(limit + 1)
        _limited(name, len(content), limit)
        return content

    return read


def _load_zip(file: Path | io.BytesIO, name: str, schema: FeatureSchema) -> ModelBundle:
    try:
        with zipfile.ZipFile(file) as archive:
            return _load(name, _from_zip(archive), schema)
    except (zipfile.BadZipFile, EOFError, RuntimeError) as error:
        # RuntimeError: encrypted, or a compression that Python's reader has not.
        raise BundleError(f"model bundle {name}: not a readable zip file ({error}); copy it again") from error


def _from_zip(archive: zipfile.ZipFile) -> ReadFile:
    """Read by name only: nothing is extracted, so no entry can land outside a folder."""
    # People zip a folder as often as its content.
    manifests = sorted((n for n in archive.namelist() if n.rpartition("/")[2] == MANIFEST), key=len)
    folder = manifests[0].removesuffix(MANIFEST) if manifests else ""

    def read(name: str, limit: int) -> bytes | None:
        try:
            entry = archive.getinfo(folder + name)
        except KeyError:
            return None
        with archive.open(entry) as stream:
            content = stream.read(limit + 1)
        _limited(name, len(content), limit)
        return content

    return read


def _write_zip(target: Path, scratch: Path, files: Mapping[str, bytes]) -> None:
    if target.is_dir():
        raise BundleError(f"{target} is a folder: remove it, or write the bundle elsewhere")
    fresh = scratch / target.name
    fresh.write_bytes(zipped(files))
    fresh.replace(target)


def _write_folder(target: Path, scratch: Path, files: Mapping[str, bytes]) -> None:
    if target.is_file() or (target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file()):
        raise BundleError(f"{target} is not a model bundle and is not empty: remove it, or write the bundle elsewhere")
    fresh, old = scratch / "new", scratch / "old"
    fresh.mkdir()
    for name, content in files.items():
        file = fresh / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    if target.exists():
        if _swapped(fresh, target):
            return
        target.rename(old)
    try:
        fresh.rename(target)
    except OSError:
        with suppress(FileNotFoundError):
            old.rename(target)
        raise


def _swapped(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; return whether the system can (Linux: renameat2(2))."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None:
        return False
    here = ctypes.c_int(_AT_FDCWD)
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) == 0)
