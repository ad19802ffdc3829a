"""Stages: the named steps of a training run; what one has made is kept, and made anew only for other inputs."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from sys import version as python_version
from typing import Any, Generic, Protocol, TypeVar

import joblib

import featurizer
import scorer
import stream
from stream.stage_cache import StageCache

LIBRARIES = ("gatewatch", "numpy", "scikit-learn")
"""What a model's bits depend on."""
OPTIONAL_LIBRARIES = ("catboost",)
"""What the bits of some kinds of models depend on too."""

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Output(Generic[T]):
    """What a stage made.

    Attributes:
        value: the thing itself.
        digest: hash of its content; empty where nothing is cached.
    """

    value: T
    digest: str

    def part(self, name: str) -> "Output[Any]":
        """Return an attribute of the value."""
        return Output(getattr(self.value, name), f"{self.digest}.{name}")


class Listener(Protocol):
    """Told how a run goes on."""

    def begin(self, stage: str, part: str) -> None:
        """A stage begins, or a part of one."""

    def advance(self, done: int, total: int) -> None:
        """So much of its ``total`` work has been done since the last time."""

    def end(self, *, cached: bool) -> None:
        """It has ended; ``cached`` when it was taken from the cache."""


class Silent:
    """A listener that says nothing."""

    def begin(self, stage: str, part: str) -> None:
        """Say nothing."""

    def advance(self, done: int, total: int) -> None:
        """Say nothing."""

    def end(self, *, cached: bool) -> None:
        """Say nothing."""


class Stages:
    """The stages of one run.

    Args:
        kept: where outputs are kept; None to make everything anew and keep nothing.
        listener: told how the run goes on.

    Attributes:
        cached: whether each stage was taken from the cache, by name, in the order in which they ran; one of several
            parts only if each part was.
    """

    def __init__(self, kept: StageCache | None = None, listener: Listener | None = None) -> None:
        self.cached: dict[str, bool] = {}
        self.kept = kept
        self.listener: Listener = listener or Silent()

    def run(
        self,
        stage: str,
        make: Callable[..., T],
        *inputs: Any,
        key: Sequence[Any] | None = None,
        part: str = "",
        keep: bool = True,
        **parameters: Any,
    ) -> Output[T]:
        """Return what a stage makes of its inputs; from the cache, where it has been made before.

        Args:
            stage: its name.
            make: called with inputs and parameters, on which alone the result depends.
            inputs: outputs of earlier stages, and values.
            key: what decides the result, when it is not the inputs: the content of files, say, and not their names.
            part: which part of the stage this is, where it has several.
            keep: False for what changes by itself, like a topic: made in any case. The stages that follow know it by
                its content all the same.
            parameters: more values, by name.
        """
        self.listener.begin(stage, part)
        values = [_value(own) for own in inputs]
        found = entry = None
        if self.kept is not None and keep:
            decisive = inputs if key is None else key
            made_by = (code_version(), getattr(make, "__qualname__", ""), part)
            entry = f"{stage}-{joblib.hash([made_by, [_stand_in(own) for own in decisive], parameters])}"
            found = self.kept.load(entry)
        output = Output(make(*values, **parameters), "") if found is None else Output(*found)
        if self.kept is not None and found is None:
            output = Output(output.value, joblib.hash(output.value))
            if entry is not None:
                self.kept.store(entry, output.value, output.digest)
        self.cached[stage] = found is not None and self.cached.get(stage, True)
        self.listener.end(cached=found is not None)
        return output


def _value(given: Any) -> Any:
    return given.value if isinstance(given, Output) else given


def _stand_in(given: Any) -> Any:
    """Return what stands for an input in a key: for an output its digest, since it is known already."""
    return ("output", given.digest) if isinstance(given, Output) else given


def library_versions(*more: str) -> dict[str, str]:
    """Return the versions that a manifest records: those of LIBRARIES, and of what else made a model."""
    return {name: version(name) for name in (*LIBRARIES, *more)}


@cache
def code_version() -> str:
    """Return a hash of gatewatch's own sources and of the versions of Python and the libraries: any change counts.

    A finer rule would have to know which function calls which; one that is wrong would hand out models of old code.
    """
    optional = [name for name in OPTIONAL_LIBRARIES if find_spec(name) is not None]
    digest = hashlib.sha256(repr([python_version, *sorted(library_versions(*optional).items())]).encode())
    for package in (featurizer, scorer, stream):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*.py")):
            digest.update(f"{package.__name__}/{path.relative_to(folder)}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
