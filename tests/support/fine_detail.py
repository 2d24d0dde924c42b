"""How much fine detail there is in an image."""

from torch import Tensor


def fine_detail(image: Tensor) -> float:
    """Variance of the Laplacian of the brightness of an image (3, H, W)."""
    grey = image.mean(0)
    across = grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((across + grey[:-2, 1:-1] + grey[2:, 1:-1] - 4 * grey[1:-1, 1:-1]).var())
