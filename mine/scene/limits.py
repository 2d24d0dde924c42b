"""How large a scene may be: what is larger is refused before memory is allocated for it."""

from collections.abc import Iterable
from numbers import Integral
from typing import Any

from mine.errors import InputError

MAX_TEXELS = 1 << 26
"""Texels of a scene's planes, S * H * W: 1 GiB, at 16 bytes of RGB and density each.

Prediction takes up to four times that."""

MAX_PHOTO_PIXELS = 1 << 25
"""Pixels of the photo in a scene: 400 MB, at 12 bytes each."""

MAX_SIDE = 2048
"""Longest side in pixels to which larger photos are shrunk: videos show no more unless they are asked to, and scenes
stay small in memory."""

LARGEST_SIDE = 4096
"""Longest side in pixels that a scene can keep of a photo: 4K, at 12 bytes a pixel."""

MAX_VIEW_PIXELS = 1 << 28
"""Pixels of the views that are rendered in one call: 5 GiB, at 20 bytes of RGB, depth and mask each."""


def as_size(size: Any, unit: str = "pixels") -> tuple[int, int]:
    """The size (H, W) that an argument gives, in pixels.

    Args:
        size: Two whole numbers above 0, in any kind of sequence.
        unit: What they are to be given in, for the message.

    Raises:
        InputError: It is something else.
    """
    sides = tuple(size) if isinstance(size, Iterable) and not isinstance(size, str | bytes) else ()
    if len(sides) != 2 or not all(isinstance(side, Integral) and int(side) > 0 for side in sides):
        raise InputError(f"size {sides or size!r} is not possible: give (height, width) in {unit}")
    return int(sides[0]), int(sides[1])


def check_view_size(views: int, size: tuple[Any, ...]) -> None:
    """Checks a number of views of `size` (H, W), in pixels, that are rendered at once.

    Raises:
        InputError: A side is no whole number above 0, or the views hold more than `MAX_VIEW_PIXELS`.
    """
    size = as_size(size)
    pixels = views * size[0] * size[1]
    if pixels > MAX_VIEW_PIXELS:
        raise InputError(
            f"{views} views of {size[1]}x{size[0]} pixels take {pixels * 20 / 2**30:.3g} GiB, "
            f"more than {MAX_VIEW_PIXELS * 20 / 2**30:g}: ask for fewer at once, or for a smaller size"
        )


def check_photo_size(size: tuple[int, int]) -> None:
    """Raises InputError for a scene's photo of `size` (H, W) without pixels, or with more than `MAX_PHOTO_PIXELS`."""
    if not 0 < size[0] * size[1] <= MAX_PHOTO_PIXELS:
        raise InputError(f"its photo has {size[1]}x{size[0]} pixels: give 1 to {MAX_PHOTO_PIXELS}")


def check_scene_size(planes: int, size: tuple[int, int]) -> None:
    """Checks a number of planes of `size` (H, W), in pixels.

    Raises:
        InputError: There are fewer than 2 planes or no pixels, or the planes hold more than `MAX_TEXELS`.
    """
    if planes < 2:
        raise InputError(f"{planes} planes make no scene: ask for at least 2")
    if min(size) < 1:
        raise InputError(f"planes of {size[1]}x{size[0]} pixels make no scene: give at least 1 a side")
    most = MAX_TEXELS // (size[0] * size[1])
    if planes > most:
        raise InputError(
            f"{planes} planes of {size[1]}x{size[0]} pixels take {planes * size[0] * size[1] * 16 / 2**30:.3g} GiB, "
            f"more than {MAX_TEXELS * 16 / 2**30:g}: ask for at most {most}, or for a smaller size"
        )
