"""Inference of a plane network: the fused CPU decoder where it applies, torch's operators elsewhere."""

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from mine.network.planes.cpu.fused import FusedNetwork
    from mine.network.planes.network import PlaneNetwork

GROUP = 4
"""Planes decoded at a time: their feature maps stay in a CPU's cache, and the peak of memory stays bounded."""


class PlanePredictor:
    """A frozen `PlaneNetwork` prepared for inference; it implements `mine.network.protocol.PredictPlanes`.

    Args:
        network: In evaluation mode; on CPUs, later changes of its weights have no effect.
        dtype: On CPUs float32, or bfloat16 of the finest level's convolutions; on GPUs the dtype of `torch.autocast`.
            float16 runs under `torch.autocast` on every device.
    """

    def __init__(self, network: "PlaneNetwork", dtype: torch.dtype) -> None:
        self.network, self.dtype = network, dtype

    @cached_property
    def _fused(self) -> "FusedNetwork":
        # Imported on use: numba takes a second, which GPUs need not wait for.
        from mine.network.planes.cpu.fused import FusedNetwork

        return FusedNetwork(self.network, self.dtype)

    def __call__(
        self, image: Float[Tensor, "1 3 H W"], disparity: Float[Tensor, " S"] | int
    ) -> tuple[Float[Tensor, "1 S 4 H W"], Float[Tensor, " S"]]:
        """See `mine.network.protocol.Network.predict_planes`."""
        disparity = self.network.plane_disparities(disparity, image.device)
        if image.device.type == "cpu" and self.dtype != torch.float16:
            return self._fused.predict_planes(image, disparity[None], GROUP), disparity
        with torch.autocast(image.device.type, self.dtype, enabled=self.dtype != torch.float32):
            return self.network(image, disparity[None], group=GROUP)[0], disparity
