"""Packed arrays are the same bytes every time, and reading them trusts nothing."""

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.npz import pack, unpack
from tests.model_factory import make_bundle


def test_packed_arrays_depend_on_their_content_only() -> None:
    arrays = make_bundle().ensemble.to_arrays()
    data = pack(arrays)
    assert data == pack({name: array.copy() for name, array in arrays.items()})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == [f"{name}.npy" for name in arrays]


def test_numpy_reads_packed_arrays() -> None:
    arrays = make_bundle().ensemble.to_arrays()
    with np.load(io.BytesIO(pack(arrays)), allow_pickle=False) as loaded:
        assert {name: loaded[name].tolist() for name in loaded} == {name: a.tolist() for name, a in arrays.items()}


@given(
    st.dictionaries(
        st.text(alphabet="abcdef_", min_size=1, max_size=8),
        st.one_of(st.lists(st.floats(), max_size=5), st.lists(st.integers(-(2**31), 2**31), max_size=5), st.floats()),
        max_size=4,
    )
)
def test_arrays_of_any_shape_come_back(content: dict[str, Any]) -> None:
    arrays = {name: np.asarray(value) for name, value in content.items()}
    again = unpack(pack(arrays))
    assert list(again) == list(arrays)
    for name, array in arrays.items():
        assert again[name].dtype == array.dtype
        assert again[name].shape == array.shape
        assert np.array_equal(again[name], array, equal_nan=True)


def test_columns_in_fortran_order_come_back() -> None:
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert unpack(pack({"a": array}))["a"].tolist() == array.tolist()
    buffer = io.BytesIO()
    np.savez(buffer, a=array)
    assert unpack(buffer.getvalue())["a"].tolist() == array.tolist()


@settings(max_examples=300)
@given(st.data())
def test_damaged_archives_give_a_value_error_and_nothing_else(data: st.DataObject) -> None:
    original = pack({"a": np.arange(3.0), "b": np.array(1), "c": np.array("logit")})
    broken = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(broken))))
    try:
        arrays = unpack(bytes(broken[:cut]))
    except ValueError:
        return
    assert all(array.nbytes <= len(original) for array in arrays.values())


def _archive(entries: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def _member(descr: str, shape: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + content


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a readable .npz"),
        (b"PK\x05\x06" + b"\x00" * 10, "not a readable .npz"),
        (_archive([("a.txt", b"")]), "'a.txt' is not an array"),
        (_archive([("a.npy", b"")], zipfile.ZIP_DEFLATED), "compressed or encrypted"),
        (_archive([("a.npy", b"no magic")]), "magic string"),
        (_archive([("a.npy", _member("'<f8'", "(1,)", b"\x00" * 8, b"\x02\x00"))]), "another .npy version"),
        (_archive([("a.npy", _member("'|O'", "(1,)", b"\x00" * 8))]), "type object"),
        (_archive([("a.npy", _member("[('x', '<f8')]", "(1,)", b"\x00" * 8))]), "can't hold"),
        (_archive([("a.npy", _member("'<f8'", "(1000000000000,)"))]), "does not fit"),
        (_archive([("a.npy", _member("'<f8'", "(-1,)"))]), "does not fit"),
        (_archive([("a.npy", _member("'<f8'", "(-1, -1)", b"\x00" * 8))]), "does not fit"),
        (_archive([("a.npy", _member("'<U0'", "(1000000000000,)"))]), "empty text"),
    ],
)
def test_archives_that_lie_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpack(data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_that_is_there_twice_is_refused() -> None:
    member = _member("'<f8'", "(1,)", b"\x00" * 8)
    with pytest.raises(ValueError, match="there twice"):
        unpack(_archive([("a.npy", member), ("a.npy", member)]))


def test_entries_that_share_their_bytes_are_refused() -> None:
    """A small file could otherwise unfold to the square of its size."""
    inner = _archive([("b.npy", _member("'<f8'", "(1000,)", bytes(8000)))])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.npy", inner)
        entry = zipfile.ZipFile(io.BytesIO(inner)).infolist()[0]
        entry.header_offset = buffer.getvalue().index(inner)
        archive.filelist.append(entry)
    with pytest.raises(ValueError, match="claim more bytes"):
        unpack(buffer.getvalue())


def test_objects_are_not_packed() -> None:
    with pytest.raises(ValueError, match="a bundle can't hold"):
        pack({"a": np.array([object()])})
