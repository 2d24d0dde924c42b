"""Flowers light fields on miniature lenslet pictures."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from colmap_scene import render_dots
from PIL import Image

from mine.data.datasets.flowers import (
    GAMMA,
    MAX_DISPARITY,
    TEST_EVERY,
    Flowers,
    SubAperture,
    decode_light_field,
    sub_aperture,
)
from mine.errors import InputError
from mine.evaluation.evaluate import evaluate

WIDTH, HEIGHT = 66, 48
SIZE = (40, 60)


def dots(depth: float) -> np.ndarray:
    """(N, 3) points at one depth, as the middle of the aperture sees them."""
    x, y = np.meshgrid([-0.3, -0.1, 0.1, 0.3], [-0.2, 0.0, 0.2])
    return np.stack([x * depth, y * depth, np.full_like(x, depth)], axis=-1).reshape(-1, 3)


def write_lenslets(path: Path, depth: float) -> None:
    """A light field of bright dots: each view is drawn, then dealt out under the lenses, as dark as they are stored."""
    lenslets = np.zeros((HEIGHT, 14, WIDTH, 14, 3))
    for row in range(14):
        for column in range(14):
            right, down = column - 6.5, row - 6.5
            # 1.5 pixels towards the left at depth 1, none at 2, to the right behind.
            move = MAX_DISPARITY * (1 - 2 / depth)
            pixels = dots(depth)[:, :2] / depth * WIDTH + [WIDTH / 2 + move * right, HEIGHT / 2 + move * down]
            lenslets[:, row, :, column] = np.asarray(render_dots(pixels, (HEIGHT, WIDTH))) / 255
    flat = (255 * lenslets ** (1 / GAMMA)).round().astype(np.uint8).reshape(HEIGHT * 14, WIDTH * 14, 3)
    Image.fromarray(flat).save(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flowers")
    for name, depth in (("a", 1.3), ("b", 5.0), ("c", 1.0)):
        write_lenslets(folder / f"{name}_eslf.png", depth)
    return folder


def brightness_at(image: torch.Tensor, K: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    u, v = ((K @ points)[:2] / points[2]).round().long()
    inside = (u >= 1) & (v >= 1) & (u < image.shape[2] - 1) & (v < image.shape[1] - 1)
    assert inside.sum() >= 6
    return image[0, v[inside], u[inside]]


@pytest.mark.parametrize(("training", "depth"), [(False, 1.3), (True, 5.0)])
def test_cameras_put_points_where_the_views_show_them(root: Path, training: bool, depth: float) -> None:
    dataset = Flowers(root, SIZE, training)
    for index in (0, 2):  # two corners; two draws of b
        pair, sample = dataset.pair(index), dataset[index]
        assert sample.metric == 1 and sample.points_src.shape == (3, 0)
        in_source = torch.from_numpy(dots(depth).T + pair.source.pose[:3, 3:]).float()
        in_target = sample.T_tgt_src[:3, :3] @ in_source + sample.T_tgt_src[:3, 3:]
        assert brightness_at(sample.source, sample.K_src, in_source).min() > 0.6
        assert brightness_at(sample.target, sample.K_tgt, in_target).min() > 0.6


def test_views_are_the_central_ones_brightened(root: Path) -> None:
    file = root / "a_eslf.png"
    views = decode_light_field(file)
    assert views.shape == (8, 8, HEIGHT, WIDTH, 3)
    stored = np.asarray(Image.open(file))
    np.testing.assert_allclose(views[0, 7] / 255, (stored[3::14, 10::14] / 255) ** GAMMA, atol=1 / 255)
    np.testing.assert_array_equal(np.asarray(sub_aperture(file, 0, 7).load()), views[0, 7])


def test_evaluation_takes_the_corners_from_the_centre(root: Path) -> None:
    dataset = Flowers(root, SIZE, training=False)
    assert len(dataset) == 4 and dataset.by_source() == [[0, 1, 2, 3]] and TEST_EVERY > 3
    pairs = [dataset.pair(index) for index in range(4)]
    assert {pair.source.path.name for pair in pairs} == {"4-4"}
    assert [pair.target.path.name for pair in pairs] == ["0-0", "0-7", "7-0", "7-7"]
    assert list(evaluate(None, dataset, progress=False).scenes()) == ["corners"]


def test_training_leaves_out_what_is_evaluated_and_never_pairs_a_view_with_itself(root: Path) -> None:
    dataset = Flowers(root, SIZE)
    assert [file.stem for file in dataset.files] == ["b_eslf", "c_eslf"]
    for pair in (dataset.pair(index) for index in range(50)):
        assert pair.source.path != pair.target.path and pair.source.scene == pair.target.scene


def test_several_targets_are_different_views(root: Path) -> None:
    dataset = Flowers(root, SIZE, targets=3)
    pair, sample = dataset.pair(0), dataset[0]
    assert isinstance(pair.source, SubAperture)
    views = [
        (view.row, view.column) for view in (pair.source, pair.target, *pair.others) if isinstance(view, SubAperture)
    ]
    assert len(set(views)) == 4 and sample.target.shape == (3, 3, *SIZE)
    steps = sample.T_tgt_src[:, :2, 3] / (2 * MAX_DISPARITY / WIDTH)
    expected = [[views[0][1] - column, views[0][0] - row] for row, column in views[1:]]
    torch.testing.assert_close(steps, torch.tensor(expected).float(), rtol=1e-4, atol=1e-4)


def test_unreadable_light_fields_are_skipped_and_missing_ones_told(
    tmp_path: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputError, match="0 lenslet pictures"):
        Flowers(tmp_path, SIZE)
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").write_bytes(b"no picture")
    Image.new("RGB", (100, 140)).save(tmp_path / "c.png")
    (tmp_path / "d.png").write_bytes((root / "b_eslf.png").read_bytes())
    dataset = Flowers(tmp_path, SIZE)
    with caplog.at_level(logging.WARNING):
        dataset[0]
    assert dataset.skipped == 2 and "b.png" in caplog.text and "100x140" in caplog.text
