"""ModelBundle: a trained model with all that is needed to use it, as a set of checked files.

Pure: files are a mapping of names to bytes; where they lie is somebody else's business. Nothing in a bundle is ever
unpickled, and a file that the model does not need (the card, plots, ``estimator.joblib``) is only hashed.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from featurizer.features import SCHEMAS, FeatureSchema
from scorer.ensemble import Ensemble
from scorer.manifest import (
    ENSEMBLE,
    FORMAT_VERSION,
    MANIFEST,
    REFERENCE,
    BundleError,
    DataSource,
    Manifest,
    decode_manifest,
    encode_manifest,
    safe_name,
)
from scorer.npz import pack, unpack
from scorer.reference import Reference

__all__ = ["BundleError", "DataSource", "Manifest", "ModelBundle", "Reference"]

T = TypeVar("T")
Scores = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """A model ready to score.

    Attributes:
        manifest: what the bundle says of itself.
        schema: the features that the model reads.
        ensemble: the trees.
        reference: what benign training rows looked like.
        documents: other files by name: model card, plots, the estimator for data scientists.
    """

    manifest: Manifest
    schema: FeatureSchema
    ensemble: Ensemble
    reference: Reference
    documents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        """Name and content of the model: equal uids give equal verdicts."""
        return self.manifest.uid

    def score(self, values: ArrayLike) -> Scores:
        """Return the probability of anomaly of each row.

        Args:
            values: features in schema order, NaN where missing; shape (n, features).

        Returns:
            Shape (n,).
        """
        return self.ensemble.probabilities(values)

    @classmethod
    def assemble(
        cls, manifest: Manifest, schema: FeatureSchema, ensemble: Ensemble, reference: Reference
    ) -> "ModelBundle":
        """Make a bundle of a trained model.

        Args:
            manifest: what training knows; uid, schema, files and format are filled in here.
            schema: the features that the ensemble was trained on.
            ensemble: the trees.
            reference: what benign training rows looked like.

        Raises:
            BundleError: the parts do not fit each other, or a number in the manifest is not finite.
        """
        unknown = [name for name, value in manifest.metrics.items() if not np.isfinite(value)]
        if unknown:
            raise BundleError(f"metrics {unknown} are not finite numbers: leave out what was not measured")
        _check_width(schema, ensemble, reference)
        # Through JSON and back: what is hashed, written and checked is what a reader will see.
        manifest = decode_manifest(encode_manifest(manifest))
        complete = msgspec.structs.replace(
            manifest,
            uid=f"{manifest.name}-{_content_hash(manifest, schema, ensemble, reference)}",
            schema_name=schema.name,
            schema_version=schema.version,
            schema_fingerprint=schema.fingerprint,
            format_version=FORMAT_VERSION,
        )
        return cls(complete, schema, ensemble, reference).with_documents({})

    def with_documents(self, documents: Mapping[str, bytes]) -> "ModelBundle":
        """Return the bundle with these further files, in place of those it had; the uid does not change.

        Raises:
            BundleError: a file's name is taken by the model itself, or leads outside the bundle.
        """
        for name in documents:
            if name in {MANIFEST, ENSEMBLE, REFERENCE} or not safe_name(name):
                raise BundleError(f"a document can't be called {name!r}")
        files = {**self._model_files(), **documents}
        hashes = {name: _sha256(files[name]) for name in sorted(files)}
        manifest = msgspec.structs.replace(self.manifest, files=hashes)
        return replace(self, manifest=manifest, documents=dict(documents))

    def to_files(self) -> dict[str, bytes]:
        """Return every file of the bundle, the manifest first; the same bundle gives the same bytes."""
        return {MANIFEST: encode_manifest(self.manifest), **self._model_files(), **self.documents}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], schema: FeatureSchema) -> "ModelBundle":
        """Check and load a bundle.

        Documents may be left out of ``files`` (a slim copy); those that are there must be the ones the manifest
        names. Files that the manifest does not name are ignored.

        Args:
            files: the bundle's files by name.
            schema: the features that vectors have here; the model may read fewer of them.

        Raises:
            BundleError: a file is missing or not the one that was written, or the model is for other features.
        """
        if MANIFEST not in files:
            raise BundleError(f"there is no {MANIFEST}: this is not a model bundle; `gatewatch train` writes one")
        manifest = decode_manifest(files[MANIFEST])
        documents = _check_files(manifest, files)
        schema = _own_schema(manifest, schema)
        ensemble = _part(ENSEMBLE, files, Ensemble.from_arrays)
        reference = _part(REFERENCE, files, lambda arrays: Reference.from_arrays(arrays, len(schema.features)))
        _check_width(schema, ensemble, reference)
        uid = f"{manifest.name}-{_content_hash(manifest, schema, ensemble, reference)}"
        if uid != manifest.uid:
            raise BundleError(
                f"{MANIFEST} was changed after training (it says {manifest.uid}, its content is {uid}): "
                "set thresholds and minimum_edges in the [model] settings instead, or retrain with `gatewatch train`"
            )
        return cls(manifest, schema, ensemble, reference, documents)

    def _model_files(self) -> dict[str, bytes]:
        return {ENSEMBLE: pack(self.ensemble.to_arrays()), REFERENCE: pack(self.reference.to_arrays())}


def _check_files(manifest: Manifest, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Check every file against the manifest; return the documents."""
    for name in (ENSEMBLE, REFERENCE):
        if name not in manifest.files or name not in files:
            raise BundleError(f"{name} is missing: copy the bundle again, or retrain with `gatewatch train`")
    for name, expected in manifest.files.items():
        if name in files and (found := _sha256(files[name])) != expected:
            raise BundleError(
                f"{name} is not the file that was written with this bundle (SHA-256 {found[:12]}… instead of "
                f"{expected[:12]}…): copy the bundle again, or retrain with `gatewatch train`"
            )
    return {name: files[name] for name in manifest.files if name in files and name not in {ENSEMBLE, REFERENCE}}


def _own_schema(manifest: Manifest, computed: FeatureSchema) -> FeatureSchema:
    """Return the schema that a model reads; what is computed must have all its features."""
    known = {computed.fingerprint: computed} | SCHEMAS
    schema = known.get(manifest.schema_fingerprint)
    if schema is not None and schema.within(computed):
        return schema
    version = manifest.library_versions.get("gatewatch")
    raise BundleError(
        f"model {manifest.uid} reads the features {manifest.schema_name} version {manifest.schema_version} "
        f"({manifest.schema_fingerprint}), this gatewatch computes {computed.name} version {computed.version} "
        f"({computed.fingerprint}): retrain with `gatewatch train`, or use "
        + (f"gatewatch {version}" if version else "the gatewatch version that trained it")
    )


def _check_width(schema: FeatureSchema, ensemble: Ensemble, reference: Reference) -> None:
    widths = {len(schema.features), ensemble.n_features, len(reference.quantiles)}
    if len(widths) != 1:
        raise BundleError(
            f"schema {schema.name} has {len(schema.features)} features, the ensemble {ensemble.n_features}, "
            f"the reference {len(reference.quantiles)}: retrain with `gatewatch train`"
        )


def _part(name: str, files: Mapping[str, bytes], build: Callable[[Mapping[str, NDArray[Any]]], T]) -> T:
    try:
        return build(unpack(files[name]))
    except ValueError as error:
        raise BundleError(f"{name} can't be used: {error}; retrain with `gatewatch train`") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _content_hash(manifest: Manifest, schema: FeatureSchema, ensemble: Ensemble, reference: Reference) -> str:
    """Return 12 hex digits over everything that decides a verdict, whatever the files' encoding."""
    decisive = (schema.fingerprint, manifest.thresholds, manifest.minimum_edges)
    digest = hashlib.sha256(msgspec.json.encode(decisive, order="sorted"))
    for part in (ensemble.to_arrays(), reference.to_arrays()):
        for name in sorted(part):
            array = np.asarray(part[name], order="C")
            digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()[:12]
