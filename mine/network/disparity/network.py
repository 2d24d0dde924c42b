"""Monocular depth: the disparity of each pixel of a photo, which `mine.network.disparity.lift` turns into planes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mine.network.architecture import Architecture
from mine.network.disparity.refine import box, refine
from mine.network.encoders.encoder import make_encoder

DISPARITY_WIDTHS = (32, 48, 64, 96, 160)
"""Channels of the decoder's levels at 1/2, 1/4, ... 1/32 of the image."""

NEAREST = 0.995
"""Quantile of a photo's disparities that is called 1, as the nearest surfaces of training scenes are."""

SHRUNK = (2, 4)
"""How many times smaller a photo is seen as well, to multiples of 32 pixels."""

FARTHEST = 1 / 32
"""Least disparity of a surface: what is farther, such as the sky, hardly moves."""


class DisparityDecoder(nn.Module):
    """Log-disparity of the visible surface from five feature maps: a U-Net (Ronneberger et al. 2015) of light levels.

    features: channels of the encoder's maps, finest first. widths: channels of the levels, finest first.
    """

    def __init__(self, features: list[int], widths: tuple[int, ...] = DISPARITY_WIDTHS) -> None:
        super().__init__()
        self.top = _block(features[-1], widths[-1], 1)
        self.lateral = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(features[:-1], widths[:-1], strict=True))
        self.reduce = nn.ModuleList(nn.Conv2d(c, w, 1) for c, w in zip(widths[1:], widths[:-1], strict=True))
        self.mix = nn.ModuleList(nn.Sequential(_block(w, w, 3), _block(w, w, 3)) for w in widths[:-1])
        self.context = nn.Sequential(_block(widths[-1], widths[-1], 3), _block(widths[-1], widths[-1], 3))
        self.head = nn.Conv2d(widths[0], 1, 3, padding=1, padding_mode="replicate")
        nn.init.normal_(self.head.weight, std=0.01)

    def forward(self, features: list[Tensor]) -> Tensor:
        """(B, 1, H/2, W/2); only differences mean something, the scale of a photo being unknown."""
        top = self.top(features[-1])
        x = top + self.context(top) + top.mean((2, 3), keepdim=True)
        for level in range(len(self.mix) - 1, -1, -1):
            coarse = F.interpolate(self.reduce[level](x), scale_factor=2, mode="nearest")
            x = self.lateral[level](features[level]) + coarse
            x = x + self.mix[level](x)
        return self.head(x).float()


class DisparityNetwork(nn.Module):
    """Encoder and surface decoder."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.encoder = make_encoder(architecture.encoder)
        self.decoder = DisparityDecoder(self.encoder.channels, architecture.widths)

    def forward(self, image: Tensor) -> Tensor:
        """Disparity (B, 1, H, W) of what each pixel shows, in [FARTHEST, 1].

        image (B, 3, H, W) in [0, 1] with H and W multiples of 32. Seen smaller, large shapes are understood better; at
        full size, edges are sharper. So edges are those of the full size, and large shapes the mean of all sizes. Then
        edges are drawn where the photo has them, and what is left of relief between them goes
        (`mine.network.disparity.refine`).
        """
        size = image.shape[-2], image.shape[-1]
        full = self._draw(image)
        # Each up to its own scale.
        drawn_at = [full - _median(full)]
        for factor in SHRUNK:
            smaller = [max(32, round(side / factor / 32) * 32) for side in size]
            small = self._draw(F.interpolate(image, smaller, mode="area"))
            drawn_at.append(F.interpolate(small - _median(small), size, mode="bilinear"))
        difference = torch.stack(drawn_at).mean(0) - drawn_at[0]
        drawn = refine(full + smooth(difference, max(size) // 48), image)
        nearest = torch.quantile(drawn.flatten(1), NEAREST, dim=1)[:, None, None, None]
        return torch.exp(drawn - nearest).clamp(FARTHEST, 1)

    def _draw(self, image: Tensor) -> Tensor:
        """Log-disparity (B, 1, H, W), the mean over the picture and its mirror image."""
        both = torch.cat([image, image.flip(-1)]).contiguous(memory_format=torch.channels_last)
        drawn, mirrored = self.decoder(self.encoder(both)).chunk(2)
        return F.interpolate((drawn + mirrored.flip(-1)) / 2, image.shape[-2:], mode="bilinear")


def smooth(x: Tensor, radius: int) -> Tensor:
    """x (B, C, H, W) without what is smaller than `radius` pixels: three box filters, nearly a Gaussian."""
    for _ in range(3):
        x = box(x, radius)
    return x


def _median(x: Tensor) -> Tensor:
    return x.flatten(1).median(1).values[:, None, None, None]


def _block(inputs: int, outputs: int, size: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2, padding_mode="replicate", bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
