"""What it takes to build a network before its weights are loaded; this module imports no torch."""

from dataclasses import asdict, dataclass

PLANE_WIDTHS = (16, 32, 64, 128, 256)
"""Channels of the published decoder's levels, finest first."""


@dataclass(frozen=True)
class Architecture:
    """What it takes to build a network before its weights are loaded; the defaults are the published MINE network's.

    Attributes:
        encoder: Name of the encoder; see `mine.network.encoders.encoder.make_encoder`.
        widths: Channels of the decoder's levels, finest first.
        bottleneck: Channels of the plane decoder's bottleneck at 1/64 and at 1/128 of the image. Disparity networks
            have no bottleneck and ignore it.
        decoder: Kind of network, a key of `mine.network.NETWORKS`.
    """

    encoder: str = "resnet50"
    widths: tuple[int, ...] = PLANE_WIDTHS
    bottleneck: tuple[int, int] = (512, 256)
    decoder: str = "planes"

    def as_dict(self) -> dict[str, object]:
        """Field values by name, for a checkpoint's metadata."""
        return asdict(self)
