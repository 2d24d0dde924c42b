"""Structure from motion on rendered pictures whose cameras are known."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mine.data.capture import read_capture
from mine.data.reconstruct import Account, reconstruct
from mine.errors import InputError

WIDTH, HEIGHT, FOCAL = 320, 240, 384.0  # 1.2 times the width: what COLMAP assumes without EXIF
CENTRES = np.array([[-0.5, 0, 0], [-0.25, 0.1, 0], [0, 0, 0.1], [0.25, -0.1, 0], [0.5, 0, 0]])


def texture(seed: int) -> np.ndarray:
    """Blobs of many sizes, 512x512."""
    rng = np.random.default_rng(seed)
    layers = [cv2.resize(rng.random((n, n)).astype(np.float32), (512, 512), interpolation=2) for n in (32, 64, 128)]
    return sum(layers) / len(layers)


def photograph(centre: np.ndarray) -> Image.Image:
    """A view of two textured boards, the left one at depth 3 and the right one at depth 4.5."""
    v, u = np.indices((HEIGHT, WIDTH), dtype=np.float32) + 0.5
    ray = np.stack([(u - WIDTH / 2) / FOCAL, (v - HEIGHT / 2) / FOCAL], axis=-1)
    picture = np.zeros((HEIGHT, WIDTH), np.float32)
    for seed, depth, (left, right) in ((0, 4.5, (-9.0, 9.0)), (1, 3.0, (-9.0, 0.0))):
        place = ray * (depth - centre[2]) + centre[:2]
        place = place.astype(np.float32)
        board = cv2.remap(texture(seed), place[..., 0] * 100 + 256, place[..., 1] * 100 + 256, cv2.INTER_LINEAR)
        picture = np.where((place[..., 0] > left) & (place[..., 0] < right), board, picture)
    return Image.fromarray((255 * picture).clip(0, 255).astype(np.uint8)).convert("RGB")


def test_cameras_are_found_and_the_capture_can_be_read(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number, centre in enumerate(CENTRES):
        photograph(centre).save(photos / f"{number}.png")
    Image.new("RGB", (WIDTH, HEIGHT), "grey").save(photos / "blank.png")
    (photos / "notes.txt").write_text("not a picture")
    account = reconstruct(photos, tmp_path / "scene", progress=False)
    assert account.registered == tuple(f"{number}.png" for number in range(5))
    assert account.left_out == ("blank.png",)
    assert account.points > 50 and account.error < 1
    assert {path.name for path in (tmp_path / "scene").iterdir()} == {"images", "sparse"}
    pictures = read_capture(tmp_path / "scene", (HEIGHT, WIDTH))
    found = np.linalg.norm(np.diff([picture.centre for picture in pictures], axis=0), axis=1)
    true = np.linalg.norm(np.diff(CENTRES, axis=0), axis=1)
    np.testing.assert_allclose(found / found.sum(), true / true.sum(), atol=0.03)


def test_account_names_what_was_left_out() -> None:
    assert str(Account(("a", "b"), (), 100, 0.5)) == "2 of 2 pictures registered, 100 points, 0.50 px error"
    text = str(Account(("a",), tuple(f"p{i}" for i in range(12)), 9, 0.5))
    assert text.startswith("1 of 13") and "p9" in text and "p10" not in text and text.endswith("and 2 more")


def test_pictures_that_share_nothing_leave_nothing_behind(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        Image.new("RGB", (64, 48), (80 * number,) * 3).save(photos / f"{number}.png")
    with pytest.raises(InputError, match="no camera could be placed from the 3 pictures"):
        reconstruct(photos, tmp_path / "scene", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        reconstruct(tmp_path / "none", tmp_path / "scene")
    with pytest.raises(InputError, match="holds 0 pictures"):
        reconstruct(tmp_path, tmp_path / "scene")
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    with pytest.raises(InputError, match="exists"):
        reconstruct(tmp_path, tmp_path)
