"""The decoders of an ensemble of disparity networks (Lakshminarayanan et al. 2017).

Networks that were trained independently err in different places, so that their mean errs less than each of them.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mine.network.disparity.decoder import DisparityDecoder

LEVELS = 5
"""Feature maps of each member's encoder."""


class EnsembleDecoder(nn.Module):
    """From the feature maps of all members to the log-disparity that each of them predicts.

    Args:
        features: Channels of the maps, five of each member, finest first.
        widths: Channels of the levels of each member's decoder, finest first.
    """

    def __init__(self, features: list[int], widths: tuple[int, ...]) -> None:
        super().__init__()
        firsts = range(0, len(features), LEVELS)
        self.members = nn.ModuleList(DisparityDecoder(features[first : first + LEVELS], widths) for first in firsts)

    def forward(self, features: list[Float[Tensor, "B _ _ _"]]) -> Float[Tensor, "B M H W"]:
        """Predicts log-disparity at half the image's resolution.

        Args:
            features: What `mine.network.encoders.ensemble_encoder.EnsembleEncoder` returns.

        Returns:
            (B, M, H/2, W/2) of the M members, float32, each up to an additive constant.
        """
        maps = [member(features[LEVELS * i : LEVELS * (i + 1)]) for i, member in enumerate(self.members)]
        return torch.cat(maps, 1)
