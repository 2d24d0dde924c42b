"""The encoders of an ensemble, side by side."""

import re

from jaxtyping import Float
from torch import Tensor, nn

from mine.network.encoders.lite_encoder import LiteEncoder
from mine.network.encoders.resnet import ResNetEncoder
from mine.network.encoders.timm_encoder import TimmEncoder

Member = ResNetEncoder | LiteEncoder | TimmEncoder

MEMBER_PREFIX = re.compile(r"^members\.\d+\.")
"""What the names of a member's parameters begin with."""


class EnsembleEncoder(nn.Module):
    """Encoders of several networks, which see the same image.

    Args:
        members: One encoder of each network.

    Attributes:
        channels: Channels of the feature maps, five of each member, finest first.
    """

    def __init__(self, members: list[Member]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.channels = [channels for member in members for channels in member.channels]

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        """Computes the feature maps of an image.

        Args:
            image: (B, 3, H, W) in [0, 1]; H and W are multiples of 32.

        Returns:
            Five maps of the first member, at 1/2, 1/4, ... 1/32 of the image, then five of the next.
        """
        return [features for member in self.members for features in member(image)]

    def load_imagenet(self) -> None:
        """Loads ImageNet weights into every member; see `LiteEncoder.load_imagenet`.

        Raises:
            InputError: They are not there and cannot be downloaded.
        """
        for member in self.members:
            member.load_imagenet()  # type: ignore[operator]  # a Member, which ModuleList forgets


def part_name(parameter: str) -> str:
    """Name of an encoder's parameter, the same in every member of an ensemble as in a single encoder."""
    return MEMBER_PREFIX.sub("", parameter)
