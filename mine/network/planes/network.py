"""The network of MINE (Li et al. 2021): an image and plane disparities in, planes of colour and density out."""

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from mine.kernels.gpu_memory import halve_until_it_fits
from mine.network.architecture import Architecture
from mine.network.encoders.encoder import make_encoder
from mine.network.planes.decoder import PlaneDecoder
from mine.network.protocol import Network

if TYPE_CHECKING:
    from mine.network.planes.cpu.fused import FusedNetwork

GROUP = 4
"""Planes decoded at a time: their feature maps stay in a CPU's cache, and the peak of memory stays bounded."""


class PlaneNetwork(Network):
    """Encoder and plane decoder (Li et al. 2021, section 3.1): colour and density of every plane are learned.

    Args:
        architecture: The published one by default, with a ResNet-50 encoder.
    """

    decoder: PlaneDecoder

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        self.encoder = make_encoder(self.architecture.encoder)
        self.decoder = PlaneDecoder(self.encoder.channels, self.architecture.widths, self.architecture.bottleneck)

    def forward(
        self,
        image: Float[Tensor, "B 3 H W"],
        disparity: Float[Tensor, "B S"],
        finest: int = 0,
        group: int | None = None,
    ) -> list[Float[Tensor, "B S 4 _ _"]]:
        """Predicts planes at up to four scales.

        Args:
            image: (B, 3, H, W) in [0, 1]; H and W are multiples of 128.
            disparity: (B, S) disparities of the planes, any values in any order.
            finest: Finest scale s that is decoded; 0 is the full resolution.
            group: Planes decoded at a time, all by default. Smaller groups bound the memory, and change nothing else
                while batch norm is frozen.

        Returns:
            Planes (B, S, 4, H/2^s, W/2^s) for s = finest, ..., 3; RGB in [0, 1], then density σ ≥ 0.
        """
        return self.decoder(self.encoder(image), disparity, finest, group)

    def predict_planes(
        self, image: Float[Tensor, "1 3 H W"], disparity: Float[Tensor, " S"] | int
    ) -> tuple[Float[Tensor, "1 S 4 H W"], Float[Tensor, " S"]]:
        """See `Network.predict_planes`; a number of planes spreads them over [far, near]."""
        disparity = self.plane_disparities(disparity, image.device)
        return self(image, disparity[None], group=GROUP)[0], disparity

    def predictor(self, dtype: torch.dtype) -> "PlanePredictor":
        """See `Network.predictor`; on CPUs the weights are prepacked once, and the decoder is fused."""
        return PlanePredictor(self, dtype)

    def plane_disparities(self, disparity: Float[Tensor, " S"] | int, device: torch.device) -> Float[Tensor, " S"]:
        """Disparities (S,) as given, or a number S of them at even steps from `near` to `far`."""
        if isinstance(disparity, int):
            return torch.linspace(self.near, self.far, disparity, dtype=torch.float32, device=device)
        return disparity


class PlanePredictor:
    """A frozen `PlaneNetwork` prepared for inference; it implements `mine.network.protocol.PredictPlanes`.

    Args:
        network: In evaluation mode; on CPUs, later changes of its weights have no effect.
        dtype: On CPUs float32, or bfloat16 of the finest level's convolutions; on GPUs the dtype of `torch.autocast`.
            float16 runs under `torch.autocast` on every device.
    """

    def __init__(self, network: PlaneNetwork, dtype: torch.dtype) -> None:
        self.network, self.dtype = network, dtype

    @cached_property
    def _fused(self) -> "FusedNetwork":
        # Imported on use: numba takes a second, which GPUs need not wait for.
        from mine.network.planes.cpu.fused import FusedNetwork

        return FusedNetwork(self.network.encoder, self.network.decoder, self.dtype)

    def __call__(
        self, image: Float[Tensor, "1 3 H W"], disparity: Float[Tensor, " S"] | int
    ) -> tuple[Float[Tensor, "1 S 4 H W"], Float[Tensor, " S"]]:
        """See `mine.network.protocol.Network.predict_planes`."""
        disparity = self.network.plane_disparities(disparity, image.device)
        if image.device.type == "cpu" and self.dtype != torch.float16:
            return self._fused.predict_planes(image, disparity[None], GROUP), disparity
        with torch.autocast(image.device.type, self.dtype, enabled=self.dtype != torch.float32):
            planes = halve_until_it_fits(lambda group: self.network(image, disparity[None], group=group)[0], GROUP)
        return planes, disparity


def stratified_disparity(
    batch: int, planes: int, near: float = 1.0, far: float = 0.001, generator: torch.Generator | None = None
) -> Float[Tensor, "{batch} {planes}"]:
    """Samples plane disparities by stratified sampling (Li et al. 2021, section 3.4).

    [far, near] is divided into bins of equal width; each bin has one uniform sample.

    Args:
        batch: Number B of images.
        planes: Number S of bins.
        near: Largest disparity.
        far: Smallest disparity.
        generator: Source of randomness; torch's global one by default.

    Returns:
        (B, S), descending.
    """
    edges = torch.linspace(near, far, planes + 1)
    position = torch.rand(batch, planes, generator=generator)
    return edges[1:] + (edges[:-1] - edges[1:]) * position
