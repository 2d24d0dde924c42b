"""Virtual camera rotations: warps, depth and optical axes."""

import pytest
import torch
from torch import Tensor

from mine.data.base.rng import BatchRng
from mine.scene.camera import intrinsics
from mine.training import virtual_cameras
from mine.training.virtual_cameras import VirtualCameras


def test_images_are_warped_and_back_to_where_they_were() -> None:
    """A smooth image, warped to virtual cameras and back, is the same wherever they see it."""
    y, x = torch.meshgrid(torch.linspace(0, 3, 64), torch.linspace(0, 4, 96), indexing="ij")
    image = torch.stack([x.sin() * y.cos(), x, y]).expand(3, 3, 64, 96)
    for size in ((64, 96), (96, 64), (32, 48)):
        cameras = VirtualCameras.sample(intrinsics((64, 96)).expand(3, 3, 3), (64, 96), size, BatchRng.seeded(0, 3))
        warped = cameras.warp(image)
        back, inside = cameras.unwarp(warped)
        assert warped.shape == (3, 3, *size) and back.shape == image.shape
        assert 0.1 < inside.float().mean() < 0.95
        assert ((back - image).abs() * inside).max() < 0.06


def test_depth_changes_as_a_turning_camera_sees_it() -> None:
    """Turned about its centre, a camera sees areas larger by the third power of how much nearer they come."""
    cameras = VirtualCameras.sample(intrinsics((64, 96), 60).expand(5, 3, 3), (64, 96), (64, 96), BatchRng.seeded(1, 5))
    rows, columns = torch.randint(12, 52, (2, 5, 40))
    pixels = torch.stack([columns - 47.5, rows - 31.5], dim=-1).double()
    to_cameras = torch.linalg.inv(cameras.to_image.double())

    def projected(pixels: Tensor) -> Tensor:
        turned = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1) @ to_cameras.mT
        return turned[..., :2] / turned[..., 2:]

    sides = [projected(pixels + torch.tensor(step).double()) - projected(pixels) for step in ([1e-4, 0.0], [0.0, 1e-4])]
    area = torch.linalg.det(torch.stack(sides, dim=-1))
    ratio = cameras.depth_ratio()[torch.arange(5)[:, None], 0, rows, columns]
    constant = area.log() + 3 * ratio.log()
    assert (constant - constant.mean(1, keepdim=True)).abs().max() < 1e-4
    assert (ratio.log().amax(1) - ratio.log().amin(1)).min() > 0.02


def test_the_axis_of_a_virtual_camera_is_of_unit_length_as_seen_by_the_camera() -> None:
    K = intrinsics((64, 96), 60).expand(4, 3, 3)
    cameras = VirtualCameras.sample(K, (64, 96), (32, 48), BatchRng.seeded(2, 4))
    middle = torch.tensor([[1.0, 0.0, 47.5], [0.0, 1.0, 31.5], [0.0, 0.0, 1.0]])
    direction = cameras.axis[:, None] @ torch.linalg.inv(middle) @ K
    assert direction.norm(dim=-1).sub(1).abs().max() < 1e-5


@pytest.mark.parametrize("size", [(64, 96), (96, 64), (32, 48)])
def test_a_virtual_camera_that_sees_half_as_much_has_twice_the_focal_length(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(virtual_cameras, "TILT", 0.0)
    monkeypatch.setattr(virtual_cameras, "ROLL", 0.0)
    K = intrinsics((64, 96), 60).expand(4, 3, 3)
    cameras = VirtualCameras.sample(K, (64, 96), size, BatchRng.seeded(3, 4))
    seen = cameras.to_image[:, 0, 0] * max(size)  # of the image, along the virtual camera's longer side
    assert torch.allclose(cameras.focal, K[:, 0, 0] / seen)
    assert cameras.focal.std() > 0.01
