"""Encoders: their five feature maps, and the ImageNet weights that come in a package."""

from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from PIL import Image
from random_batch_norm import randomize_batch_norm
from torch import Tensor, nn
from torchvision.transforms.functional import center_crop, to_tensor

from mine.errors import InputError
from mine.network.encoders.efficientnet_lite import VARIANTS
from mine.network.encoders.encoder import freeze_batch_norm, make_encoder
from mine.network.encoders.imagenet import IMAGENET_MEAN, IMAGENET_STD, normalise, packaged_weights, timm_key
from mine.network.encoders.lite_encoder import LiteEncoder
from mine.network.encoders.resnet import ResNetEncoder
from mine.network.encoders.timm_encoder import TimmEncoder
from mine.network.planes.cpu.fold import fold_batch_norm

CAT = Path(__file__).parents[3] / "data" / "samples" / "cat.jpg"
CATS = range(281, 286)
"""ImageNet's domestic cats: tabby, tiger, Persian, Siamese, Egyptian."""


def packaged(name: str) -> dict[str, Tensor]:
    weights = packaged_weights(name)
    if weights is None:
        pytest.skip(f"the package with ImageNet weights of {name} is not installed (requirements.txt names it)")
    return weights


@pytest.mark.parametrize(
    ("name", "kind", "channels"),
    [
        ("resnet18", ResNetEncoder, [64, 64, 128, 256, 512]),
        ("tf_efficientnet_lite0", LiteEncoder, [16, 24, 40, 112, 320]),
        ("mobilenetv3_small_050", TimmEncoder, [16, 8, 16, 24, 288]),
    ],
)
def test_features_have_five_levels(name: str, kind: type, channels: list[int]) -> None:
    encoder = make_encoder(name).eval()
    assert isinstance(encoder, kind)
    assert encoder.channels == channels
    with torch.no_grad():
        features = encoder(torch.rand(2, 3, 64, 96))
    assert [tuple(x.shape) for x in features] == [(2, c, 64 >> i, 96 >> i) for i, c in enumerate(channels, start=1)]


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("size", [(64, 96), (33, 50)])
def test_efficientnet_lite_equals_timms(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    reference = timm.create_model(name, features_only=True, pretrained=False).eval()
    for norm in reference.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
    ours = LiteEncoder(name).eval()
    ours.backbone.load_state_dict(reference.state_dict())
    image = torch.rand(1, 3, *size)
    assert reference.default_cfg["mean"] == reference.default_cfg["std"] == (0.5, 0.5, 0.5)
    with torch.no_grad():
        for expected, actual in zip(reference(2 * image - 1), ours(image), strict=True):
            torch.testing.assert_close(actual, expected)


def test_resnet_normalises_its_input_as_for_imagenet() -> None:
    """An image of the mean colour normalises to zero, so that batch norm's bias alone is left after the convolution."""
    encoder = ResNetEncoder("resnet18").eval()
    nn.init.constant_(encoder.resnet.bn1.bias, 0.25)
    image = torch.tensor(IMAGENET_MEAN)[None, :, None, None].expand(1, 3, 32, 32)
    with torch.no_grad():
        first = encoder(image)[0]
    torch.testing.assert_close(first, torch.full_like(first, 0.25))
    brighter = normalise(image + torch.tensor(IMAGENET_STD)[:, None, None], IMAGENET_MEAN, IMAGENET_STD)
    torch.testing.assert_close(brighter, torch.ones_like(brighter))


@pytest.mark.parametrize("name", ["no_such_network", "resnet51"])
def test_unknown_encoder(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' is unknown to timm"):
        make_encoder(name)


def test_encoder_without_the_finest_level() -> None:
    with pytest.raises(InputError, match="'convnext_atto' lacks the feature levels"):
        make_encoder("convnext_atto")


def test_frozen_batch_norm_keeps_its_statistics_in_training() -> None:
    encoder = make_encoder("resnet18").train()
    freeze_batch_norm(encoder)
    before = encoder.resnet.bn1.running_mean.clone()
    encoder(torch.rand(2, 3, 64, 64))
    assert torch.equal(encoder.resnet.bn1.running_mean, before)
    assert encoder.resnet.layer1.training and not encoder.resnet.bn1.training


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("_conv_stem.weight", "conv_stem.weight"),
        ("_fc.bias", "classifier.bias"),
        ("_blocks.0._project_conv.weight", "blocks.0.0.conv_pw.weight"),
        ("_blocks.1._expand_conv.weight", "blocks.1.0.conv_pw.weight"),
        ("_blocks.2._bn2.running_var", "blocks.1.1.bn3.running_var"),
        ("_blocks.3._project_conv.weight", "blocks.2.0.conv_pwl.weight"),
        ("_blocks.15._depthwise_conv.weight", "blocks.6.0.conv_dw.weight"),
    ],
)
def test_timm_key(key: str, expected: str) -> None:
    assert timm_key(key, VARIANTS["tf_efficientnet_lite0"][1]) == expected


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_efficientnet_lite2"])
def test_packaged_weights_have_exactly_the_keys_and_shapes_of_timm(name: str) -> None:
    weights = packaged(name)
    expected = timm.create_model(name, pretrained=False).state_dict()
    assert {k: v.shape for k, v in weights.items()} == {k: v.shape for k, v in expected.items()}


def test_packaged_weights_recognise_a_cat() -> None:
    name = "tf_efficientnet_lite0"
    model = timm.create_model(name, pretrained=False).eval()
    model.load_state_dict(packaged(name))
    with Image.open(CAT) as photo:
        square = center_crop(to_tensor(photo.convert("RGB")), min(photo.size))
    image = F.interpolate(square[None], (224, 224), mode="bicubic", antialias=True).clamp(0, 1)
    with torch.no_grad():
        scores = model(normalise(image, model.default_cfg["mean"], model.default_cfg["std"]))
    assert int(scores.argmax()) in CATS


def test_encoder_starts_from_the_packaged_weights() -> None:
    weights = packaged("tf_efficientnet_lite0")
    encoder = LiteEncoder("tf_efficientnet_lite0")
    assert not torch.equal(encoder.backbone.conv_stem.weight, weights["conv_stem.weight"])
    encoder.load_imagenet()
    for key, value in encoder.backbone.state_dict().items():
        assert torch.equal(value, weights[key]), key


def test_other_encoders_have_no_packaged_weights() -> None:
    assert packaged_weights("resnet18") is None


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "tf_efficientnet_lite0", "mobilenetv3_small_050"])
def test_folding_batch_norm_changes_no_feature(name: str) -> None:
    torch.manual_seed(0)
    encoder = make_encoder(name).double().eval()
    randomize_batch_norm(encoder)
    image = torch.rand(1, 3, 64, 64, dtype=torch.double)
    with torch.no_grad():
        expected, light = encoder(image), fold_batch_norm(encoder)
        for actual, feature in zip(light(image), expected, strict=True):
            torch.testing.assert_close(actual, feature, rtol=0, atol=1e-9 * float(feature.abs().max()))
    remaining = sum(isinstance(module, nn.BatchNorm2d) for module in light.modules())
    assert (remaining == 0) == (not isinstance(encoder, TimmEncoder))
    assert any(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())  # the original is as it was
