"""Arrays to and from ``.npz`` bytes: the same arrays give the same bytes, and reading trusts nothing it reads."""

import io
import math
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_SUFFIX = ".npy"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can hold: files must not differ by when they were written."""
_UNIX = 3
_ENCRYPTED = 0x1
_HEADER_LIMIT = 10_000
_KINDS = "biufU"
"""Types an array may have: truth values, numbers, text; never objects, which only pickle can read."""


def pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the arrays as an uncompressed ``.npz`` file that ``numpy.load`` reads too.

    The bytes depend on names, order, types and values only.

    Raises:
        ValueError: an array holds Python objects.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            if array.dtype.kind not in _KINDS:
                raise ValueError(f"array {name!r} has type {array.dtype}, which a bundle can't hold")
            member = io.BytesIO()
            npy.write_array(member, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(name + _SUFFIX, date_time=_EPOCH)
            entry.create_system = _UNIX
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, member.getvalue())
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file that ``pack`` wrote; read-only, sharing its memory.

    Nothing is decompressed or unpickled, and the arrays together are no larger than the file.

    Raises:
        ValueError: the bytes are not such a file; the message says what is wrong.
    """
    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            # Entries may overlap in a made-up file: many that are each as large as all of it.
            if sum(entry.file_size for entry in entries) > len(data):
                raise ValueError("the entries claim more bytes than the file has")
            for entry in entries:
                name = entry.filename.removesuffix(_SUFFIX)
                if name == entry.filename or name in arrays:
                    raise ValueError(f"entry {entry.filename!r} is not an array, or is there twice")
                if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & _ENCRYPTED:
                    raise ValueError(f"entry {entry.filename!r} is compressed or encrypted")
                arrays[name] = _array(archive.read(entry), name)
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError) as error:
        # RuntimeError covers NotImplementedError: features of zip that Python's reader has not.
        raise ValueError(f"not a readable .npz file: {error}") from error
    return arrays


def _array(data: bytes, name: str) -> NDArray[Any]:
    stream = io.BytesIO(data)
    if npy.read_magic(stream) != (1, 0):
        raise ValueError(f"array {name!r} is of another .npy version than 1.0")
    shape, fortran, dtype = npy.read_array_header_1_0(stream, max_header_size=_HEADER_LIMIT)
    if dtype.kind not in _KINDS or dtype.hasobject:
        raise ValueError(f"array {name!r} has type {dtype}, which a bundle can't hold")
    content = data[stream.tell() :]
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * dtype.itemsize != len(content):
        raise ValueError(f"array {name!r} of shape {shape} and type {dtype} does not fit its {len(content)} bytes")
    if not dtype.itemsize:
        raise ValueError(f"array {name!r} is empty text")
    return np.frombuffer(content, dtype=dtype).reshape(shape, order="F" if fortran else "C")
