"""Stereo pairs: where near and far things appear to each eye, and which files are written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from mine.errors import InputError
from mine.output.camera_paths import PIVOT
from mine.output.stereo import anaglyph, render_stereo, stereo_pair
from mine.render import use_backend
from mine.scene.mpi import MPI


@pytest.fixture(autouse=True)
def reference_renderer() -> Iterator[None]:
    """These tests are about stereo, not kernels."""
    with use_backend("reference"):
        yield


def dot_at(depth: float) -> MPI:
    """A dark wall at `depth` with a bright dot in the middle."""
    sigma = torch.full((2, 1, 63, 95), 1e5)
    rgb = torch.zeros(2, 3, 63, 95)
    rgb[:, :, 28:35, 44:51] = 1
    K = torch.tensor([[60.0, 0, 47], [0, 60, 31], [0, 0, 1]])
    return MPI(rgb, sigma, torch.tensor([1 / depth, 1 / depth / 1000]), K)


def column_of_dot(rgb: Tensor) -> Tensor:
    """Mean column (N,) of the brightness in images (N, 3, H, W)."""
    brightness = rgb.mean(dim=(1, 2))
    return (brightness * torch.arange(brightness.shape[-1])).sum(-1) / brightness.sum(-1)


def test_near_things_appear_in_front_of_the_screen_without_vertical_disparity() -> None:
    """A wall at the near depth: the left eye sees it f b (1/near - 1/pivot) right of where the right eye does."""
    view = stereo_pair(dot_at(2.0), baseline=0.2)
    left, right = column_of_dot(view.rgb)
    zoom = (left - right).item() / (60 * 0.2 * (1 - 1 / PIVOT))
    assert 1 <= zoom < 1.15, "nothing but the crop's zoom changes the disparity"
    rows = (view.rgb.mean(dim=(1, 3)) * torch.arange(63)).sum(-1) / view.rgb.mean(dim=(1, 3)).sum(-1)
    assert (rows - 31).abs().max() < 0.05, "no vertical disparity"


def test_borders_are_covered() -> None:
    scene = dot_at(1.0)
    rgb = torch.zeros_like(scene.rgb)
    rgb[:, 0, :, 0] = rgb[:, 0, :, -1] = 1
    red = stereo_pair(MPI(rgb, scene.sigma, scene.disparity, scene.K), baseline=0.2).rgb[:, 0].sum(dim=(1, 2))
    assert (red <= 63 * 1.5 * 1.15).all(), (
        "a column and the half a pixel beyond it, zoomed in; a streak would be three more"
    )


def test_anaglyph_gives_each_eye_its_image() -> None:
    left, right = torch.rand(3, 8, 8), torch.rand(3, 8, 8)
    image = anaglyph(left, right)
    torch.testing.assert_close(image[1:], right[1:])
    assert (anaglyph(left, 1 - right)[0] == image[0]).all() and not (anaglyph(1 - left, right)[0] == image[0]).any()
    torch.testing.assert_close(anaglyph(*[torch.full((3, 8, 8), 0.5)] * 2), torch.full((3, 8, 8), 0.5))


def test_images_are_written_in_each_layout(tmp_path: Path) -> None:
    scene = dot_at(2.0)
    left, right = (stereo_pair(scene).rgb * 255).round().to(torch.uint8)
    for layout, halves in (("side-by-side", (left, right)), ("cross-eyed", (right, left))):
        render_stereo(scene, tmp_path / "a.png", layout)  # type: ignore[arg-type]
        with Image.open(tmp_path / "a.png") as image:
            assert image.size == (190, 63)
            assert image.tobytes() == torch.cat(halves, dim=2).movedim(0, 2).contiguous().numpy().tobytes()
    render_stereo(scene, tmp_path / "a.jpg", "anaglyph")
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.size == (95, 63)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "upside-down"}, "upside-down"),
        ({"baseline": 0}, "baseline 0"),
        ({"baseline": float("nan")}, "baseline nan"),
        ({"out": "a.xyz"}, "xyz"),
    ],
)
def test_bad_arguments_are_refused(tmp_path: Path, options: dict[str, object], message: str) -> None:
    out = tmp_path / str(options.pop("out", "a.png"))
    with pytest.raises(InputError, match=message):
        render_stereo(dot_at(2.0), out, **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
