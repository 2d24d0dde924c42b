"""The whole network: image and disparities in, planes out."""

import torch
from torch import Tensor, nn

from mine.network.architecture import Architecture
from mine.network.encoders.encoder import make_encoder
from mine.network.planes.decoder import PlaneDecoder


class PlaneNetwork(nn.Module):
    """Encoder and plane decoder (Li et al. 2021, section 3.1): colour and density of every plane are learned."""

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        self.encoder = make_encoder(self.architecture.encoder)
        self.decoder = PlaneDecoder(self.encoder.channels, self.architecture.widths, self.architecture.bottleneck)

    def forward(self, image: Tensor, disparity: Tensor, finest: int = 0, group: int | None = None) -> list[Tensor]:
        """Planes at four scales, finest first: [(B, S, 4, H/2^s, W/2^s)], RGB in [0, 1], then σ ≥ 0.

        image (B, 3, H, W) in [0, 1] with H and W multiples of 128; disparity (B, S). `finest` leaves out the scales
        before it; `group` is the number of planes decoded at a time.
        """
        return self.decoder(self.encoder(image), disparity, finest, group)


def stratified_disparity(
    batch: int, planes: int, near: float = 1.0, far: float = 0.001, generator: torch.Generator | None = None
) -> Tensor:
    """One uniform draw in each of `planes` equal bins of [far, near] (section 3.4): (B, S), descending."""
    edges = torch.linspace(near, far, planes + 1)
    draw = torch.rand(batch, planes, generator=generator)
    return edges[1:] + (edges[:-1] - edges[1:]) * draw
