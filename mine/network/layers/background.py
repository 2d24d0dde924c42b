"""Learned inpainting of the background: disparity and colour of what the photo hides behind depth discontinuities.

The closed form (`mine.scene.inpaint`) continues the colours beside a discontinuity in straight streaks. The network
gets its result beside the photo and predicts what to change, in the pixels where a background was found alone: a light
U-Net (Ronneberger et al. 2015), as Shih et al. (2020) inpaint the layers of a layered depth image.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from mine.network.disparity.decoder import DisparityDecoder, conv_block
from mine.scene.depth_maps.depth_map import FARTHEST
from mine.scene.inpaint import REACH, Background, is_behind, propagated_background

INPUTS = 9
"""Channels of the input: photo, disparity, the propagated background's colour and disparity, and where it is."""

OUTPUTS = 4
"""Channels of the output: changes of colour and of log-disparity."""


class BackgroundNetwork(nn.Module):
    """From a photo and its disparity map to the background, and features for the opacity of planes.

    Args:
        widths: Channels of the five levels, at 1/2, 1/4, ... 1/32 of the photo.
    """

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        pairs = zip((INPUTS, *widths[:-1]), widths, strict=True)
        self.encoder = nn.ModuleList(conv_block(c, w, 3, 1 if i == 0 else 2) for i, (c, w) in enumerate(pairs))
        self.decoder = DisparityDecoder(list(widths), widths, OUTPUTS)
        if not self.decoder.head.weight.is_meta:  # training starts from the closed form
            nn.init.zeros_(self.decoder.head.weight)
            nn.init.zeros_(self.decoder.head.bias)  # type: ignore[arg-type]

    def forward(
        self, image: Float[Tensor, "B 3 H W"], disparity_map: Float[Tensor, "B 1 H W"]
    ) -> tuple[Background, Float[Tensor, "B C h w"]]:
        """Inpaints the background at half the resolution.

        Args:
            image: RGB in [0, 1]; H and W are multiples of 32.
            disparity_map: Relative disparity of the visible surface in (0, 1].

        Returns:
            The background (B, C, H / 2, W / 2), and the decoder's finest features, of the same size.
        """
        found = propagated_background(image, disparity_map, REACH)
        half = (found.rgb.shape[-2], found.rgb.shape[-1])
        image, visible = (F.interpolate(x, half, mode="area") for x in (image, disparity_map))
        behind = is_behind(found.disparity, visible).to(image)
        logs = [scaled_log(visible), scaled_log(found.disparity)]
        x = torch.cat([image - 0.5, found.rgb - 0.5, *logs, behind], dim=1)
        features = []
        for level in self.encoder:
            x = level(x.contiguous(memory_format=torch.channels_last))
            features.append(x)
        finest = self.decoder.features(features)
        change = self.decoder.head(finest).float() * behind
        rgb = (found.rgb + change[:, :3]).clamp(0, 1)
        disparity = torch.minimum(found.disparity * torch.exp(change[:, 3:].clamp(-1, 1)), visible)
        return Background(torch.where(behind > 0, disparity, found.disparity), rgb), finest


def scaled_log(disparity: Tensor) -> Tensor:
    """Logarithms of relative disparities, in [-1, 0]."""
    return disparity.clamp(min=FARTHEST).log() / -torch.log(torch.tensor(FARTHEST))
