"""From feature maps to log-disparity: the decoder of a disparity network."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

DISPARITY_WIDTHS = (32, 48, 64, 96, 160)
"""Channels of the decoder's levels at 1/2, 1/4, ... 1/32 of the image."""


class DisparityDecoder(nn.Module):
    """From five feature maps to log-disparity: a light U-Net (Ronneberger et al. 2015).

    Args:
        features: Channels of the encoder's maps, finest first.
        widths: Channels of the decoder's levels, finest first.
        outputs: Channels of the result.
    """

    def __init__(self, features: list[int], widths: tuple[int, ...] = DISPARITY_WIDTHS, outputs: int = 1) -> None:
        super().__init__()
        self.top = conv_block(features[-1], widths[-1], 1)
        self.lateral = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(features[:-1], widths[:-1], strict=True))
        self.reduce = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(widths[1:], widths[:-1], strict=True))
        self.mix = nn.ModuleList(nn.Sequential(conv_block(w, w, 3), conv_block(w, w, 3)) for w in widths[:-1])
        self.context = nn.Sequential(conv_block(widths[-1], widths[-1], 3), conv_block(widths[-1], widths[-1], 3))
        self.head = nn.Conv2d(widths[0], outputs, 3, padding=1, padding_mode="replicate")
        if not self.head.weight.is_meta:  # there, initialising would only import torch's compiler, which takes a second
            nn.init.normal_(self.head.weight, std=0.01)

    def forward(self, features: list[Float[Tensor, "B _ _ _"]]) -> Float[Tensor, "B 1 H W"]:
        """Predicts log-disparity at half the image's resolution.

        Args:
            features: The encoder's five maps, (B, C, H/2, W/2) to (B, C, H/32, W/32).

        Returns:
            (B, 1, H/2, W/2), float32, up to an additive constant: the scale of one photo is unknown.
        """
        return self.head(self.features(features)).float()

    def features(self, features: list[Float[Tensor, "B _ _ _"]]) -> Float[Tensor, "B C H W"]:
        """The decoder's finest features, from which the last convolution predicts; argument as in `forward`."""
        top = self.top(features[-1])
        x = top + self.context(top) + top.mean((2, 3), keepdim=True)
        for level in range(len(self.mix) - 1, -1, -1):
            coarse = F.interpolate(self.reduce[level](x), scale_factor=2, mode="nearest")
            x = self.lateral[level](features[level]) + coarse
            x = x + self.mix[level](x)
        return x


def conv_block(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Convolution padded by replication, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, padding_mode="replicate", bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
