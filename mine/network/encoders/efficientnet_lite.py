"""EfficientNet-Lite (Tan and Le 2019; the Lite variants have ReLU6 and no squeeze-and-excitation).

Layers and keys are timm's, so that weights are interchangeable. timm itself takes three seconds to import, as long as
everything else between a photo and its scene.
"""

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

KERNELS = (3, 3, 5, 3, 5, 5, 3)
"""Sides of the depthwise kernels of the seven stages."""

STRIDES = (1, 2, 2, 2, 1, 2, 1)
"""Strides of the first block of each stage; the others have stride 1."""

STEM = 32
"""Channels after the first convolution."""

VARIANTS = {
    "tf_efficientnet_lite0": ((16, 24, 40, 80, 112, 192, 320), (1, 2, 2, 3, 3, 4, 1)),
    "tf_efficientnet_lite2": ((16, 24, 48, 88, 120, 208, 352), (1, 3, 3, 4, 4, 5, 1)),
}
"""Channels and number of blocks of the seven stages, by timm's name of the network."""

FEATURES = (0, 1, 2, 4, 6)
"""Indices of the stages whose outputs are features: the last stage of each resolution, 1/2 to 1/32."""


class EfficientNetLite(nn.Module):
    """An EfficientNet-Lite without its classifier.

    Args:
        name: One of `VARIANTS`.

    Attributes:
        channels: Channels of the five feature maps, finest first.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        widths, repeats = VARIANTS[name]
        self.conv_stem = SameConv(3, STEM, 3, 2)
        self.bn1 = _norm(STEM)
        stages: list[nn.Module] = []
        inputs = STEM
        for index, (width, count, kernel, stride) in enumerate(zip(widths, repeats, KERNELS, STRIDES, strict=True)):
            block = Separable if index == 0 else Inverted
            stages.append(
                nn.Sequential(*(block(width if i else inputs, width, kernel, 1 if i else stride) for i in range(count)))
            )
            inputs = width
        self.blocks = nn.Sequential(*stages)
        self.channels = [widths[index] for index in FEATURES]

    def forward(self, image: Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        """Computes the five feature maps of an image.

        Args:
            image: (B, 3, H, W) in [-1, 1].

        Returns:
            Features at 1/2, 1/4, ... 1/32 of the image, sides rounded up.
        """
        x = F.relu6(self.bn1(self.conv_stem(image)))
        features = []
        for index, stage in enumerate(self.blocks):
            x = stage(x)
            if index in FEATURES:
                features.append(x)
        return features


class Separable(nn.Module):
    """Depthwise separable convolution: one kernel a channel, then a 1x1 convolution across channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = SameConv(inputs, inputs, kernel, stride, inputs)
        self.bn1 = _norm(inputs)
        self.conv_pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C', H / stride, W / stride)."""
        return self.bn2(self.conv_pw(F.relu6(self.bn1(self.conv_dw(x)))))


class Inverted(nn.Module):
    """Inverted residual block (Sandler et al. 2018): 1x1 expansion to 6 C channels, depthwise, 1x1 projection."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = 6 * inputs
        self.residual = stride == 1 and inputs == outputs
        self.conv_pw = nn.Conv2d(inputs, wide, 1, bias=False)
        self.bn1 = _norm(wide)
        self.conv_dw = SameConv(wide, wide, kernel, stride, wide)
        self.bn2 = _norm(wide)
        self.conv_pwl = nn.Conv2d(wide, outputs, 1, bias=False)
        self.bn3 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C', H / stride, W / stride)."""
        y = F.relu6(self.bn1(self.conv_pw(x)))
        y = F.relu6(self.bn2(self.conv_dw(y)))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.residual else y


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: an odd pixel of padding goes to the right and the bottom."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to (B, C', ceil(H / stride), ceil(W / stride))."""
        if self.stride[0] == 1:
            return super().forward(x)
        pads = [_padding(side, self.kernel_size[0], self.stride[0]) for side in (x.shape[-1], x.shape[-2])]
        return F.conv2d(F.pad(x, [*pads[0], *pads[1]]), self.weight, self.bias, self.stride, 0, 1, self.groups)


def _padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after one axis that "same" padding adds."""
    missing = max(0, (math.ceil(side / stride) - 1) * stride + kernel - side)
    return missing // 2, missing - missing // 2


def _norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with TensorFlow's epsilon."""
    return nn.BatchNorm2d(channels, eps=1e-3)
