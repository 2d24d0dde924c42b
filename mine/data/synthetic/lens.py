"""What a camera does to the light: exposure, vignetting, blur, noise, compression."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass
class Lens:
    """How pictures come out. Source and target share it, so that they agree in colour; noise is drawn anew."""

    gain: Tensor
    """(3,) exposure and white balance"""
    key: float
    """linear brightness of the middle tones"""
    vignette: float
    blur: float
    """in pixels"""
    noise: float
    contrast: float
    quality: int | None
    """of JPEG compression"""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Lens":
        """A random camera, decent more often than not."""
        balance = np.exp(rng.normal(0, 0.06, 3))
        return cls(
            gain=torch.tensor(balance, dtype=torch.float32),
            key=0.16 * float(np.exp(rng.normal(0, 0.35))),
            vignette=float(rng.choice([0.0, rng.uniform(0, 0.2)])),
            blur=float(rng.choice([0.0, rng.uniform(0.3, 0.8)])),
            noise=float(rng.choice([0.0, rng.uniform(0, 0.015)])),
            contrast=rng.uniform(0.85, 1.2),
            quality=int(rng.integers(60, 96)) if rng.random() < 0.3 else None,
        )

    def expose(self, linear: Tensor) -> None:
        """Sets the gain so that the picture (3, h, w) in linear light is as bright as photographs mostly are."""
        level = linear.mean(0).clamp(min=1e-4).log().mean().exp()
        self.gain = self.gain.to(linear.device) * self.key / level

    def develop(self, linear: Tensor, rng: np.random.Generator) -> Tensor:
        """The picture (3, H, W) in [0, 1] of linear light (3, H, W)."""
        picture = linear * self.gain[:, None, None]
        height, width = picture.shape[1:]
        if self.vignette:
            y = torch.linspace(-1, 1, height, device=picture.device)[:, None]
            x = torch.linspace(-1, 1, width, device=picture.device)
            picture = picture * (1 - self.vignette * (x * x + y * y) / 2)
        picture = torch.where(
            picture > 0.6, 1 - 0.4 * torch.exp(-(picture - 0.6) / 0.4), picture
        )  # highlights roll off
        picture = picture.clamp(1e-5, 1.0).sqrt()
        picture = (0.5 + (picture - 0.5) * self.contrast).clamp(0, 1)
        picture = self._blurred(picture)
        if self.noise:
            grain = rng.standard_normal(picture.shape, dtype=np.float32)
            picture = (picture + self.noise * torch.from_numpy(grain).to(picture.device)).clamp(0, 1)
        if self.quality is not None:
            picture = _compressed(picture, self.quality)
        return picture

    def _blurred(self, picture: Tensor) -> Tensor:
        if not self.blur:
            return picture
        taps = torch.exp(-((torch.arange(-2, 3, device=picture.device) / self.blur) ** 2) / 2)
        taps = taps / taps.sum()
        padded = F.pad(picture[:, None], (2, 2, 2, 2), mode="replicate")
        return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, 5)), taps.view(1, 1, 5, 1))[:, 0]


def _compressed(picture: Tensor, quality: int) -> Tensor:
    pixels = (picture * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = torch.from_numpy(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return (decoded.permute(2, 0, 1).float() / 255).to(picture.device)
