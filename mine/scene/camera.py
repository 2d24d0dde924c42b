"""Intrinsics and poses.

Camera axes are OpenCV's: x right, y down, z forward. A pose is a 4x4 matrix `T_tgt_src` that takes source-camera
coordinates to target-camera coordinates, X_tgt = R X_src + t. Image coordinate (0, 0) is the centre of the top-left
pixel. Intrinsics are in pixels of the image they are used with.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mine.errors import InputError
from mine.scene.pose_tolerances import LAST_ROW_TOLERANCE, ROTATION_TOLERANCE

PUBLISHED_FOV = 90.0
"""Horizontal field of view in degrees that the published code takes every photo for."""


def intrinsics(size: tuple[int, int], fov: float = PUBLISHED_FOV, aspect: float | None = None) -> Float[Tensor, "3 3"]:
    """Pinhole intrinsics with the principal point at (W/2, H/2), as the published code has it.

    That is half a pixel right of and below the centre of the image.

    Args:
        size: (H, W) of the image in pixels.
        fov: Horizontal field of view in degrees.
        aspect: Width / height of the image plane where pixels are not square (a photo resized to the network's size);
            by default W / H.

    Returns:
        [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels.

    Raises:
        InputError: fov is not between 0 and 180.
    """
    if not 0 < fov < 180:
        raise InputError(
            f"field of view {fov} is out of range: give the horizontal angle in degrees, above 0, below 180"
        )
    height, width = size
    tangent = math.tan(math.radians(fov) / 2)
    focal_x = width / 2 / tangent
    focal_y = height / 2 / tangent * (aspect or width / height)
    return torch.tensor([[focal_x, 0, width / 2], [0, focal_y, height / 2], [0, 0, 1]], dtype=torch.float32)


def resize_intrinsics(
    K: Float[Tensor, "*batch 3 3"], old: Sequence[int], new: Sequence[int]
) -> Float[Tensor, "*batch 3 3"]:
    """Intrinsics of the same camera after its image is resized.

    Resizing keeps the outer edges of the image in place, so pixel centres move as u' = (u + 1/2) s - 1/2.

    Args:
        K: Intrinsics in pixels of the image before.
        old: (H, W) before.
        new: (H, W) after.

    Returns:
        Intrinsics in pixels of the image after.
    """
    scale_y, scale_x = new[0] / old[0], new[1] / old[1]
    resize = torch.tensor(
        [[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2], [0, 0, 1]], dtype=K.dtype, device=K.device
    )
    return resize @ K


def pose(
    rotation: Float[Tensor, "*batch 3 3"] | None = None, translation: Float[Tensor, "*batch 3"] | None = None
) -> Float[Tensor, "*batch 4 4"]:
    """Poses from rotations and translations; the identity and zero by default."""
    if rotation is None:
        rotation = torch.eye(3) if translation is None else torch.eye(3).expand(*translation.shape[:-1], 3, 3)
    if translation is None:
        translation = rotation.new_zeros(rotation.shape[:-1])
    top = torch.cat([rotation, translation[..., None]], dim=-1)
    bottom = top.new_tensor([0, 0, 0, 1]).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], dim=-2)


class OffAxisPoses(Tensor):
    """Poses (N, 4, 4) of cameras that move without turning, and the plane that their views keep still.

    Stereo photographers call it off-axis projection: the principal point shifts against the motion, as with a shift
    lens. A camera that turns towards the plane instead makes a trapezium of it. Everywhere else this is a tensor like
    any other; indexing, iteration, `clone` and `to` keep the pivot, and what is computed from it is a plain tensor.
    """

    pivot: float
    """depth of the plane in the source camera, in scene units"""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def about(cls, poses: Float[Tensor, "*batch 4 4"], pivot: float) -> "OffAxisPoses":
        """The poses, keeping the plane at depth `pivot` still; none of them turns the camera."""
        off_axis = poses.as_subclass(cls)
        off_axis.pivot = pivot
        return off_axis

    def __getitem__(self, index: Any) -> Tensor:
        """Some of the poses, or a plain tensor of parts of them."""
        found: Tensor = super().__getitem__(index)
        # Parts of four poses may have the form of a pose: the places of the entries tell whether they are whole.
        entries = torch.arange(16, device=self.device).view(4, 4)
        places = entries.expand(self.shape)[index]
        whole = found.shape[-2:] == (4, 4) and torch.equal(places, entries.expand(found.shape))
        return OffAxisPoses.about(found, self.pivot) if whole else found

    def __iter__(self) -> Iterator[Tensor]:
        """Poses one by one."""
        return (self[number] for number in range(len(self)))

    def clone(self, *args: Any, **kwargs: Any) -> "OffAxisPoses":
        """A copy."""
        return OffAxisPoses.about(super().clone(*args, **kwargs), self.pivot)

    def to(self, *args: Any, **kwargs: Any) -> "OffAxisPoses":
        """The same poses of another type or on another device."""
        return OffAxisPoses.about(super().to(*args, **kwargs), self.pivot)

    def __deepcopy__(self, memo: dict[int, Any]) -> "OffAxisPoses":
        """A copy, which torch leaves to each subclass of a tensor."""
        return OffAxisPoses.about(self.clone(), self.pivot)


def off_axis_shift(T: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 2"]:
    """Shifts (x, y) of the principal points, in focal lengths: 0 unless the poses are `OffAxisPoses`.

    The point at depth p on the optical axis appears at -c / (p - c_z) in a camera with centre c = -t. From a hundredth
    of its depth on, as the camera goes through it, the plane moves after all: the shift stays finite.
    """
    if not isinstance(T, OffAxisPoses):
        return T.new_zeros(*T.shape[:-2], 2)
    distance = (T.pivot + T[..., 2, 3]).clamp(min=T.pivot / 100)
    return -T[..., :2, 3] / distance[..., None]


def shift_principal_point(
    K: Float[Tensor, "*batch 3 3"], shift: Float[Tensor, "*batch 2"]
) -> Float[Tensor, "*batch 3 3"]:
    """Moves the principal points of intrinsics right and down.

    Args:
        K: Intrinsics in pixels.
        shift: Shifts (x, y) in focal lengths.

    Returns:
        Intrinsics in pixels.
    """
    moved = K.clone()
    moved[..., :2, 2] += shift.to(K) * K[..., [0, 1], [0, 1]]
    return moved


def check_intrinsics(K: Tensor) -> None:
    """Checks intrinsics (..., 3, 3).

    Raises:
        InputError: The shape is another, or a K is not finite, not upper triangular, not positive on its diagonal, or
            a multiple of intrinsics: the last element is not 1.
    """
    if K.ndim < 2 or K.shape[-2:] != (3, 3):
        raise InputError(f"K has shape {tuple(K.shape)}: give 3x3 intrinsics in pixels")
    diagonal, below = torch.diagonal(K, dim1=-2, dim2=-1), K[..., (1, 2, 2), (0, 0, 1)]
    proper = K.is_floating_point() and (below == 0).all() and (diagonal > 0).all() and (K[..., 2, 2] == 1).all()
    if not (proper and torch.isfinite(K).all() and torch.isfinite(1 / diagonal).all()):
        raise InputError(
            "K is singular or not finite, not upper triangular, or its last element is not 1: "
            "give [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with positive focals"
        )


def check_poses(T: Tensor) -> None:
    """Checks poses (4, 4) or (N, 4, 4).

    Raises:
        InputError: The shape is another, or a pose is not finite, its last row is not 0 0 0 1, or its 3x3 part is no
            rotation: it is scaled or mirrored.
    """
    if T.ndim not in (2, 3) or T.shape[-2:] != (4, 4):
        raise InputError(f"pose has shape {tuple(T.shape)}: give (4, 4) or (N, 4, 4), target-from-source")
    if not torch.isfinite(T).all():
        raise InputError("pose holds values that are not finite: check the camera path")
    poses = T.detach().cpu().double().reshape(-1, 4, 4)
    improper = (poses[:, 3] - torch.eye(4)[3]).abs().amax(dim=1) > LAST_ROW_TOLERANCE
    if improper.any():
        row = " ".join(f"{value:.4g}" for value in poses[improper][0, 3].tolist())
        raise InputError(f"pose has the last row {row}, and it must be 0 0 0 1: is it transposed?")
    rotation = poses[:, :3, :3]
    improper = (rotation @ rotation.mT - torch.eye(3)).abs().amax(dim=(1, 2)) > ROTATION_TOLERANCE
    if (improper | (torch.linalg.det(rotation) < 0)).any():
        raise InputError("pose has a 3x3 part that is no rotation: give rotation and translation, unscaled, unmirrored")
