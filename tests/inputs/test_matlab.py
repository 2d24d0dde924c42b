"""MATLAB's files: what SciPy writes is read back, and what is damaged, or unfolds to more, is one line."""

import io
import os
import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mine.errors import InputError
from mine.inputs import matlab
from mine.inputs.matlab import read_mat

VALUES = {
    "rgb": np.arange(60, dtype=np.uint8).reshape(4, 5, 3),
    "depth": np.linspace(-1, 1, 20).reshape(4, 5),
    "mask": np.eye(4, 5, dtype=bool),
    "row": np.arange(3, dtype=np.int16),
    "none": np.zeros((0, 2), np.float32),
}
OTHERS = {"text": "text", "cells": np.array([1, "a"], object), "complex": np.eye(2) * 1j, "struct": {"x": 1}}


def stored(compressed: bool = False, **variables: object) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, do_compression=compressed)
    return file.getvalue()


def read(path: Path, content: bytes) -> dict:  # type: ignore[type-arg]
    path.write_bytes(content)
    return read_mat(path, "list", "download it again")


@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_are_read_and_all_else_is_left_out(tmp_path: Path, compressed: bool) -> None:
    found = read(tmp_path / "a.mat", stored(compressed, data=VALUES | OTHERS, **VALUES, **OTHERS))
    inner = found.pop("data")
    assert found.pop("struct")["x"] == 1 and "struct" not in inner
    for arrays in (found, inner):
        assert arrays.keys() == VALUES.keys()
        for name, value in VALUES.items():
            np.testing.assert_array_equal(arrays[name], np.atleast_2d(value))


def test_whole_numbers_of_class_double_in_bytes(tmp_path: Path) -> None:
    """As MATLAB stores them; SciPy does not."""
    content = stored(a=np.array([[1.0, 2, 3, 4]]))
    data = struct.pack("<II4d", 9, 32, 1, 2, 3, 4)
    assert data in content
    at = content.index(struct.pack("<I", 14))
    small = content.replace(data, struct.pack("<HH4B", 2, 4, 1, 2, 3, 4))
    small = small[: at + 4] + struct.pack("<I", len(small) - at - 8) + small[at + 8 :]
    np.testing.assert_array_equal(read(tmp_path / "a.mat", small)["a"], [[1, 2, 3, 4]])


def test_what_unfolds_to_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = stored(True, a=np.zeros(1 << 20, np.uint8), b=np.zeros(1 << 20, np.uint8))
    assert len(read(tmp_path / "a.mat", content)) == 2
    monkeypatch.setattr(matlab, "MAX_BYTES", 1 << 20)
    with pytest.raises(InputError, match="unfolds to more than 1048576 bytes"):
        read(tmp_path / "a.mat", content)
    monkeypatch.setattr(matlab, "MAX_BYTES", 1 << 10)
    with pytest.raises(InputError, match="more than the 1024 that are read"):
        read(tmp_path / "a.mat", content)


@pytest.mark.parametrize("element", [struct.pack("<II", 15, 0), struct.pack("<II", 14, 0), struct.pack("<II", 2, 0)])
def test_elements_without_end_are_refused(tmp_path: Path, element: bytes) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "a.mat", stored(a=1) + element * 100_000)


def test_structs_in_structs_are_not_followed(tmp_path: Path) -> None:
    deep: dict[str, object] = {}
    for _ in range(20):
        deep = {"x": deep, "y": 1}
    assert read(tmp_path / "a.mat", stored(a=deep))["a"].keys() == {"y"}


def test_damaged_files_are_read_or_one_line(tmp_path: Path) -> None:
    rng = random.Random(0)
    contents = [stored(data=VALUES | OTHERS, **VALUES), stored(True, data=VALUES)]
    contents += [contents[0][:end] for end in range(0, len(contents[0]), 37)]
    contents += [contents[1][:128] + struct.pack("<II", 15, len(body)) + body for body in [zlib.compress(b"x" * 99)]]
    refused = 0
    for _ in range(400):
        content = bytearray(rng.choice(contents))
        for _ in range(rng.randrange(4)):
            if content:
                content[rng.randrange(len(content))] = rng.choice((0, 1, 14, 127, 255))
        try:
            read(tmp_path / "a.mat", bytes(content))
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 0 < refused < 400


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mat")
    with pytest.raises(InputError, match="it is a pipe"):
        read_mat(tmp_path / "a.mat", "list", "download it again")
