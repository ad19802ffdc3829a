"""Sources of training; here call logs, with labels or without, read to labelled vectors."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from featurizer.features import GATEWAY_V1
from scorer.call_recipe import CallOptions, CallVectors
from scorer.labelling import AttackLabel, label_vectors
from scorer.manifest import DataSource
from stream import assembly
from stream.errors import CommandError, ExitCode
from stream.labels import labels_of
from stream.replay import replay_vectors
from stream.settings import Settings
from stream.stages import Output, Stages
from stream.unlabelled import weave_into
from stream.weaving import read_calls

STAGE = "vectors"


class Source(Protocol):
    """Where vectors to train on come from."""

    @property
    def advice(self) -> str:
        """What to do about too few sessions."""

    def vectors(self, options: CallOptions, stages: Stages) -> Output[CallVectors]:
        """Return them, read in the stage ``vectors``."""

    def described(self, found: CallVectors) -> DataSource:
        """Return what a manifest says of the data."""


class CallLogs(NamedTuple):
    """Call logs and what is known of them.

    Attributes:
        files: the logs, the oldest first.
        format: their format.
        labels: file of the known attacks; None to weave attacks in.
        contamination: share of unlabelled sessions that may be hidden attacks.
        description: what the calls are.
        licence: of the calls, an SPDX expression.
        settings: limits of sessions, routes.
    """

    files: Sequence[Path]
    format: str
    labels: Path | None
    contamination: float
    description: str
    licence: str
    settings: Settings

    @property
    def advice(self) -> str:
        """What to do about too few sessions."""
        return "give more calls" if self.labels is None else "give more calls, or labels of more attacks"

    def vectors(self, options: CallOptions, stages: Stages) -> Output[CallVectors]:
        """Return the vectors of the logs' sessions: labelled as given, or with attacks woven in.

        Raises:
            CommandError: a file can't be read, or holds no session.
            SettingsError: a file that the settings name can't be read.
        """
        read = Reading(self.files, stages.listener.advance)
        key = [self._digest(self.files), self.format, *_decisive(self.settings)]
        if self.labels is None:
            key += [options.seed, options.recipe, self.contamination]
            return stages.run(STAGE, self._unlabelled, options, read, key=key)
        known = labels_of(self.labels)
        return stages.run(STAGE, self._labelled, known, read, key=[*key, known])

    def described(self, found: CallVectors) -> DataSource:
        """Return what a manifest says of the files; names only, no folders, go into a bundle.

        Raises:
            CommandError: a file can't be read.
        """
        del found
        files = self.files if self.labels is None else [*self.files, self.labels]
        return DataSource(
            name=", ".join(path.name for path in files),
            sha256=self._digest(files),
            licence=self.licence,
            url="",
            description=self.description,
        )

    def _labelled(self, known: Sequence[AttackLabel], read: "Reading") -> CallVectors:
        vectors = replay_vectors(self.files, self.settings, self.format, read)
        try:
            return CallVectors(label_vectors(vectors, known, GATEWAY_V1))
        except ValueError as error:
            raise CommandError(f"--calls: {error}", "gatewatch replay shows what is wrong with the lines") from error

    def _unlabelled(self, options: CallOptions, read: "Reading") -> CallVectors:
        calls = read_calls(self.files, self.settings, self.format, read)
        return weave_into(calls, self.settings, options, self.contamination)

    @staticmethod
    def _digest(files: Sequence[Path]) -> str:
        digest = hashlib.sha256()
        for path in files:
            try:
                with path.open("rb") as file:
                    while chunk := file.read(1 << 20):
                        digest.update(chunk)
            except OSError as error:
                raise CommandError(f"{path}: {error.strerror}", exit_code=ExitCode.USAGE) from error
        return digest.hexdigest()


class Reading:
    """Tells of bytes read, beside all there are to read.

    Args:
        files: what is read.
        advance: told how many bytes have been read since the last time, and how many there are.
    """

    def __init__(self, files: Sequence[Path], advance: Callable[[int, int], None]) -> None:
        self._total = sum(path.stat().st_size for path in files)
        self._advance = advance

    def __call__(self, read: int) -> None:
        """Tell of more bytes."""
        self._advance(read, self._total)


def _decisive(settings: Settings) -> list[object]:
    """Return what decides the sessions and vectors of calls."""
    pinned = assembly.route_templates(settings).pinned  # refuses pins that are wrong, before they are hashed
    return [
        assembly.session_policy(settings),
        settings.sessions.excluded_methods,
        settings.degrees.max_endpoints,
        assembly.frozen_degrees(settings.degrees.frozen),
        pinned,
    ]
