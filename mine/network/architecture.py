"""What it takes to rebuild a network before its weights are loaded."""

from dataclasses import asdict, dataclass

PLANE_WIDTHS = (16, 32, 64, 128, 256)
"""Channels of the published decoder's levels, finest first."""


@dataclass(frozen=True)
class Architecture:
    """What it takes to rebuild a network before its weights are loaded; the defaults are the published one.

    decoder: "planes" (`PlaneNetwork`) or "disparity" (`DisparityNetwork`, which knows `encoder` and `widths` alone).
    """

    encoder: str = "resnet50"
    widths: tuple[int, ...] = PLANE_WIDTHS
    bottleneck: tuple[int, int] = (512, 256)
    decoder: str = "planes"

    def as_dict(self) -> dict[str, object]:
        """Plain values, for a checkpoint's metadata."""
        return asdict(self)
