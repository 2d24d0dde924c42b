"""How large a scene may be: what is larger is refused before memory is allocated for it."""

from mine.errors import InputError

MAX_TEXELS = 1 << 26
"""Texels of a scene's planes, S * H * W: 1 GiB, at 16 bytes of RGB and density each.

Prediction takes up to four times that."""

MAX_PHOTO_PIXELS = 1 << 25
"""Pixels of the photo in a scene: 400 MB, at 12 bytes each."""


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
