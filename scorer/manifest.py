"""Manifest: what a model bundle says of itself; the one file of a bundle that people read first."""

import re
from typing import Annotated, Any

import msgspec
import numpy as np

FORMAT_VERSION = 1
"""Layout of bundles that this version writes and reads."""
MANIFEST = "manifest.json"
ENSEMBLE = "ensemble.npz"
REFERENCE = "reference.npz"
ESTIMATOR = "estimator.joblib"
"""For data scientists: written when asked for, never opened by gatewatch."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*(/[A-Za-z0-9_][A-Za-z0-9_. -]*)*")

Probability = Annotated[float, msgspec.Meta(ge=0, le=1)]
Interval = tuple[Probability, Probability]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


UNSUPERVISED = frozenset({"isolation-forest"})
"""Kinds of models (``parameters["model"]``) that learn from benign sessions alone."""


class BundleError(Exception):
    """A model bundle cannot be used; the message says what is wrong and what to do."""


class DataSource(msgspec.Struct, frozen=True, kw_only=True):
    """Where training data came from.

    Attributes:
        name: what the data is called.
        sha256: hash of the data file, hex.
        licence: SPDX expression of the data's licence.
        url: where it was published; empty for data of one's own.
        description: what it holds, one sentence.
    """

    name: str
    sha256: Sha256
    licence: str
    url: str
    description: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The description of a bundle.

    Training writes the first group of fields; ``ModelBundle.assemble`` completes the second.

    Attributes:
        name: what the model is called, for example ``access-behaviour``.
        thresholds: score from which a session is anomalous: ``open`` while it goes on, ``closed`` at its end.
        minimum_edges: edges a live degree table needs before verdicts count.
        metrics: quality measured in training; finite numbers.
        data: the training data.
        trained_on: a sentence for people who start a worker with this model.
        seed: seed of every random choice in training.
        parameters: settings of the estimator and the training.
        library_versions: versions of gatewatch and the libraries that trained it.
        uid: name and a hash over everything that decides a verdict.
        schema_name: FeatureSchema that the model reads.
        schema_version: its version.
        schema_fingerprint: its fingerprint.
        files: SHA-256 of each other file in the bundle.
        format_version: layout of the bundle.
        threshold_intervals: lower and upper bound of each threshold, 95 %; left out where none was measured.
    """

    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9._-]{0,63}$")]
    thresholds: dict[str, Probability]
    minimum_edges: Annotated[int, msgspec.Meta(ge=0)]
    metrics: dict[str, float]
    data: DataSource
    trained_on: str
    seed: int
    parameters: dict[str, Any]
    library_versions: dict[str, str]
    uid: str = ""
    schema_name: str = ""
    schema_version: int = 0
    schema_fingerprint: str = ""
    files: dict[str, Sha256] = {}
    format_version: int = FORMAT_VERSION
    threshold_intervals: dict[str, Interval] | msgspec.UnsetType = msgspec.UNSET


class _Version(msgspec.Struct):
    """The one field that every layout has."""

    format_version: int


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the JSON of a manifest, indented, keys sorted: the same manifest gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, enc_hook=_plain, order="sorted"), indent=2) + b"\n"


def decode_manifest(data: bytes) -> Manifest:
    """Return the manifest of its JSON.

    Raises:
        BundleError: it is not the manifest of a bundle that this version reads.
    """
    try:
        version = msgspec.json.decode(data, type=_Version).format_version
        if version != FORMAT_VERSION:
            raise BundleError(
                f"the bundle has format {version}, this gatewatch reads format {FORMAT_VERSION}: "
                f"retrain with `gatewatch train`, or use {_writer(data)}"
            )
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(
            f"{MANIFEST} is not the manifest of a model bundle: {error}; copy the bundle again, "
            "or retrain with `gatewatch train`"
        ) from error
    if set(manifest.thresholds) != {"open", "closed"}:
        raise BundleError(f"{MANIFEST} has thresholds {sorted(manifest.thresholds)}, expected 'closed' and 'open'")
    for name in manifest.files:
        if not safe_name(name):
            raise BundleError(f"{MANIFEST} names the file {name!r}, which is outside a bundle: do not use this bundle")
    return manifest


def safe_name(name: str) -> bool:
    """Whether a file name stays inside the bundle's folder on every system."""
    return _FILE_NAME.fullmatch(name) is not None


def _plain(value: object) -> Any:
    """Numbers that come out of numpy are numbers."""
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"a manifest can't hold a {type(value).__name__}")


def _writer(data: bytes) -> str:
    """Name the gatewatch that wrote a manifest of another layout, as far as it says."""
    content = msgspec.json.decode(data)
    versions = content.get("library_versions") if isinstance(content, dict) else None
    version = versions.get("gatewatch") if isinstance(versions, dict) else None
    return f"gatewatch {version}" if isinstance(version, str) else "the gatewatch version that wrote it"
