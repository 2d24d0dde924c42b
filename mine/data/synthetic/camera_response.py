"""Camera response: from linear radiance to an image, by exposure, vignetting, tone curve, blur, noise and JPEG."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass
class CameraResponse:
    """Parameters of a camera. Source and target view share them, so that their colours agree; noise differs."""

    gain: Tensor
    """(3,) exposure and white balance"""
    key: float
    """linear value to which the geometric mean brightness is exposed"""
    vignette: float
    blur: float
    """standard deviation in pixels"""
    noise: float
    contrast: float
    quality: int | None
    """of JPEG compression, none if None"""

    @classmethod
    def random(cls, rng: np.random.Generator) -> "CameraResponse":
        """A random camera, in most cases with few defects."""
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
        """Sets the gain so that an image (3, h, w) of linear radiance gets the brightness `key`."""
        level = linear.mean(0).clamp(min=1e-4).log().mean().exp()
        self.gain = self.gain.to(linear.device) * self.key / level

    def develop(self, linear: Tensor, rng: np.random.Generator) -> Tensor:
        """The image (3, H, W) in [0, 1] of linear radiance (3, H, W)."""
        image = linear * self.gain[:, None, None]
        height, width = image.shape[1:]
        if self.vignette:
            y = torch.linspace(-1, 1, height, device=image.device)[:, None]
            x = torch.linspace(-1, 1, width, device=image.device)
            image = image * (1 - self.vignette * (x * x + y * y) / 2)
        rolled_off = 1 - 0.4 * torch.exp(-(image - 0.6) / 0.4)
        image = torch.where(image > 0.6, rolled_off, image)  # tone curve of the highlights
        image = image.clamp(1e-5, 1.0).sqrt()
        image = (0.5 + (image - 0.5) * self.contrast).clamp(0, 1)
        image = self._blurred(image)
        if self.noise:
            grain = rng.standard_normal(image.shape, dtype=np.float32)
            image = (image + self.noise * torch.from_numpy(grain).to(image.device)).clamp(0, 1)
        if self.quality is not None:
            image = _compressed(image, self.quality)
        return image

    def _blurred(self, image: Tensor) -> Tensor:
        """The image (3, H, W), convolved with a Gaussian."""
        if not self.blur:
            return image
        taps = torch.exp(-((torch.arange(-2, 3, device=image.device) / self.blur) ** 2) / 2)
        taps = taps / taps.sum()
        padded = F.pad(image[:, None], (2, 2, 2, 2), mode="replicate")
        return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, 5)), taps.view(1, 1, 5, 1))[:, 0]


def _compressed(image: Tensor, quality: int) -> Tensor:
    """The image (3, H, W) after JPEG compression."""
    pixels = (image * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = torch.from_numpy(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return (decoded.permute(2, 0, 1).float() / 255).to(image.device)
