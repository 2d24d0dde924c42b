"""Checks of what a multiplane image is made of."""

import torch
from torch import Tensor

from mine.errors import InputError
from mine.scene.limits import check_photo_size, check_scene_size
from mine.scene.photo import ROUNDING

LEAST_DISPARITY, LARGEST_DISPARITY = 1e-9, 1e6
"""Bounds of disparities in files, in 1 / scene units: scenes in millimetres may reach far, those in kilometres near."""

LEAST_DEPTH = 1e-9
"""Least optical depth of a scene: floats near 1 differ by more."""

LEAST_FOCAL, LARGEST_FOCAL = 1e-3, 1e6
"""Bounds of focal lengths in files, in sides of the planes, the second one of the principal point and the skew too."""


def check_colours(name: str, values: Tensor) -> None:
    """Checks colours of any shape.

    Raises:
        InputError: One is not a float, not finite, or outside [0, 1] by more than rounding.
    """
    if not values.is_floating_point():
        raise InputError(f"{name} has values of type {values.dtype}: give floats in [0, 1]")
    least, most = values.aminmax()
    if not (least >= -ROUNDING and most <= 1 + ROUNDING):
        raise InputError(f"{name} reaches from {float(least):g} to {float(most):g}: give colours in [0, 1]")


def check_surface(surface: Tensor, size: tuple[int, int]) -> None:
    """Checks the disparity of a surface.

    Raises:
        InputError: It is not (1, H, W) with the planes' `size` (H, W), or not positive and finite.
    """
    if surface.shape != (1, *size):
        raise InputError(f"surface has shape {tuple(surface.shape)}: give {(1, *size)}, one disparity for each pixel")
    least, most = surface.aminmax()
    if not (least > 0 and most < torch.inf):
        raise InputError(f"surface reaches from {float(least):g} to {float(most):g}: give positive disparities")


def check_background(background: Tensor, surface: Tensor | None) -> None:
    """Checks what lies behind a surface.

    Raises:
        InputError: There is no surface, or it is not (4, H, W), positive disparities and colours in [0, 1].
    """
    if surface is None or background.shape != (4, *surface.shape[1:]):
        needed = "a surface (1, H, W)" if surface is None else f"{(4, *surface.shape[1:])}, disparity and RGB"
        raise InputError(f"background has shape {tuple(background.shape)}: give {needed}")
    least, most = background[:1].aminmax()
    if not (least > 0 and most < torch.inf):
        raise InputError(f"background reaches from {float(least):g} to {float(most):g}: give positive disparities")
    check_colours("background", background[1:])


def check_density(sigma: Tensor) -> None:
    """Checks densities of any shape.

    Raises:
        InputError: One is negative or not finite.
    """
    least, most = sigma.aminmax()
    if not (least >= 0 and most < torch.inf):
        raise InputError(f"sigma reaches from {float(least):g} to {float(most):g}: give finite densities, 0 or more")


def check_disparity(disparity: Tensor, planes: int) -> None:
    """Checks the disparities (S,) of `planes` planes.

    Raises:
        InputError: There are fewer than 2 or not one a plane, or they are not positive, finite and strictly descending.
    """
    if disparity.shape != (planes,) or planes < 2:
        raise InputError(
            f"{planes} planes with disparities of shape {tuple(disparity.shape)}: give at least 2, one each"
        )
    if not disparity.is_floating_point():
        raise InputError(f"disparities are of type {disparity.dtype}: give floats, 1 / depth")
    # Depths must be finite too: the reciprocal of the smallest floats is not.
    if not (torch.isfinite(disparity) & torch.isfinite(1 / disparity) & (disparity > 0)).all():
        raise InputError("disparities must be positive and finite: they are 1 / depth")
    if (disparity[1:] >= disparity[:-1]).any():
        raise InputError("disparities must be strictly descending, from the nearest plane to the farthest")


def check_photo(photo: Tensor) -> None:
    """Checks a scene's photo. Raises InputError unless it is (3, H, W), in [0, 1]."""
    if photo.ndim != 3 or photo.shape[0] != 3 or photo.numel() == 0:
        raise InputError(f"photo has shape {tuple(photo.shape)}: give (3, H, W)")
    check_colours("photo", photo)


def describe(planes: Tensor, disparity: Tensor, photo: Tensor | None) -> str:
    """Number of planes, sizes as width x height, and range of disparities."""
    count, _, height, width = planes.shape
    told = "no photo" if photo is None else f"photo {photo.shape[-1]}x{photo.shape[-2]}"
    return f"{count} planes of {width}x{height}, disparity {disparity[0]:.3g} to {disparity[-1]:.3g}, {told}"


def count_views(K: Tensor, T: Tensor) -> int:
    """Number of views with intrinsics K (3, 3) or (N, 3, 3) and poses T (4, 4) or (N, 4, 4), either of them for all.

    Raises:
        InputError: There are none, or as many K as do not fit the poses.
    """
    cameras, poses = (1 if part.ndim == 2 else len(part) for part in (K, T))
    if poses == 0:
        raise InputError("there are no poses to render from: give at least one")
    if K.ndim > 3 or cameras == 0 or (cameras != poses and 1 not in (cameras, poses)):
        raise InputError(f"K has shape {tuple(K.shape)} for {poses} poses: give (3, 3), or one K for each pose")
    return max(cameras, poses)


def check_file(parts: dict[str, Tensor]) -> None:
    """Checks what a scene of a file must be beside a scene: not too large, and something that a camera could have seen.

    Programs may compute with other numbers; what is written of them (models, pages, splats) would overflow.

    Args:
        parts: Arguments of `MPI` by name, which have passed its own checks.

    Raises:
        InputError: A size, a disparity or the intrinsics are out of bounds, or nothing is seen.
    """
    check_scene_size(len(parts["sigma"]), (parts["sigma"].shape[-2], parts["sigma"].shape[-1]))
    if "photo" in parts:
        check_photo_size((parts["photo"].shape[-2], parts["photo"].shape[-1]))
    if parts["sigma"].max() < LEAST_DEPTH * parts["disparity"].min():
        raise InputError("it is empty: its densities are 0, or too small to be seen; make it anew with `mine predict`")
    for name in ("disparity", "surface", "background"):
        least, most = parts.get(name, parts["disparity"])[: 1 if name == "background" else None].aminmax()
        if not LEAST_DISPARITY <= least <= most <= LARGEST_DISPARITY:
            raise InputError(
                f"{name} reaches from {float(least):g} to {float(most):g}: "
                f"give disparities of {LEAST_DISPARITY:g} to {LARGEST_DISPARITY:g}, by another unit of length"
            )
    K, side = parts["K"], max(parts["sigma"].shape[-2:])
    if K[:2, :].abs().max() > LARGEST_FOCAL * side or min(K[0, 0], K[1, 1]) < LEAST_FOCAL * side:
        raise InputError(
            f"K has focal lengths of {float(K[0, 0]):g} and {float(K[1, 1]):g} pixels and the principal point "
            f"({float(K[0, 2]):g}, {float(K[1, 2]):g}) for planes of {side} pixels: give those of a camera"
        )
