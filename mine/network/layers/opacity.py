"""Learned opacity and colour of planes around depth discontinuities, at any disparity.

The lifted planes are the prior. At each pixel of a band around the discontinuities, and for each plane at disparity d,
a small network maps the features of the pixel, and embeddings of log d and of log d - log D, to a change of the
opacity's logit and, on planes of the background, of the colour. D is the disparity of the visible surface there, and
that of the background. MINE's plane decoder (Li et al. 2021, section 3.1) is conditioned on d alone, that of AdaMPI
(Han et al. 2022) on both.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mine.network.disparity.lift import LiftedPlanes
from mine.network.layers.background import scaled_log
from mine.scene.inpaint import DISCONTINUITY, Background, is_behind

BAND = 6
"""Pixels from a discontinuity within which planes are changed."""

FREQUENCIES = (1, 2, 4, 8)
"""Factors of π in the sinusoidal embedding of scaled log-disparities."""

SHARP = 32.0
"""Factor of log d - log D in the embedding: about a step between 32 planes is 1."""

LEAST_LOGIT = 4.0
"""Opacities count as at most this far from a half in logits: a change can reach opaque planes."""

PLANES_AT_ONCE = 4
"""Planes whose band is computed at a time: few fit the cache and bound the memory."""


class OpacityNetwork(nn.Module):
    """Changes lifted planes in a band around discontinuities.

    Args:
        features: Channels of the features of pixels.
        width: Channels of the two hidden layers.
    """

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.of_pixel = nn.Linear(features + 2, width)
        self.of_plane = nn.Linear(2 + 3 * (1 + 2 * len(FREQUENCIES)), width, bias=False)
        self.hidden = nn.Linear(width, width)
        self.head = nn.Linear(width, 4)
        if not self.head.weight.is_meta:  # training starts from the lifted planes
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)

    def forward(
        self,
        lifted: LiftedPlanes,
        disparity_map: Float[Tensor, "B 1 H W"],
        disparity: Float[Tensor, "B S"],
        background: Background,
        features: Float[Tensor, "B C h w"],
    ) -> LiftedPlanes:
        """Changes opacity and colour of planes.

        Args:
            lifted: The lifted planes.
            disparity_map: Relative disparity of the visible surface.
            disparity: Relative disparities of the planes, strictly descending.
            background: At half the resolution.
            features: Features of pixels at half the resolution.

        Returns:
            The planes; the opacity of the last one, and of all planes outside the band, is as it was.
        """
        size = disparity_map.shape[-2:]
        behind = F.interpolate(background.disparity, size, mode="bilinear")
        batch, y, x = band(disparity_map, behind)[:, 0].nonzero(as_tuple=True)
        surface, hidden = (scaled_log(m)[batch, 0, y, x] for m in (disparity_map, torch.minimum(behind, disparity_map)))
        pixel = F.interpolate(features.float(), size, mode="bilinear")[batch, :, y, x]
        pixel = self.of_pixel(torch.cat([pixel, surface[:, None], hidden[:, None]], dim=1))
        opacity, rgb = lifted.opacity.movedim(1, -1)[batch, y, x], lifted.rgb.movedim(1, -1)[batch, :, y, x]
        position, shown = scaled_log(disparity)[batch], lifted.visible.movedim(1, -1)[batch, y, x]
        parts = [slice(i, i + PLANES_AT_ONCE) for i in range(0, disparity.shape[1] - 1, PLANES_AT_ONCE)]
        changes = [
            self._change(pixel, position[:, p], surface, hidden, opacity[:, p], shown[:, p].to(opacity)) for p in parts
        ]
        logit, colour = (torch.cat(part, 1) for part in zip(*changes, strict=True))
        last = opacity.shape[1] - 1
        opacity = torch.cat([_changed(opacity[:, :-1], logit[:, :last]), opacity[:, -1:]], dim=1)
        colour = F.pad(colour[:, :last], (0, 0, 0, 1)).mT
        return LiftedPlanes(
            _put(lifted.rgb.movedim(1, -1), (batch, y, x), (rgb + colour).clamp(0, 1)),
            _put(lifted.opacity.movedim(1, -1), (batch, y, x), opacity),
            lifted.visible,
        )

    def _change(
        self, pixel: Tensor, position: Tensor, surface: Tensor, hidden: Tensor, opacity: Tensor, shown: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Changes of the logit (N, S) and of the colour (N, S, 3) of S planes at N pixels."""
        to_surface, to_hidden = position - surface[:, None], position - hidden[:, None]
        embedded = [_embed(position), *(_embed((SHARP * d).clamp(-8, 8) / 8) for d in (to_surface, to_hidden))]
        plane = torch.cat([torch.stack([opacity, shown], dim=-1), *embedded], dim=-1)
        x = F.relu(self.of_plane(plane) + pixel[:, None])
        x = F.relu(self.hidden(x))
        change = self.head(x)
        return change[..., 0], change[..., 1:] * (1 - shown)[..., None]


def band(disparity_map: Float[Tensor, "B 1 H W"], background: Float[Tensor, "B 1 H W"]) -> Bool[Tensor, "B 1 H W"]:
    """The pixels that may change: those near a discontinuity, and those in front of a background.

    Args:
        disparity_map: Disparity of the visible surface.
        background: Disparity of the background, at the same resolution.
    """
    window = 2 * BAND + 1
    nearest = F.max_pool2d(disparity_map, window, 1, BAND)
    farthest = -F.max_pool2d(-disparity_map, window, 1, BAND)
    near: Tensor = nearest > DISCONTINUITY * farthest
    return near | is_behind(background, disparity_map)


def _embed(x: Tensor) -> Tensor:
    """x and its sines and cosines at `FREQUENCIES` (Mildenhall et al. 2020, eq. 4), in a new last dimension."""
    angles = [torch.pi * f * x for f in FREQUENCIES]
    return torch.stack([x, *(f(a) for a in angles for f in (torch.sin, torch.cos))], dim=-1)


def _changed(opacity: Tensor, logit: Tensor) -> Tensor:
    """Opacities whose logits changed; exactly what they were where the change is 0."""
    before = torch.logit(opacity, 1 / (1 + torch.e**LEAST_LOGIT))
    return (opacity + torch.sigmoid(before + logit) - torch.sigmoid(before)).clamp(0, 1)


def _put(planes: Tensor, pixels: tuple[Tensor, Tensor, Tensor], values: Tensor) -> Tensor:
    """Planes (B, ..., H, W, S) or (B, H, W, S) with values at pixels, (B, S, ..., H, W) again."""
    batch, y, x = pixels
    if planes.ndim == 4:
        return planes.index_put((batch, y, x), values).movedim(-1, 1)
    channels = planes.movedim(1, -2)  # (B, H, W, 3, S)
    return channels.index_put((batch, y, x), values).movedim(-2, 1).movedim(-1, 1)
