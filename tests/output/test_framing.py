"""Cutting a scene to another aspect."""

import pytest
import torch

from mine.output.framing import crop_to_aspect
from mine.scene.camera import intrinsics
from mine.scene.mpi import MPI

PLANES = (128, 256)


def ramps(size: tuple[int, int]) -> torch.Tensor:
    """(3, H, W) red from 0 to 1 from the left to the right edge, green from the top to the bottom edge."""
    y, x = ((torch.arange(side) + 0.5) / side for side in size)
    return torch.stack([x.expand(size), y[:, None].expand(size), torch.full(size, 0.5)])


@pytest.mark.parametrize("size", [(256, 512), (85, 171), (17, 33), (128, 192), (384, 640), (341, 512)])
@pytest.mark.parametrize("aspect", [1.0, 0.5, 16 / 9, 3.0])
def test_planes_and_photo_are_cut_at_the_same_places(size: tuple[int, int], aspect: float) -> None:
    scene = MPI(
        ramps(PLANES).repeat(2, 1, 1, 1),
        torch.ones(2, 1, *PLANES),
        torch.tensor([1.0, 0.2]),
        intrinsics(PLANES, 60.0, aspect=size[1] / size[0]),
        ramps(size),
    )
    cropped = crop_to_aspect(scene, aspect)
    assert cropped.photo is not None
    height, width = cropped.size
    assert width / height == pytest.approx(aspect, rel=0.02 + 0.5 / min(height, width))
    for channel, axis in ((0, 1), (1, 0)):
        means = [image[channel].mean(1 - axis) for image in (cropped.rgb[0], cropped.photo)]
        edges = [(line[0] - (line[1] - line[0]) / 2, line[-1] + (line[-1] - line[-2]) / 2) for line in means]
        beside = (torch.tensor(edges[0]) - torch.tensor(edges[1])) * size[axis]
        assert beside.abs().max() < 0.05, "in pixels of the photo"
    before, after = scene.K, cropped.K
    corner = cropped.rgb[0, :2, 0, 0] * torch.tensor(PLANES[::-1]) - 0.5
    torch.testing.assert_close(before[:2, 2] - corner, after[:2, 2], atol=1e-3, rtol=0)


def test_a_photo_whose_pixels_end_at_the_cut_is_kept_as_it_is() -> None:
    photo = torch.rand(3, 341, 2048, generator=torch.Generator().manual_seed(0))
    K = intrinsics((128, 384), 60.0, aspect=6.0)
    planes = torch.zeros(2, 3, 128, 384), torch.ones(2, 1, 128, 384), torch.tensor([1.0, 0.2])
    cropped = crop_to_aspect(MPI(*planes, K, photo), 1.0).photo
    assert cropped is not None and cropped.shape[-1] % 16 == 0
    left = (2048 - cropped.shape[-1]) // 2
    assert any(torch.equal(cropped, photo[..., at : at + cropped.shape[-1]]) for at in range(left - 16, left + 17))
