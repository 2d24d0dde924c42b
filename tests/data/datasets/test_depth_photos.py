"""Pairs made from photos with depth maps, on a miniature folder of two flat surfaces."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from depth_photo_folder import FAR, NEAR, card, write_photo
from PIL import Image

from mine.data.datasets.depth_photos import DepthPhotos, read_depth
from mine.data.datasets.forward_warp import fill_holes, forward_warp
from mine.errors import InputError

SIZE = (64, 96)
K = np.array([[80, 0, 47.5], [0, 80, 31.5], [0, 0, 1]], np.float32)


def test_surfaces_move_by_focal_length_times_step_over_depth() -> None:
    image, depth = card()
    T = np.eye(4, dtype=np.float32)
    T[0, 3] = -0.1  # the camera goes right, things go left: 4 pixels near, 1 far
    warped, warped_depth = forward_warp(image, depth, K, T)
    np.testing.assert_allclose(warped[:, 1:20], image[:, 2:21], atol=0.02)
    np.testing.assert_allclose(warped[28:36, 36:58], image[28:36, 40:62], atol=1e-6)
    assert (warped_depth[28:36, 36:58] == NEAR).all() and (warped_depth[:, 1:20] == FAR).all()
    assert (warped_depth[28:36, 64:66] == 0).all(), "what the card hid is unknown"
    assert (warped_depth[:, 95] == 0).all(), "so is what was outside"


def test_a_step_ahead_leaves_no_cracks() -> None:
    image, depth = card()
    T = np.eye(4, dtype=np.float32)
    T[2, 3] = -0.8
    _, warped_depth = forward_warp(image, depth, K, T)
    assert warped_depth[26:38, 34:62] == pytest.approx(NEAR - 0.8, abs=1e-5), "the card, 1.67 times as large"


def test_nothing_moves_without_a_step() -> None:
    image, depth = card()
    warped, warped_depth = forward_warp(image, depth, K, np.eye(4, dtype=np.float32))
    assert set(np.unique(warped_depth)) == {0, NEAR, FAR}
    assert 0 < (warped_depth == 0).mean() < 0.03, "only the pixels right behind the card's edge are left out"
    # Twice as fine and averaged again: as after a slight blur.
    assert np.abs(warped - image)[warped_depth > 0].mean() < 0.01


def test_holes_take_the_colour_of_what_is_farther() -> None:
    image, depth = card()
    T = np.eye(4, dtype=np.float32)
    T[0, 3] = -0.1
    warped, warped_depth = forward_warp(image, depth, K, T)
    filled = fill_holes(warped, warped_depth)
    holes = warped_depth == 0
    assert filled[holes][:, 0].max() < 0.2 and filled[holes][:, 1].min() > 0.05, "no red of the card, no black"
    np.testing.assert_array_equal(filled[~holes], warped[~holes])


@pytest.mark.parametrize(("kind", "suffix"), [("depths", ".png"), ("depths", ".npy"), ("disparities", ".npy")])
def test_pairs_fit_together(tmp_path: Path, kind: str, suffix: str) -> None:
    write_photo(tmp_path, "a", kind, suffix)
    for sample in (DepthPhotos(tmp_path, SIZE)[index] for index in range(3)):
        assert sample.source.shape == sample.target.shape == (3, *SIZE)
        assert sample.depth_tgt.unique().numel() == 2, "the photo is whole"
        near, far = sample.depth_tgt.unique().tolist()
        assert 1 <= near <= 1.25 and far / near == pytest.approx(4, rel=1e-2)
        assert sample.metric == 0 and sample.points_src.shape == sample.points_tgt.shape == (3, 256)
        # Points of the photo, seen by the source's camera, have the colours and depths that the source shows there.
        T = torch.linalg.inv(sample.T_tgt_src)
        moved = T[:3, :3] @ sample.points_tgt + T[:3, 3:]
        u, v = (sample.K_src @ moved)[:2].div(moved[2]).round().long()
        inside = (u >= 0) & (u < SIZE[1]) & (v >= 0) & (v < SIZE[0])
        shown = sample.depth_src[0, v[inside], u[inside]]
        known = shown > 0
        ratio = shown[known] / moved[2][inside][known]
        assert known.float().mean() > 0.8 and ratio.max() < 1.05
        assert ((ratio - 1).abs() < 0.05).float().mean() > 0.8


def test_same_place_twice_and_another_next_time(tmp_path: Path) -> None:
    write_photo(tmp_path, "a")
    write_photo(tmp_path, "b")
    first, second = DepthPhotos(tmp_path, SIZE, seed=1, epochs=5), DepthPhotos(tmp_path, SIZE, seed=1, epochs=5)
    assert len(first) == 10
    for a, b in zip(first[3], second[3], strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(first[3].T_tgt_src, first[5].T_tgt_src)


def test_unreadable_files_are_skipped_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in "abcd":
        write_photo(tmp_path, name)
    (tmp_path / "photos" / "a.png").write_bytes(b"no picture")
    (tmp_path / "depths" / "b.png").write_bytes(b"no picture")
    Image.new("I;16", (100, 20), 5).save(tmp_path / "depths" / "c.png")
    dataset = DepthPhotos(tmp_path, SIZE)
    with caplog.at_level(logging.WARNING):
        sample = dataset[0]
    assert dataset.skipped == 3 and torch.equal(sample.target, dataset[3].target)
    assert "a.png" in caplog.text and "b.png cannot be read" in caplog.text and "100x20" in caplog.text


def test_zero_disparity_is_far_and_unknown_depth_stays_unknown(tmp_path: Path) -> None:
    for kind in ("depths", "disparities"):
        (tmp_path / kind).mkdir()
        np.save(tmp_path / kind / "a.npy", np.array([[0.0, 2.0], [np.nan, 1.0]]))
    np.testing.assert_allclose(read_depth(tmp_path / "depths" / "a.npy"), [[0, 2], [0, 1]])
    np.testing.assert_allclose(read_depth(tmp_path / "disparities" / "a.npy"), [[50, 1], [0, 2]])


@pytest.mark.parametrize(("near", "far"), [(1e-44, 1e-42), (1e-30, 1e30), (1.0, 1e38)])
def test_depth_of_any_range_makes_finite_samples(tmp_path: Path, near: float, far: float) -> None:
    for folder in ("photos", "depths"):
        (tmp_path / folder).mkdir()
    Image.effect_noise((96, 64), 80).convert("RGB").save(tmp_path / "photos" / "a.jpg")
    depth = np.full((64, 96), far, np.float32)
    depth[20:] = near
    np.save(tmp_path / "depths" / "a.npy", depth)
    sample = DepthPhotos(tmp_path, (32, 48), epochs=3)[0]
    assert all(value.isfinite().all() for value in sample)
    assert sample.depth_src.max() <= 2e6


def test_photos_without_maps_are_told(tmp_path: Path) -> None:
    write_photo(tmp_path, "a")
    (tmp_path / "depths" / "a.png").rename(tmp_path / "depths" / "other.png")
    with pytest.raises(InputError, match="of 1 photos"):
        DepthPhotos(tmp_path, SIZE)
