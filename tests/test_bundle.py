"""A bundle is loaded only if it is the one that was written, for the features computed here."""

import hashlib
import io
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurizer.features import ACCESS_BEHAVIOUR_V1
from scorer.bundle import BundleError, ModelBundle, Reference
from scorer.npz import pack, unpack
from scorer.reference import LEVELS
from tests.model_factory import make_bundle, make_rows
from tests.random_trees import random_ensemble

SCHEMA = ACCESS_BEHAVIOUR_V1


class Bomb:
    """An estimator.joblib that leaves a mark when somebody unpickles it."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


def changed(bundle_files: dict[str, bytes], /, **fields: Any) -> dict[str, bytes]:
    """The files with other fields in the manifest."""
    manifest = msgspec.json.decode(bundle_files["manifest.json"])
    return {**bundle_files, "manifest.json": msgspec.json.encode({**manifest, **fields})}


def swapped(files: dict[str, bytes], name: str, content: bytes) -> dict[str, bytes]:
    """The files with another content of one, and the manifest agreeing with it."""
    hashes = msgspec.json.decode(files["manifest.json"])["files"]
    hashes[name] = hashlib.sha256(content).hexdigest()
    return changed({**files, name: content}, files=hashes)


def test_a_bundle_round_trips_byte_for_byte() -> None:
    bundle = make_bundle().with_documents({"MODEL_CARD.md": b"# card", "plots/roc.png": b"\x89PNG"})
    files = bundle.to_files()
    again = ModelBundle.from_files(files, SCHEMA)
    assert again.to_files() == files
    assert again.manifest == bundle.manifest
    assert again.documents == bundle.documents


def test_a_loaded_bundle_scores_as_the_one_that_was_written() -> None:
    bundle = make_bundle()
    rows, _ = make_rows(50, seed=9)
    again = ModelBundle.from_files(bundle.to_files(), SCHEMA)
    assert np.array_equal(again.score(rows), bundle.score(rows))


def test_the_same_data_and_seed_give_the_same_bytes() -> None:
    first = make_bundle().to_files()
    make_bundle.cache_clear()
    assert make_bundle().to_files() == first


def test_the_uid_is_the_name_and_a_hash_of_what_decides_a_verdict() -> None:
    bundle = make_bundle()
    name, _, digest = bundle.uid.rpartition("-")
    assert name == "test"
    assert len(digest) == 12
    assert int(digest, 16) >= 0
    others = [
        make_bundle(threshold_open=0.7),
        make_bundle(threshold_closed=0.7),
        make_bundle(minimum_edges=101),
        make_bundle(seed=1),
        make_bundle(trees=19),
    ]
    assert len({bundle.uid, *(other.uid for other in others)}) == 6
    assert bundle.with_documents({"MODEL_CARD.md": b"# card"}).uid == bundle.uid


def test_scores_tell_the_classes_apart() -> None:
    bundle = make_bundle()
    rows, anomalous = make_rows(200, seed=5)
    scores = bundle.score(rows)
    assert scores[anomalous].mean() > 0.8
    assert scores[~anomalous].mean() < 0.2


def test_lists_of_numbers_are_scored_too() -> None:
    rows, _ = make_rows(3)
    assert make_bundle().score(rows.tolist()).shape == (3,)


# --- the reference ---------------------------------------------------------------------------------------------------


def test_the_usual_range_holds_nine_in_ten_benign_training_values() -> None:
    rows, anomalous = make_rows(600)
    benign = rows[~anomalous]
    reference = Reference.of(benign, make_bundle().ensemble)
    for feature in range(len(SCHEMA.features)):
        known = benign[~np.isnan(benign[:, feature]), feature]
        low, high = reference.usual_range(feature)
        assert (low, high) == pytest.approx(np.quantile(known, [0.05, 0.95]), rel=1e-12)
        assert ((low <= known) & (known <= high)).mean() >= 0.89
    assert reference.rows == len(benign)
    assert reference.missing == pytest.approx(np.isnan(benign).mean(axis=0))


def test_the_reference_survives_its_arrays() -> None:
    reference = make_bundle().reference
    again = Reference.from_arrays(unpack(pack(reference.to_arrays())), len(SCHEMA.features))
    assert np.array_equal(again.quantiles, reference.quantiles)
    assert np.array_equal(again.scores, reference.scores)
    assert (again.expected, again.rows) == (reference.expected, reference.rows)
    assert again.expected == make_bundle().ensemble.expected


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "feature 3 is missing in every"), (np.inf, "feature 3 is infinite"), (-np.inf, "feature 3 is infinite")],
)
def test_a_reference_needs_numbers(value: float, message: str) -> None:
    rows, _ = make_rows(40)
    rows[:, 3] = value
    with pytest.raises(ValueError, match=message):
        Reference.of(rows, make_bundle().ensemble)


def test_a_reference_needs_rows() -> None:
    with pytest.raises(ValueError, match="needs benign training rows"):
        Reference.of(np.empty((0, len(SCHEMA.features))), make_bundle().ensemble)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("levels", np.zeros(len(LEVELS)), "expected \\[0.0, 0.01"),
        ("quantiles", np.zeros((2, len(LEVELS))), "array 'quantiles'"),
        ("quantiles", np.tile(np.arange(len(LEVELS))[::-1].astype(float), (23, 1)), "do not ascend"),
        ("scores", np.full(len(LEVELS), np.nan), "array 'scores'"),
        ("missing", np.array(["a"] * 23), "array 'missing'"),
        ("expected", np.array([1.0]), "array 'expected'"),
    ],
)
def test_a_malformed_reference_is_refused(name: str, value: Any, message: str) -> None:
    files = make_bundle().to_files()
    arrays = {**unpack(files["reference.npz"]), name: value}
    with pytest.raises(BundleError, match=f"reference.npz can't be used: .*{message}"):
        ModelBundle.from_files(swapped(files, "reference.npz", pack(arrays)), SCHEMA)


# --- what is refused -------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.data())
def test_no_byte_of_a_model_file_can_change_unnoticed(data: st.DataObject) -> None:
    files = make_bundle().with_documents({"estimator.joblib": b"not read, but hashed"}).to_files()
    name = data.draw(st.sampled_from(["ensemble.npz", "reference.npz", "estimator.joblib"]))
    position = data.draw(st.integers(0, len(files[name]) - 1))
    broken = bytearray(files[name])
    broken[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BundleError, match=f"{name} is not the file that was written with this bundle"):
        ModelBundle.from_files({**files, name: bytes(broken)}, SCHEMA)


@settings(deadline=None)
@given(st.data())
def test_a_changed_manifest_is_refused_or_decides_the_same(data: st.DataObject) -> None:
    bundle = make_bundle()
    files = bundle.to_files()
    broken = bytearray(files["manifest.json"])
    for _ in range(data.draw(st.integers(1, 3))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    try:
        again = ModelBundle.from_files({**files, "manifest.json": bytes(broken)}, SCHEMA)
    except BundleError:
        return
    decisive = ("thresholds", "minimum_edges", "schema_fingerprint", "uid")
    assert [getattr(again.manifest, f) for f in decisive] == [getattr(bundle.manifest, f) for f in decisive]


@pytest.mark.parametrize("name", ["ensemble.npz", "reference.npz", "manifest.json"])
def test_a_missing_model_file_is_named(name: str) -> None:
    files = make_bundle().to_files()
    del files[name]
    with pytest.raises(BundleError, match=name):
        ModelBundle.from_files(files, SCHEMA)


def test_thresholds_edited_by_hand_are_refused_with_where_to_set_them() -> None:
    files = changed(make_bundle().to_files(), thresholds={"open": 0.1, "closed": 0.1})
    with pytest.raises(BundleError, match=r"changed after training.*\[model\] settings"):
        ModelBundle.from_files(files, SCHEMA)


def test_a_model_of_other_features_is_refused_with_both_schemas_and_what_to_do() -> None:
    other = msgspec.structs.replace(SCHEMA, version=2)
    with pytest.raises(BundleError) as caught:
        ModelBundle.from_files(make_bundle().to_files(), other)
    message = str(caught.value)
    assert f"access-behaviour version 1 ({SCHEMA.fingerprint})" in message
    assert f"access-behaviour version 2 ({other.fingerprint})" in message
    assert "retrain with `gatewatch train`, or use gatewatch 0.1.0" in message


@pytest.mark.parametrize("library_versions", [{"gatewatch": "9.1.0"}, {}, "in another form"])
def test_another_format_is_refused_whatever_else_it_holds(library_versions: Any) -> None:
    files = {"manifest.json": msgspec.json.encode({"format_version": 2, "library_versions": library_versions})}
    with pytest.raises(BundleError, match=r"format 2, this gatewatch reads format 1: retrain .* or use .*gatewatch"):
        ModelBundle.from_files(files, SCHEMA)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"format_version": 1}', b"[" * 100_000, b"1e999"]
)
def test_something_else_than_a_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"manifest.json is not the manifest of a model bundle"):
        ModelBundle.from_files({"manifest.json": content}, SCHEMA)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"thresholds": {"open": 0.5}}, "expected 'closed' and 'open'"),
        ({"thresholds": {"open": 0.5, "closed": 1.5}}, "thresholds"),
        ({"minimum_edges": -1}, "minimum_edges"),
        ({"name": "a/b"}, "name"),
        ({"files": {"ensemble.npz": "short"}}, "files"),
        ({"metrics": {"auc": None}}, "metrics"),
        ({"seed": 0.5}, "seed"),
    ],
)
def test_impossible_values_in_a_manifest_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        ModelBundle.from_files(changed(make_bundle().to_files(), **fields), SCHEMA)


def test_parameters_nested_without_end_are_refused() -> None:
    files = make_bundle().to_files()
    deep = b"[" * 100_000 + b"]" * 100_000
    files["manifest.json"] = files["manifest.json"].replace(
        b'"parameters": {', b'"parameters": {"deep": ' + deep + b","
    )
    with pytest.raises(BundleError, match=r"manifest\.json is not the manifest"):
        ModelBundle.from_files(files, SCHEMA)


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/passwd", "a/../../b", "a\\b", "C:/x", "C:x", ".hidden", "a//b", "a/", "", "a\nb", "a/.", "~/x"],
)
def test_file_names_that_lead_outside_are_refused(name: str) -> None:
    hashes = {name: "0" * 64}
    with pytest.raises(BundleError, match="outside a bundle"):
        ModelBundle.from_files(changed(make_bundle().to_files(), files=hashes), SCHEMA)
    with pytest.raises(BundleError, match="a document can't be called"):
        make_bundle().with_documents({name: b""})


def test_a_document_can_not_replace_a_part_of_the_model() -> None:
    with pytest.raises(BundleError, match=r"a document can't be called 'ensemble\.npz'"):
        make_bundle().with_documents({"ensemble.npz": b""})


def test_an_ensemble_of_another_width_is_refused() -> None:
    narrow = random_ensemble(np.random.default_rng(0), 3, [4])
    bundle = make_bundle()
    with pytest.raises(BundleError, match="has 23 features, the ensemble 3, the reference 23"):
        ModelBundle.assemble(bundle.manifest, SCHEMA, narrow, bundle.reference)
    files = swapped(bundle.to_files(), "ensemble.npz", pack(narrow.to_arrays()))
    with pytest.raises(BundleError, match="the ensemble 3"):
        ModelBundle.from_files(files, SCHEMA)


def test_malformed_trees_are_refused_even_with_the_right_hash() -> None:
    files = make_bundle().to_files()
    arrays = unpack(files["ensemble.npz"])
    arrays["left"] = np.concatenate([[0], arrays["left"][1:]])
    with pytest.raises(BundleError, match=r"ensemble\.npz can't be used: node 0 has a left child"):
        ModelBundle.from_files(swapped(files, "ensemble.npz", pack(arrays)), SCHEMA)


def test_metrics_that_are_no_numbers_are_refused_when_assembling() -> None:
    bundle = make_bundle()
    manifest = msgspec.structs.replace(bundle.manifest, metrics={"auc": float("nan"), "f1": 0.9})
    with pytest.raises(BundleError, match=r"metrics \['auc'\]"):
        ModelBundle.assemble(manifest, SCHEMA, bundle.ensemble, bundle.reference)


def test_numbers_that_come_out_of_numpy_are_written_as_numbers() -> None:
    bundle = make_bundle()
    manifest = msgspec.structs.replace(
        bundle.manifest,
        thresholds={"open": np.float64(0.6), "closed": np.float32(0.5)},
        parameters={"depth": np.int64(9), "learning_rate": np.float64(0.1)},
        seed=np.int32(4),
    )
    written = ModelBundle.assemble(manifest, SCHEMA, bundle.ensemble, bundle.reference)
    again = ModelBundle.from_files(written.to_files(), SCHEMA).manifest
    assert again.parameters == {"depth": 9, "learning_rate": 0.1}
    assert again.thresholds == {"open": 0.6, "closed": 0.5}
    assert again.seed == 4


# --- what is never done ----------------------------------------------------------------------------------------------


def test_an_estimator_is_never_unpickled(tmp_path: Path) -> None:
    mark = tmp_path / "unpickled"
    bomb = pickle.dumps(Bomb(mark))
    files = make_bundle().with_documents({"estimator.joblib": bomb}).to_files()
    bundle = ModelBundle.from_files(files, SCHEMA)
    bundle.score(make_rows(2)[0])
    assert not mark.exists()
    pickle.loads(bomb)  # noqa: S301 -- proves that the mark would have been left
    assert mark.exists()


def test_arrays_of_objects_are_never_unpickled(tmp_path: Path) -> None:
    mark = tmp_path / "unpickled"
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, value=np.array([Bomb(mark)], dtype=object))
    files = swapped(make_bundle().to_files(), "ensemble.npz", buffer.getvalue())
    with pytest.raises(BundleError, match="array 'value' has type object"):
        ModelBundle.from_files(files, SCHEMA)
    assert not mark.exists()


def test_documents_may_be_left_out() -> None:
    files = make_bundle().with_documents({"estimator.joblib": b"large", "MODEL_CARD.md": b"# card"}).to_files()
    del files["estimator.joblib"]
    assert ModelBundle.from_files(files, SCHEMA).documents == {"MODEL_CARD.md": b"# card"}


def test_files_that_the_manifest_does_not_name_are_ignored() -> None:
    files = make_bundle().to_files()
    assert ModelBundle.from_files({**files, ".DS_Store": b"x"}, SCHEMA).to_files() == files


def test_loading_and_scoring_needs_no_training_library() -> None:
    """A worker installs without scikit-learn, joblib, matplotlib, networkx."""
    code = (
        "import sys, scorer.bundle, scorer.explanation, stream.bundles; "
        "print(sorted({'sklearn', 'scipy', 'joblib', 'matplotlib', 'networkx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
