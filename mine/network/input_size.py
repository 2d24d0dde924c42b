"""The size at which a network takes a photo: about 384x256 pixels, in the photo's aspect."""

import numpy as np

MULTIPLE = 128
"""Both sides of the network's input are multiples of this: it halves them seven times."""


def network_size(height: int, width: int, area: int = 384 * 256) -> tuple[int, int]:
    """Size to which a photo is resized for the network.

    Of all sizes of at most 4 `area` pixels, it has the least 2 |log(aspect / photo's aspect)| + |log(pixels / area)|:
    distortion counts double. Of two equals the larger wins.

    Args:
        height: Photo's height in pixels.
        width: Photo's width in pixels.
        area: Pixels to aim at, at least 128².

    Returns:
        (H, W), multiples of 128.
    """
    sides = range(MULTIPLE, 4 * area // MULTIPLE + 1, MULTIPLE)
    sizes = np.array([(h, w) for h in sides for w in sides if h * w <= 4 * area])
    aspect = np.log(sizes[:, 1] / sizes[:, 0] / (width / height))
    pixels = np.log(sizes.prod(axis=1) / area)
    cost = (2 * np.abs(aspect) + np.abs(pixels)).round(6)
    best = np.lexsort((-pixels, cost))[0]
    return int(sizes[best, 0]), int(sizes[best, 1])
