"""The folder in which outputs of stages are kept between runs."""

import hashlib
import io
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import joblib

from stream.errors import CommandError, ExitCode

MOST_BYTES = 2 << 30
"""Above it the entries that were not used for longest are removed."""

_SUFFIX = ".stage"
_HASH_BYTES = 32


class StageCache:
    """Entries by name, a file each; one that is not what was written does not count.

    Entries are read with pickle, so that whoever can write them can run code: the folder must be one's own.

    Args:
        folder: where; made if it does not exist.
        most_bytes: what the entries may take together.

    Attributes:
        complaint: why entries can't be kept any more; empty while they can.

    Raises:
        CommandError: the folder can't be used, or others may write to it.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self.complaint = ""
        self._most_bytes = most_bytes
        hint = "name another folder with --cache, or do without: --no-cache"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
        except OSError as error:
            raise CommandError(f"the cache {folder} can't be made: {error.strerror}", hint, ExitCode.USAGE) from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise CommandError(f"the cache {folder} can't be written to", hint, ExitCode.USAGE)
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            raise CommandError(
                f"others may write to {folder}, and what a cache holds can run as code",
                f"use a folder of your own, or chmod go-w {folder}; or do without: --no-cache",
                ExitCode.USAGE,
            )

    def load(self, entry: str) -> tuple[Any, str] | None:
        """Return an entry's value and the digest it was stored with; None when there is no such entry, or not whole."""
        path = self._path(entry)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        content = memoryview(data)[_HASH_BYTES:]
        if hashlib.sha256(content).digest() != data[:_HASH_BYTES]:
            return None
        with suppress(OSError):
            os.utime(path)  # used now: the last to be removed
        value, digest = joblib.load(io.BytesIO(content))
        return value, digest

    def store(self, entry: str, value: Any, digest: str) -> None:
        """Keep a value, and make room for it; where the disk refuses, ``complaint`` says why."""
        buffer = io.BytesIO()
        joblib.dump((value, digest), buffer, compress=("zlib", 1))
        content = buffer.getbuffer()
        try:
            with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as file:
                file.write(hashlib.sha256(content).digest())
                file.write(content)
            Path(file.name).replace(self._path(entry))  # another run sees the whole entry, or none
            self._prune()
        except OSError as error:
            self.complaint = f"{self.folder}: {error.strerror}"

    def _prune(self) -> None:
        used = 0
        for size, path in self._newest_first():
            used += size
            if used > self._most_bytes:
                path.unlink(missing_ok=True)

    def _newest_first(self) -> list[tuple[int, Path]]:
        found = []
        for path in [*self.folder.glob(f"*{_SUFFIX}"), *self.folder.glob("*.part")]:
            with suppress(FileNotFoundError):  # another run may have removed it
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
        return [(size, path) for _, size, path in sorted(found, reverse=True)]

    def _path(self, entry: str) -> Path:
        return self.folder / f"{entry}{_SUFFIX}"


def default_folder() -> Path:
    """Return the user's own cache folder for training, as the XDG base directory specification has it.

    Raises:
        RuntimeError: the user has no home.
    """
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (named if named.is_absolute() else Path.home() / ".cache") / "gatewatch" / "train"


def default_cache() -> StageCache | None:
    """Return the cache in the user's own folder; None where there can be none, as in a read-only container."""
    try:
        return StageCache(default_folder())
    except (CommandError, RuntimeError):
        return None
