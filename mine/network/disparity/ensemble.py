"""The decoders of an ensemble of disparity networks (Lakshminarayanan et al. 2017).

Networks that start from different random weights err in different places, so that their mean errs less than each does.
"""

from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mine.network.architecture import LEVELS
from mine.network.disparity.decoder import DisparityDecoder

Level = TypeVar("Level")


class EnsembleDecoder(nn.Module):
    """From the feature maps of all members to the log-disparity that each of them predicts.

    Args:
        features: Channels of the maps, five of each member, finest first.
        widths: Channels of the levels of each member's decoder, finest first.
    """

    def __init__(self, features: list[int], widths: tuple[int, ...]) -> None:
        super().__init__()
        self.members = nn.ModuleList(DisparityDecoder(own, widths) for own in _by_member(features))

    def forward(self, features: list[Float[Tensor, "B _ _ _"]]) -> Float[Tensor, "B M H W"]:
        """Predicts log-disparity at half the image's resolution.

        Args:
            features: What `mine.network.encoders.ensemble_encoder.EnsembleEncoder` returns.

        Returns:
            (B, M, H/2, W/2) of the M members, float32, each up to an additive constant.
        """
        maps = [member(own) for member, own in zip(self.members, _by_member(features), strict=True)]
        return torch.cat(maps, 1)


def _by_member(levels: list[Level]) -> list[list[Level]]:
    """What there is of each level, member by member, in a list for each member."""
    return [levels[first : first + LEVELS] for first in range(0, len(levels), LEVELS)]
