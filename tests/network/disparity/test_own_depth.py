"""Given depth maps: their kind by the photo, their size, what fills their holes."""

import math
import warnings

import numpy as np
import pytest
import torch
from torch import Tensor

from mine.errors import InputWarning
from mine.network.disparity.own_depth import find_kind, fit_to_photo
from mine.scene.depth_maps.depth_map import FARTHEST, DepthMap, make_depth_map

SIZE = (64, 96)


def step(near: float = 1.0, far: float = 0.25) -> Tensor:
    """Disparity (1, 1, H, W): the right half is near."""
    disparity = torch.full((1, 1, *SIZE), far)
    disparity[..., SIZE[1] // 2 :] = near
    return disparity


def photo() -> Tensor:
    """(1, 3, H, W): the right half is bright."""
    return (step() > 0.5).float().expand(1, 3, *SIZE) * 0.6 + 0.2


def array(disparity: Tensor) -> np.ndarray:
    return disparity[0, 0].numpy()


def test_a_map_of_the_planes_size_stays_as_it_is() -> None:
    own = fit_to_photo(make_depth_map(array(8 * step()), kind="disparity"), photo())
    inner = slice(2, -2)  # the nearer side grows by a pixel over the photo's mixed ones
    assert own.unit == 1
    torch.testing.assert_close(own.disparity[..., : SIZE[1] // 2 - 1], step()[..., : SIZE[1] // 2 - 1])
    torch.testing.assert_close(own.disparity[..., inner, SIZE[1] // 2 :], step()[..., inner, SIZE[1] // 2 :])


@pytest.mark.parametrize("size", [(16, 24), (32, 48), (256, 384), (65, 97)])
def test_a_map_of_another_size_gets_the_photo_s_edge(size: tuple[int, int]) -> None:
    resized = torch.nn.functional.interpolate(step(), size, mode="bilinear", antialias=True)
    own = fit_to_photo(make_depth_map(array(resized), kind="disparity"), photo())
    wrong = (own.disparity - step()).abs() > 0.02
    assert float(wrong.float().mean()) <= 2.5 / SIZE[1]  # the pixel by which the nearer side grows, and one or two more


def test_a_scale_gives_the_scene_its_unit() -> None:
    metres = make_depth_map(array(3 / step()), kind="depth", scale=1.0)
    millimetres = make_depth_map(array(3000 / step()), kind="depth", scale=0.001)
    inverse = make_depth_map(array(step() / 3), kind="disparity", scale=1.0)
    for depth_map in (metres, millimetres, inverse):
        assert fit_to_photo(depth_map, photo()).unit == pytest.approx(1 / 3, rel=1e-3)


def test_holes_take_the_values_around_them() -> None:
    values = array(torch.full((1, 1, *SIZE), 0.5) + 0.5 * (step() > 2))
    values[0] = 1
    values[20:40, 30:60] = np.nan
    own = fit_to_photo(make_depth_map(values, kind="disparity"), photo())
    assert float((own.disparity[..., 20:40, 30:60] - 0.5).abs().max()) < 1e-3


def test_holes_take_the_shape_that_the_network_predicts() -> None:
    """The prediction is right up to a power of disparity, which is a factor of its logarithm, and a factor."""
    truth = step()
    values = array(2 * truth)
    values[16:48, 24:72] = np.nan
    predicted = (0.7 * truth.log()).exp()
    own = fit_to_photo(make_depth_map(values, kind="disparity"), photo(), predicted)
    far, near = own.disparity[0, 0, 20:44, 26:40], own.disparity[0, 0, 20:44, 52:70]
    assert float((far - 0.25).abs().max()) < 0.02 and float((near - 1).abs().max()) < 0.02


def test_what_is_known_stays_whatever_the_network_predicts() -> None:
    values = array(2 * step())
    values[30:34, 10:14] = np.nan
    ours = fit_to_photo(make_depth_map(values, kind="disparity"), photo(), step(0.3, 0.9)).disparity
    other = fit_to_photo(make_depth_map(values, kind="disparity"), photo(), step()).disparity
    torch.testing.assert_close(ours[..., 60:], other[..., 60:])


def test_the_network_tells_which_end_is_near() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_kind(make_depth_map(array(9 * step())), step(0.9, 0.5)).kind == "disparity"
        assert find_kind(make_depth_map(array(9 / step())), step(0.9, 0.5)).kind == "depth"
        assert find_kind(make_depth_map(array(9 / step()), kind="disparity"), step()).kind == "disparity"


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("share", [0.03, 0.07, 0.3])
def test_the_network_tells_which_end_is_near_in_maps_of_few_levels(share: float, levels: int) -> None:
    """Nearer from row to row as the ground is, before it a thing: equal values must not count by their place."""
    predicted = torch.linspace(0.2, 0.6, SIZE[0])[:, None].repeat(1, SIZE[1])
    width = max(2, round(share * SIZE[1]))
    predicted[10:54, 40 : 40 + width] += 0.5
    edges = predicted.quantile(torch.linspace(1 - share, 1, levels)[:-1])
    values = 50 + 60 * torch.bucketize(predicted, edges).numpy().astype(np.uint8)
    assert len(np.unique(values)) == levels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_kind(make_depth_map(values), predicted[None, None]).kind == "disparity"
        assert find_kind(make_depth_map(250 - values), predicted[None, None]).kind == "depth"


def test_a_map_of_one_level_where_it_is_compared_is_told() -> None:
    values = np.full((8, 8), 3, np.float32)
    with pytest.warns(InputWarning, match="is taken for disparity"):
        assert find_kind(DepthMap(values), step()).kind == "disparity"


def test_a_kind_that_the_photo_does_not_show_is_told() -> None:
    noise = torch.rand(1, 1, *SIZE, generator=torch.Generator().manual_seed(0))
    with pytest.warns(InputWarning, match=r"x\.png is taken for (disparity|depth), .* give the depth kind"):
        find_kind(make_depth_map(array(step()), "x.png"), noise)


def test_maps_without_two_known_pixels_where_they_are_compared_count_as_disparity() -> None:
    assert find_kind(DepthMap(np.full((8, 8), np.nan, np.float32)), step()).kind == "disparity"


def test_the_farthest_surface_keeps_some_disparity() -> None:
    values = array(step())
    values[:, :20] = 0
    own = fit_to_photo(make_depth_map(values, kind="disparity"), photo())
    assert math.isclose(float(own.disparity.min()), FARTHEST, rel_tol=1e-4)
