"""Files of depth maps: every format returns what was written, and nothing else is read."""

import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from PIL import ExifTags, Image

from mine.errors import InputError
from mine.scene.depth_maps import files
from mine.scene.depth_maps.read import read_depth

FLOATS = np.random.default_rng(0).uniform(0.5, 9, (20, 30)).astype(np.float32)
BYTES = (FLOATS * 25).astype(np.uint8)
WORDS = (FLOATS * 7000).astype(np.uint16)


def save_exr(path: Path, values: np.ndarray, channel: str = "Z", **header: object) -> None:
    """An EXR with one channel."""
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage} | header
    OpenEXR.File(header, {channel: values}).write(str(path))


def save_pfm(path: Path, values: np.ndarray) -> None:
    """A PFM of the Middlebury stereo sets: the lowest row first, little-endian."""
    height, width = values.shape
    path.write_bytes(f"Pf\n{width} {height}\n-1.0\n".encode() + values[::-1].astype("<f4").tobytes())


WRITERS: dict[str, tuple[np.ndarray, Callable[[Path], object]]] = {
    "8.png": (BYTES, lambda path: Image.fromarray(BYTES).save(path)),
    "16.png": (WORDS, lambda path: cv2.imwrite(str(path), WORDS)),
    "grey in colours.png": (BYTES, lambda path: Image.fromarray(BYTES).convert("RGB").save(path)),
    "8.tif": (BYTES, lambda path: Image.fromarray(BYTES).save(path)),
    "16.tif": (WORDS, lambda path: cv2.imwrite(str(path), WORDS)),
    "32.tiff": (FLOATS, lambda path: Image.fromarray(FLOATS).save(path)),
    "lzw.tiff": (FLOATS, lambda path: Image.fromarray(FLOATS).save(path, compression="tiff_lzw")),
    "cv.tiff": (FLOATS, lambda path: cv2.imwrite(str(path), FLOATS)),
    "a.pfm": (FLOATS, lambda path: save_pfm(path, FLOATS)),
    "cv.pfm": (FLOATS, lambda path: cv2.imwrite(str(path), FLOATS)),
    "16.pgm": (WORDS, lambda path: cv2.imwrite(str(path), WORDS)),
    "32.npy": (FLOATS, lambda path: np.save(path, FLOATS)),
    "64.npy": (FLOATS, lambda path: np.save(path, FLOATS.astype(">f8"))),
    "half.npy": (FLOATS.astype(np.float16), lambda path: np.save(path, FLOATS.astype(np.float16))),
    "16.npy": (WORDS, lambda path: np.save(path, WORDS.astype(">u2"))),
    "fortran.npy": (FLOATS, lambda path: np.save(path, np.asfortranarray(FLOATS))),
    "channel.npy": (FLOATS, lambda path: np.save(path, FLOATS[None])),
    "last.npy": (FLOATS, lambda path: np.save(path, FLOATS[..., None])),
    "z.exr": (FLOATS, lambda path: save_exr(path, FLOATS)),
    "half.exr": (FLOATS.astype(np.float16), lambda path: save_exr(path, FLOATS.astype(np.float16), "Y")),
    "odd name.exr": (FLOATS, lambda path: save_exr(path, FLOATS, "my depth")),
    "no ending": (FLOATS, lambda path: save_exr(path, FLOATS, "R")),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_returns_the_values_that_another_program_wrote(name: str, tmp_path: Path) -> None:
    values, write = WRITERS[name]
    write(tmp_path / name)
    depth_map = read_depth(tmp_path / name)
    np.testing.assert_array_equal(depth_map.values, values.astype(np.float32))
    assert depth_map.kind == ("depth" if name == "z.exr" else "auto")


def test_a_kind_that_is_given_counts_more_than_the_file(tmp_path: Path) -> None:
    save_exr(tmp_path / "z.exr", FLOATS)
    assert read_depth(tmp_path / "z.exr", "disparity").kind == "disparity"


def test_transparent_pixels_are_unknown(tmp_path: Path) -> None:
    image = Image.fromarray(BYTES)
    image.putalpha(Image.fromarray(np.where(np.arange(30) < 10, 0, 255).astype(np.uint8)[None].repeat(20, 0)))
    image.save(tmp_path / "a.png")
    values = read_depth(tmp_path / "a.png", "disparity").values
    assert np.isnan(values[:, :10]).all()
    np.testing.assert_allclose(values[:, 10:], BYTES[:, 10:] / 255, rtol=1e-6)


def test_a_map_is_turned_upright_by_its_own_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(BYTES).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_depth(tmp_path / "a.png").values, np.rot90(BYTES, -1))


def test_images_and_arrays_are_read_too() -> None:
    np.testing.assert_array_equal(read_depth(Image.fromarray(BYTES)).values, BYTES)
    np.testing.assert_array_equal(read_depth(WORDS).values, WORDS)
    depth_map = read_depth(FLOATS)
    assert read_depth(depth_map, "depth").kind == "depth"


def test_what_is_said_of_a_map_that_was_read_counts() -> None:
    unknown = read_depth(FLOATS)
    inverted = read_depth(unknown, inverted=True)
    np.testing.assert_allclose(inverted.values, FLOATS.min() + FLOATS.max() - FLOATS, rtol=1e-6)
    metric = read_depth(unknown, "depth", scale=0.5)
    assert (metric.kind, metric.scale) == ("depth", 0.5)
    assert read_depth(metric, "disparity").kind == "disparity"
    normalised = read_depth(read_depth(np.linspace(0, 65535, 400).reshape(20, 20).astype(np.uint16)), "depth")
    assert normalised.offset == pytest.approx(65535 / 9), "its values are as they were, and so are their ends"


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_a_normalised_map_of_16_bits_is_one_in_every_format(ending: str, tmp_path: Path) -> None:
    levels = np.linspace(0, 65535, 400).round().reshape(20, 20).astype(np.uint16)
    cv2.imwrite(str(tmp_path / f"a.{ending}"), levels)
    depth_map = read_depth(tmp_path / f"a.{ending}", "depth")
    assert depth_map.offset == pytest.approx(65535 / 9) and not depth_map.has_unknown


class Evil:
    """Unpickling it would make a folder."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("unpickled",)


def write_object(path: Path) -> None:
    np.save(path, np.array([[Evil()] * 16] * 16), allow_pickle=True)


def write_large_npy(path: Path) -> None:
    """An npy file that promises 1 TB."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (500000, 500000)})


def write_short_npy(path: Path) -> None:
    np.save(path, FLOATS)
    path.write_bytes(path.read_bytes()[:-5])


def write_large_exr(path: Path) -> None:
    """An EXR whose header promises 10^16 pixels."""
    save_exr(path, FLOATS)
    content = path.read_bytes()
    window = content.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    path.write_bytes(content[: window + 8] + b"\xff\xff\xff\x05" * 2 + content[window + 16 :])


def test_all_parts_and_channels_of_an_exr_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read all, whichever is used."""
    parts = [{"Z": FLOATS}, {"Z": FLOATS, "other": FLOATS}]
    written = [OpenEXR.Part({"type": OpenEXR.scanlineimage}, part, str(len(part))) for part in parts]
    OpenEXR.File(written).write(str(tmp_path / "a.exr"))
    monkeypatch.setattr(files, "MAX_VALUES", 3 * FLOATS.size)
    np.testing.assert_array_equal(read_depth(tmp_path / "a.exr").values, FLOATS)
    monkeypatch.setattr(files, "MAX_VALUES", 3 * FLOATS.size - 1)
    with pytest.raises(InputError, match=r"1800 values in 2 part\(s\), more than 1799"):
        read_depth(tmp_path / "a.exr")


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "none.png": (lambda path: None, "no depth map at"),
    "folder": (lambda path: path.mkdir(), "it is a folder"),
    "pipe.png": (lambda path: os.mkfifo(path), "is a pipe or a device"),
    "empty.png": (lambda path: path.touch(), "is no image, EXR or npy file"),
    "text.png": (lambda path: path.write_text("depth" * 9), "is no image, EXR or npy file"),
    "colours.png": (
        lambda path: Image.fromarray(np.stack([BYTES, 255 - BYTES, BYTES], 2)).save(path),
        "is in colours",
    ),
    "deep.png": (lambda path: cv2.imwrite(str(path), np.stack([WORDS] * 3, 2)), "save it in 16-bit grey"),
    "cut.png": (
        lambda path: (cv2.imwrite(str(path), WORDS), path.write_bytes(path.read_bytes()[:300])),
        "is damaged or cut short",
    ),
    "tiny.png": (lambda path: Image.fromarray(BYTES[:4]).save(path), "30x4 pixels"),
    "black.png": (lambda path: Image.new("L", (30, 20)).save(path), "0 everywhere"),
    "objects.npy": (write_object, "values of type 'object'"),
    "large.npy": (write_large_npy, "500000x500000 pixels"),
    "short.npy": (write_short_npy, "cut short"),
    "vector.npy": (lambda path: np.save(path, FLOATS[0]), "shape (30,)"),
    "colours.npy": (lambda path: np.save(path, np.zeros((20, 30, 3))), "shape (20, 30, 3)"),
    "complex.npy": (lambda path: np.save(path, FLOATS * 1j), "type 'complex64'"),
    "nan.npy": (lambda path: np.save(path, FLOATS * np.nan), "0 % of its pixels"),
    "a.npz": (lambda path: np.savez(path, FLOATS), "is no image, EXR or npy file"),
    "pickle.npy": (lambda path: path.write_bytes(pickle.dumps(FLOATS)), "is no image, EXR or npy file"),
    "large.exr": (write_large_exr, "pixels, more than"),
    "cut.exr": (
        lambda path: (save_exr(path, FLOATS), path.write_bytes(path.read_bytes()[:400])),
        "is not a readable EXR file",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_and_useless_files_are_refused_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write, told = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(InputError, match=re.escape(told)) as error:
        read_depth(tmp_path / name)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")  # libraries say nothing beside it
    assert not Path("unpickled").exists()


def test_the_map_of_a_photo_needs_the_photo_s_file() -> None:
    with pytest.raises(InputError, match="give the photo as a file"):
        read_depth("auto")
