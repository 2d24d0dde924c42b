"""Depth maps as arrays: what their values mean, and which are refused."""

import re

import numpy as np
import pytest

from mine.errors import InputError
from mine.scene.depth_maps.depth_map import FARTHEST, NORMALISED_RANGE, check_aspect, make_depth_map

RAMP = np.linspace(1, 4, 12 * 16, dtype=np.float32).reshape(12, 16)


def test_disparity_keeps_its_proportions_with_the_nearest_surface_at_1() -> None:
    relative, nearest = make_depth_map(RAMP, kind="disparity").relative_disparity()
    assert nearest == pytest.approx(4, rel=1e-2)
    np.testing.assert_allclose(relative, (RAMP / nearest).clip(max=1), rtol=1e-6)


def test_depth_is_the_inverse_of_disparity() -> None:
    of_depth = make_depth_map(1 / RAMP, kind="depth").relative_disparity()[0]
    np.testing.assert_allclose(of_depth, make_depth_map(RAMP, kind="disparity").relative_disparity()[0], rtol=1e-5)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 5000.0])
def test_the_unit_of_the_values_does_not_matter(factor: float) -> None:
    for kind in ("disparity", "depth"):
        scaled = make_depth_map(RAMP * factor, kind=kind).relative_disparity()[0]
        np.testing.assert_allclose(scaled, make_depth_map(RAMP, kind=kind).relative_disparity()[0], rtol=1e-5)


@pytest.mark.parametrize("kind", ["disparity", "depth"])
def test_an_inverted_map_says_the_same_as_the_map_itself(kind: str) -> None:
    levels = (RAMP * 60).astype(np.uint16)
    inverted = make_depth_map(levels.max() + levels.min() - levels, kind=kind, inverted=True)
    np.testing.assert_array_equal(inverted.values, make_depth_map(levels, kind=kind).values)


def test_far_things_keep_the_least_disparity() -> None:
    disparity = RAMP.copy()
    disparity[:2] = 0
    assert (make_depth_map(disparity, kind="disparity").relative_disparity()[0][:2] == np.float32(FARTHEST)).all()
    depth = 1 / RAMP
    depth[:2] = np.inf
    assert (make_depth_map(depth, kind="depth").relative_disparity()[0][:2] == np.float32(FARTHEST)).all()


def test_unknown_pixels_are_nan_in_depth_0_and_in_disparity_infinity() -> None:
    depth, disparity = RAMP.copy(), RAMP.copy()
    depth[0], depth[1], disparity[0], disparity[1] = 0, np.nan, np.inf, np.nan
    for values, kind in ((depth, "depth"), (disparity, "disparity")):
        depth_map = make_depth_map(values, kind=kind)
        assert depth_map.has_unknown
        relative = depth_map.relative_disparity()[0]
        assert np.isnan(relative[:2]).all() and np.isfinite(relative[2:]).all()
    assert not make_depth_map(RAMP, kind="depth").has_unknown


@pytest.mark.parametrize("white", [np.uint8(255), np.uint16(65535), np.float32(1)])
def test_a_normalised_map_of_depth_reaches_from_the_nearest_to_ten_times_as_far(white: np.generic) -> None:
    levels = (np.linspace(0, 1, 12 * 16).reshape(12, 16) * float(white)).astype(white.dtype)
    depth_map = make_depth_map(levels, kind="depth")
    assert not depth_map.has_unknown
    disparity = depth_map.disparity()
    assert disparity.max() / disparity.min() == pytest.approx(NORMALISED_RANGE, rel=1e-2)


def test_a_map_of_millimetres_is_not_taken_for_a_normalised_one() -> None:
    depth = (1000 * RAMP).astype(np.uint16)
    depth[0] = 0
    assert make_depth_map(depth, kind="depth").has_unknown


def test_disparity_up_to_an_offset_is_shifted_until_it_is_positive() -> None:
    disparity = make_depth_map(RAMP - 2, kind="disparity").disparity()
    np.testing.assert_allclose(disparity, RAMP - RAMP.min(), atol=1e-6)


REFUSED = {
    "3": (np.zeros((4, 4, 3)), {}, r"shape (4, 4, 3)"),
    "small": (np.ones((4, 100)), {}, "100x4 pixels"),
    "constant": (np.full((16, 16), 7.0), {}, "7 everywhere"),
    "nan": (np.full((16, 16), np.nan), {}, "0 % of its pixels"),
    "few": (np.where(np.arange(256).reshape(16, 16) < 2, RAMP[0, 0], np.nan), {}, "of its pixels"),
    "negative": (RAMP - 3, {"kind": "depth"}, "down to -2"),
    "huge": (np.linspace(-3e38, 3e38, 256).reshape(16, 16), {"kind": "disparity"}, "for 0 % of its pixels"),
    "too near": (np.linspace(1e-45, 1e-40, 256).reshape(16, 16), {"kind": "depth"}, "distances above 1e-30"),
    "text": (np.full((16, 16), "a"), {}, "type <U1"),
    "complex": (np.full((16, 16), 1j), {}, "type complex128"),
    "bool": (np.eye(16) > 0, {}, "type bool"),
    "scale": (RAMP, {"kind": "depth", "scale": -1.0}, "depth scale is -1.0"),
    "scale nan": (RAMP, {"kind": "depth", "scale": float("nan")}, "depth scale is nan"),
    "scale of auto": (RAMP, {"scale": 1.0}, "give the depth kind"),
    "scale inverted": (RAMP, {"kind": "depth", "scale": 1.0, "inverted": True}, "leave out one"),
    "metric negative": (RAMP - 3, {"kind": "disparity", "scale": 1.0}, "down to -2"),
    "unknown": (np.where(RAMP < 3.99, 0, RAMP), {"kind": "depth"}, "knows 0.52 % of its pixels"),
}


@pytest.mark.parametrize("sky", [np.inf, 3e38, 1e31])
def test_the_largest_floats_are_infinite_as_renderers_give_them_to_the_sky(sky: float) -> None:
    values = np.concatenate([np.full((4, 16), sky), RAMP])
    relative, _ = make_depth_map(values, kind="depth").relative_disparity()
    assert (relative[:4] == FARTHEST).all()
    np.testing.assert_allclose(relative[4:], (RAMP[0, 0] / RAMP), rtol=0.02)
    assert np.isnan(make_depth_map(values, kind="disparity").disparity()[:4]).all()


@pytest.mark.parametrize("name", REFUSED)
def test_impossible_maps_are_refused_in_one_line(name: str) -> None:
    values, options, told = REFUSED[name]
    with pytest.raises(InputError, match=re.escape(told)):
        make_depth_map(np.asarray(values), "depth map x.png", **options).disparity()


def test_depth_that_turns_out_negative_is_refused_once_the_kind_is_known() -> None:
    depth_map = make_depth_map(RAMP - 2)
    with pytest.raises(InputError, match="depths down to -1"):
        depth_map.of_kind("depth").disparity()


@pytest.mark.parametrize("size", [(600, 800), (480, 640), (75, 100), (28 * 19, 28 * 25)])
def test_maps_of_another_resolution_fit_a_photo_of_the_same_shape(size: tuple[int, int]) -> None:
    check_aspect(make_depth_map(np.random.default_rng(0).random(size)), (3000, 4000))


@pytest.mark.parametrize(("size", "remedy"), [((640, 480), "turn it like the photo"), ((64, 64), "the whole photo")])
def test_maps_of_another_shape_are_refused(size: tuple[int, int], remedy: str) -> None:
    with pytest.raises(InputError, match=f"of another shape: .*{remedy}"):
        check_aspect(make_depth_map(np.random.default_rng(0).random(size)), (3000, 4000))
