"""Monocular depth estimation: the disparity of each pixel of one photo, which `lift` makes planes of."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mine.network.architecture import Architecture
from mine.network.disparity.decoder import DisparityDecoder
from mine.network.disparity.ensemble import EnsembleDecoder
from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.network.disparity.quantile import quantile
from mine.network.disparity.refine import guided_filter, refine
from mine.network.encoders.encoder import make_encoder
from mine.network.protocol import Network
from mine.scene.depth_maps.depth_map import FARTHEST
from mine.scene.inpaint import Background

NEAREST_QUANTILE = 0.995
"""Quantile of an image's disparities that is scaled to 1; the few larger ones are clamped."""

EDGE_SIGMA = 0.02
"""Standard deviation of log-disparity from which on the first member's prediction at full resolution has an edge."""

COARSER = (2,)
"""Factors by which the image is also reduced, for predictions with a larger field of view."""

FOCAL_EXPONENT = 0.4
"""A map's contrast falls with this power of the focal length: the network sees no intrinsics, and of two photos that
look alike to it, the one by the longer lens shows less relief (docs/training-log.md, section 14)."""

FOCAL_RANGE = (0.4, 2.5)
"""Focal lengths, relative to the longer side, beyond which the contrast stays: those of the measured captures."""


class DisparityNetwork(Network):
    """Encoder and disparity decoder; the planes come from the disparity map and the photo, not from weights.

    Args:
        architecture: Its `decoder` is "disparity". With more `members` than one, the network is an ensemble.
    """

    decoder: DisparityDecoder | EnsembleDecoder

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.encoder = make_encoder(architecture.encoder, architecture.members)
        decoder = DisparityDecoder if architecture.members == 1 else EnsembleDecoder
        self.decoder = decoder(self.encoder.channels, architecture.widths)

    def forward(
        self, image: Float[Tensor, "B 3 H W"], contrast: float | Float[Tensor, "B 1 1 1"] = 1.0
    ) -> Float[Tensor, "B 1 H W"]:
        """Predicts the disparity map of each image.

        Predictions at full resolution have the sharper edges, those of reduced images the better large shapes
        (Miangoleh et al. 2021). The mean of an ensemble's members has the best shapes, but two edges where they
        disagree about one. With D the log-disparity of the first member at full resolution, and D' the mean over all
        members and resolutions, all less their medians, the log-disparity of the result is

            refine(contrast guided_filter(D, D', EDGE_SIGMA)):

        the values of the mean, with the edges of D. It is scaled so that its quantile `NEAREST_QUANTILE` is at
        disparity 1; `guided_filter` and `refine` are in `mine.network.disparity.refine`.

        Args:
            image: (B, 3, H, W) in [0, 1]; H and W are multiples of 32.
            contrast: Factor of log-disparity, one or for each image; `focal_contrast` of the camera where it is known.

        Returns:
            Relative disparity (B, 1, H, W) in [`FARTHEST`, 1].
        """
        size = image.shape[-2], image.shape[-1]
        full = self._log_disparity(image)
        maps = [full]
        for factor in COARSER:
            reduced = [max(32, round(side / factor / 32) * 32) for side in size]
            coarse = self._log_disparity(F.interpolate(image, reduced, mode="area"))
            maps.append(F.interpolate(coarse, size, mode="bilinear"))
        mean = torch.cat(maps, 1).mean(1, keepdim=True)
        return relative_disparity(refine(contrast * guided_filter(full[:, :1], mean, EDGE_SIGMA), image))

    def predict_planes(
        self,
        image: Float[Tensor, "1 3 H W"],
        disparity: Float[Tensor, " S"] | int,
        contrast: float | Float[Tensor, "1 1 1 1"] = 1.0,
    ) -> tuple[Float[Tensor, "1 S 4 H W"], Float[Tensor, " S"]]:
        """See `Network.predict_planes`; a number of planes spreads them over the disparities of the image.

        `contrast` is that of `forward`.
        """
        disparity_map = self(image.contiguous(memory_format=torch.channels_last), contrast)
        if isinstance(disparity, int):
            disparity = plane_disparities(disparity_map, disparity)
        planes, _ = self.lift(image, disparity_map, disparity[None])
        return planes, disparity

    def lift(
        self, image: Float[Tensor, "B 3 H W"], disparity_map: Float[Tensor, "B 1 H W"], disparity: Float[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B S 4 H W"], Background | None]:
        """Makes planes of a disparity map, predicted or given.

        Args:
            image: RGB in [0, 1].
            disparity_map: Relative disparity in (0, 1].
            disparity: Relative disparities of the planes, strictly descending.

        Returns:
            The planes, see `lift_to_mpi`, and the background, None where it is not learned.
        """
        return lift_to_mpi(image, disparity_map, disparity), None

    def _log_disparity(self, image: Tensor) -> Tensor:
        """Log-disparities (B, M, H, W) of the M members, each less its median."""
        predicted = self.decoder(self.encoder(image.contiguous(memory_format=torch.channels_last)))
        medians = predicted.flatten(2).median(2).values[:, :, None, None]
        return F.interpolate(predicted - medians, image.shape[-2:], mode="bilinear")


def focal_contrast(K: Float[Tensor, "*B 3 3"], size: tuple[int, int]) -> Float[Tensor, "*B"]:
    """Contrast of disparity maps by the focal lengths f of cameras, relative to the image's longer side.

    Args:
        K: Intrinsics in pixels.
        size: (H, W) of the image in pixels.

    Returns:
        f to the power of -`FOCAL_EXPONENT`, with f in `FOCAL_RANGE`; 1 at a field of view of 53° along the longer side.
    """
    axis = 0 if size[1] >= size[0] else 1
    return contrast_by_focal(K[..., axis, axis] / max(size))


def contrast_by_focal(focal: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Contrast of disparity maps by focal lengths relative to the longer side of the image, see `focal_contrast`."""
    return focal.clamp(*FOCAL_RANGE) ** -FOCAL_EXPONENT


def relative_disparity(log_disparity: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 H W"]:
    """Scales disparity maps so that the nearest visible surface has disparity 1.

    Args:
        log_disparity: (B, 1, H, W), up to an additive constant.

    Returns:
        exp(log_disparity - q) clamped to [`FARTHEST`, 1], with q each map's quantile `NEAREST_QUANTILE`.
    """
    nearest = quantile(log_disparity.flatten(1), NEAREST_QUANTILE)[:, None, None, None]
    return torch.exp(log_disparity - nearest).clamp(FARTHEST, 1)
