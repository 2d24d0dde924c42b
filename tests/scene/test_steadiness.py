"""Slow clips over a slope whose views are known in closed form: planes neither pop up nor shimmer."""

import pytest
import torch

from mine.evaluation.steadiness import FLAT_RGB, errors, slope_disparity, slope_photo, slope_view
from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.output.camera_paths import swing
from mine.scene.camera import intrinsics, off_axis_shift, pose, shift_principal_point
from mine.scene.mpi import MPI
from mine.scene.resize import resize

SIZE, PLANES = (320, 480), (128, 192)


@pytest.mark.parametrize("fine", [True, False])
def test_frames_of_a_slow_clip_change_as_the_scene_does(fine: bool) -> None:
    photo, surface = slope_photo(SIZE), slope_disparity(PLANES)
    disparity = plane_disparities(surface[None], 32)
    planes = lift_to_mpi(resize(photo, PLANES)[None], surface[None], disparity[None])[0]
    scene = MPI.from_planes(planes, disparity, intrinsics(PLANES, 65.0, aspect=1.5), photo, surface)
    poses, K = swing(300, depth=1.0)[20:28], scene.intrinsics(SIZE)
    targets = shift_principal_point(K.expand(8, 3, 3), off_axis_shift(poses))
    poses = poses.as_subclass(torch.Tensor)
    views = scene.render(poses, targets, SIZE, fine=fine).rgb
    expected = torch.stack([slope_view(SIZE, K, K_tgt, T) for T, K_tgt in zip(poses, targets, strict=True)]).float()
    assert 255 * (expected[-1] - expected[0]).abs().max() > 10, "the frames do move"
    wrong, change, flat = errors(views, expected, 40)
    assert wrong < (0.6 if fine else 2)
    assert change < 0.25, "in levels of 255"
    assert flat < 0.02


def test_the_source_camera_sees_the_slopes_photo() -> None:
    K = intrinsics(SIZE, 65.0)
    torch.testing.assert_close(slope_view(SIZE, K, K, torch.eye(4)).float(), slope_photo(SIZE), atol=1e-5, rtol=0)


def test_the_slope_is_stretched_about_the_point_that_keeps_still() -> None:
    """Moved left by 0.1, the point at disparity d is seen 0.1 f d further right, before the principal point shifts."""
    K, T = intrinsics(SIZE, 65.0), pose(translation=torch.tensor([0.1, 0.0, 0.0]))
    view, photo = slope_view(SIZE, K, K, T), slope_photo(SIZE).double()
    x = 200
    seen = x + float(K[0, 0]) * 0.1 * float(slope_disparity(SIZE)[0, 0, x])
    left, share = int(seen), seen % 1
    between = (1 - share) * view[:, 250, left] + share * view[:, 250, left + 1]
    torch.testing.assert_close(between, photo[:, 250, x], atol=5e-3, rtol=0)
    torch.testing.assert_close(view[:, 10].float(), torch.tensor(FLAT_RGB)[:, None].expand(3, SIZE[1]))


def test_a_plane_that_pops_up_would_be_found() -> None:
    steady = slope_photo(SIZE).expand(8, -1, -1, -1)
    popped = steady.clone()
    popped[4:, :, 60:100, 200:280] += 0.05
    assert errors(steady, steady, 40) == (0, 0, 0)
    assert errors(popped, steady, 40)[1] > 0.5
