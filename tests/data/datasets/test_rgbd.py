"""Photographs with 16-bit disparity as training samples."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from depth_photo_folder import FAR, NEAR, card
from PIL import ExifTags, Image
from tiny_run import config_for

from mine.data.datasets.rgbd import Rgbd, read_index, read_photograph
from mine.data.sources import FolderSource
from mine.errors import InputError
from mine.network.architecture import Architecture, PartialArchitecture
from mine.network.checkpoint import make_network, save_network
from mine.scene.photo import read_photo
from mine.training.batches import training_sets

SIZE = (64, 96)


def write_frames(folder: Path, names: list[str], **entry: object) -> None:
    """Photographs of the card before a wall, each with a hole of unknown disparity in its corner."""
    folder.mkdir(parents=True, exist_ok=True)
    image, depth = card(128, 192)
    disparity = np.round(65535 * NEAR / depth).astype(np.uint16)
    disparity[:8, :8] = 0
    for name in names:
        Image.fromarray((255 * image).astype(np.uint8)).save(folder / f"{name}.jpg", quality=95)
        Image.fromarray(disparity).save(folder / f"{name}.png")
    lines = [json.dumps({"name": name, **entry}) for name in names]
    (folder / "frames.jsonl").write_text("\n".join(lines) + "\n")


def test_depth_is_relative_to_the_nearest_and_lies_where_the_image_shows_it(tmp_path: Path) -> None:
    write_frames(tmp_path / "a", ["one"], place="room", fx=200)
    dataset = Rgbd(tmp_path, SIZE)
    for index in range(5):
        sample = dataset[index]
        assert sample.source.shape == (3, *SIZE) and sample.depth_src.shape == (1, *SIZE)
        known = sample.depth_src[0] > 0
        assert set(np.round(sample.depth_src[0][known].numpy(), 3)) <= {1.0, FAR / NEAR}
        red = (sample.source[0] > 0.9) & (sample.source[1] < 0.1)
        wall = (sample.source[0] < 0.1) & known
        assert (sample.depth_src[0][red] == 1).float().mean() > 0.98, "the card is nearest"
        assert (sample.depth_src[0][wall] > 1).float().mean() > 0.98


def test_the_focal_length_follows_the_crop(tmp_path: Path) -> None:
    write_frames(tmp_path, ["one"], fx=200)
    K = Rgbd(tmp_path, SIZE)[0].K_src
    crop = 192 * SIZE[1] / (float(K[0, 0]) / 200 * 192)  # pixels of the photograph that the crop spans
    assert 0.7 * 192 - 2 <= crop <= 192 + 2


def test_samples_depend_on_seed_and_index_alone(tmp_path: Path) -> None:
    write_frames(tmp_path, ["one", "two", "three"])
    first, again, other = Rgbd(tmp_path, SIZE)[7], Rgbd(tmp_path, SIZE)[7], Rgbd(tmp_path, SIZE, seed=1)[7]
    assert torch.equal(first.source, again.source)
    assert not torch.equal(first.source, other.source)


def test_places_count_by_the_square_root_of_their_photographs(tmp_path: Path) -> None:
    write_frames(tmp_path / "long", [f"{i}" for i in range(9)], place="room")
    write_frames(tmp_path / "short", ["one"], place="garden")
    assert Rgbd(tmp_path, SIZE).probabilities.tolist() == [0.75, 0.25]


@pytest.mark.parametrize(
    "line",
    [
        *("[]", "{", '{"name": 3}', '{"name": "../../a"}', '{"name": "/etc/a"}', '{"name": "a/../../b"}'),
        *(f'{{"name": "a", "fx": {focal}}}' for focal in ("0", '"wide"', "1e400", "1e-320", "9" * 400, "true", "NaN")),
    ],
    ids=lambda line: line[:24],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "frames.jsonl").write_text(line)
    with pytest.raises(InputError, match="line 1, is not a photograph"):
        Rgbd(tmp_path, SIZE)


def test_an_index_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "frames.jsonl").write_bytes('{"name": "küche"}'.encode("latin-1"))
    with pytest.raises(InputError, match=r"frames\.jsonl cannot be read .*UTF-8"):
        Rgbd(tmp_path, SIZE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    """The map is of the upright photograph; depth-photos reads it so too."""
    write_frames(tmp_path, ["one"])
    stored, exif = card_file(tmp_path / "one.jpg", orientation)
    stored.save(tmp_path / "one.jpg", quality=95, exif=exif)
    (_, photograph), *_ = read_index(tmp_path / "frames.jsonl")
    image, disparity = read_photograph(photograph)
    assert image.size == (192, 128)
    pixels = np.asarray(image)
    card_shown = (pixels[..., 0] > 230) & (pixels[..., 1] < 30)
    assert (disparity[card_shown] == 1).mean() > 0.98 and card_shown.any()
    rgb, _ = read_photo(tmp_path / "one.jpg")
    np.testing.assert_allclose(rgb.movedim(0, 2) * 255, pixels, atol=1)


def card_file(file: Path, orientation: int) -> tuple[Image.Image, Image.Exif]:
    """The photograph in a file as a camera stores it that writes this EXIF orientation, and its EXIF data."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    with Image.open(file) as image:
        image.load()
    return (image.transpose(undo[orientation]) if orientation in undo else image), exif


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photographs in"):
        Rgbd(tmp_path, SIZE)


def test_broken_files_are_skipped_and_counted(tmp_path: Path) -> None:
    write_frames(tmp_path, ["good", "eight_bits", "missing"])
    Image.fromarray(np.full((128, 192), 9, np.uint8)).save(tmp_path / "eight_bits.png")
    (tmp_path / "missing.jpg").unlink()
    dataset = Rgbd(tmp_path, SIZE)
    for index in range(8):
        dataset[index]
    assert int(dataset.skipped) > 0


def test_plane_networks_are_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "data", ["one"])
    source = FolderSource(kind="rgbd", root=str(tmp_path / "data"))
    disparity = Architecture("tf_efficientnet_lite0", (4, 4, 4, 4, 4), decoder="disparity")
    assert len(training_sets(config_for(tmp_path, architecture=disparity, data=(source,)))) == 1
    with pytest.raises(InputError, match="no second views"):
        training_sets(config_for(tmp_path, data=(source,)))


def test_a_start_of_a_disparity_network_is_one(tmp_path: Path) -> None:
    """A configuration that names a checkpoint need not repeat its architecture."""
    write_frames(tmp_path / "data", ["one"])
    source = FolderSource(kind="rgbd", root=str(tmp_path / "data"))
    disparity = Architecture("tf_efficientnet_lite0", (4, 4, 4, 4, 4), decoder="disparity")
    save_network(make_network(disparity), tmp_path / "start.safetensors")
    config = config_for(
        tmp_path, architecture=PartialArchitecture(), data=(source,), start=str(tmp_path / "start.safetensors")
    )
    assert len(training_sets(config)) == 1
