"""Cameras against their closed forms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_views import rotation

from mine.errors import InputError
from mine.scene.camera import check_intrinsics, check_poses, intrinsics, pose, resize_intrinsics

sides = st.integers(1, 4000)


@given(height=sides, width=sides, fov=st.floats(1, 175))
def test_the_edges_are_half_the_field_of_view_from_the_principal_point(height: int, width: int, fov: float) -> None:
    K = intrinsics((height, width), fov).double()
    angle = math.degrees(math.atan(width / 2 / K[0, 0]))
    assert angle == pytest.approx(fov / 2, rel=1e-5)
    assert K[0, 0].item() == pytest.approx(K[1, 1].item())  # square pixels
    assert (K[0, 2].item(), K[1, 2].item()) == (width / 2, height / 2)
    assert K[0, 1] == K[1, 0] == K[2, 0] == K[2, 1] == 0
    assert K[2, 2] == 1


def test_ninety_degrees_is_the_default() -> None:
    assert intrinsics((100, 200))[0, 0].item() == pytest.approx(100)


def test_aspect_says_what_area_pixels_that_are_not_square_show() -> None:
    K = intrinsics((128, 128), 90, aspect=2)
    horizontal, vertical = 64 / K[0, 0], 64 / K[1, 1]  # tangents of half the angles
    assert (horizontal / vertical).item() == pytest.approx(2)


@pytest.mark.parametrize("fov", [0, -10, 180, 300, math.nan, math.inf])
def test_impossible_fields_of_view(fov: float) -> None:
    with pytest.raises(InputError, match=r"field of view .* degrees"):
        intrinsics((10, 10), fov)


@given(old=st.tuples(sides, sides), new=st.tuples(sides, sides), fov=st.floats(20, 150))
def test_resizing_keeps_the_outer_edges_in_place(old: tuple[int, int], new: tuple[int, int], fov: float) -> None:
    K = intrinsics(old, fov).double()
    resized = resize_intrinsics(K, old, new)
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        rays = []
        for matrix, (height, width) in ((K, old), (resized, new)):
            # Pixel centres are integers, so the frame's edges are half a pixel further out.
            edge = torch.tensor([corner[1] * width - 0.5, corner[0] * height - 0.5, 1]).double()
            rays.append(torch.linalg.inv(matrix) @ edge)
        torch.testing.assert_close(*rays, rtol=1e-6, atol=1e-6)


def test_resizing_there_and_back_changes_nothing_and_batches_are_kept() -> None:
    K = torch.rand(5, 3, 3, dtype=torch.float64) + torch.eye(3)
    back = resize_intrinsics(resize_intrinsics(K, (30, 40), (77, 13)), (77, 13), (30, 40))
    assert back.dtype == torch.float64
    torch.testing.assert_close(back, K)


@settings(max_examples=20)
@given(st.lists(st.integers(1, 3), max_size=2), st.booleans(), st.booleans())
def test_poses_from_their_parts(batch: list[int], rotated: bool, moved: bool) -> None:
    rotation = torch.linalg.qr(torch.randn(*batch, 3, 3))[0] if rotated else None
    translation = torch.randn(*batch, 3) if moved else None
    T = pose(rotation, translation)
    assert T.shape == (*(batch if rotated or moved else []), 4, 4)
    point = torch.randn(3)
    expected = point if rotation is None else rotation @ point
    expected = expected if translation is None else expected + translation
    result = T @ torch.cat([point, torch.ones(1)])
    torch.testing.assert_close(result[..., :3], expected.expand(result[..., :3].shape))
    assert (result[..., 3] == 1).all()


def test_intrinsics_that_can_be_used() -> None:
    check_intrinsics(intrinsics((10, 20)))
    check_intrinsics(intrinsics((10, 20)).expand(4, 3, 3))


@pytest.mark.parametrize(
    "K", [torch.zeros(3, 3), torch.ones(3, 3), torch.eye(3) * math.nan, torch.eye(3) * math.inf], ids=str
)
def test_singular_intrinsics(K: torch.Tensor) -> None:
    for bad in (K, torch.stack([torch.eye(3), K])):
        with pytest.raises(InputError, match="K is singular or not finite"):
            check_intrinsics(bad)


@pytest.mark.parametrize(
    ("row", "column", "value"),
    [(1, 0, 1e-6), (2, 0, 0.1), (2, 1, -1.0), (2, 2, -1.0), (2, 2, 2.0), (2, 2, 0.999), (0, 0, -5.0)],
)
def test_intrinsics_are_upper_triangular_with_positive_focals(row: int, column: int, value: float) -> None:
    K = intrinsics((40, 60))
    check_intrinsics(K)
    K[0, 1] = 0.3  # skew
    check_intrinsics(K)
    K[row, column] = value
    with pytest.raises(InputError, match="upper triangular"):
        check_intrinsics(K)
    with pytest.raises(InputError):
        check_intrinsics(K.long())


@pytest.mark.parametrize("shape", [(3,), (2, 2), (3, 4), (4, 4), (9,)])
def test_intrinsics_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="K has shape"):
        check_intrinsics(torch.ones(shape))


def test_poses_that_can_be_used() -> None:
    check_poses(torch.eye(4))
    check_poses(torch.eye(4).expand(3, 4, 4))


@pytest.mark.parametrize("shape", [(4,), (3, 4), (3, 3), (1, 1, 4, 4)])
def test_poses_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="pose has shape"):
        check_poses(torch.zeros(shape))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_poses_that_are_not_finite(value: float) -> None:
    T = torch.eye(4).repeat(2, 1, 1)
    T[1, 0, 3] = value
    with pytest.raises(InputError, match="not finite"):
        check_poses(T)


@pytest.mark.parametrize(
    ("T", "problem"),
    [
        (pose(translation=torch.tensor([1e-3, 0, 0])).mT, r"last row 0.001 0 0 1, .*transposed"),
        (torch.zeros(4, 4), "last row 0 0 0 0,"),
        (2 * torch.eye(4), "last row 0 0 0 2,"),
        (torch.diag(torch.tensor([1.0, 1, 1, 2])), "last row 0 0 0 2,"),
        (torch.diag(torch.tensor([2.0, 2, 2, 1])), "no rotation"),
        (torch.diag(torch.tensor([1.0, 1, 1.02, 1])), "no rotation"),
        (torch.diag(torch.tensor([-1.0, 1, 1, 1])), "no rotation"),
        (pose(torch.zeros(3, 3)), "no rotation"),
        (pose(torch.tensor([[1.0, 0.1, 0], [0, 1, 0], [0, 0, 1]])), "no rotation"),
    ],
    ids=str,
)
def test_matrices_that_are_no_poses(T: torch.Tensor, problem: str) -> None:
    for bad in (T, T.double(), torch.stack([torch.eye(4), T])):
        with pytest.raises(InputError, match=problem) as error:
            check_poses(bad)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_poses_of_any_precision_are_poses(dtype: torch.dtype) -> None:
    turns = [rotation(vector) for vector in torch.randn(50, 3, generator=torch.Generator().manual_seed(0))]
    poses = pose(torch.stack(turns), torch.randn(50, 3)).to(dtype)
    check_poses(poses.requires_grad_())
    check_poses(torch.linalg.inv(poses.float()) @ poses.float())
