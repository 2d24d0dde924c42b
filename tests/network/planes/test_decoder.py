"""The plane decoder against the reference decoder, and its parts against closed forms."""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from random_batch_norm import randomize_batch_norm
from torch import Tensor, nn

from mine.network.planes.cpu.fused import FusedDecoder, head_kernel
from mine.network.planes.cpu.kernels import activate_head, elu_pad
from mine.network.planes.decoder import PlaneDecoder
from mine.network.planes.embedding import CHANNELS, embed_disparity
from mine.network.planes.recompute.autograd import norm_elu_upsample_conv
from mine.network.planes.reference import reference_decoder
from mine.network.planes.subpixel import phase_kernel

FEATURES = [3, 4, 5, 6, 7]
TOLERANCE = 1e-5

Result = tuple[list[Tensor], dict[str, Tensor]]


def make_decoder(widths: tuple[int, ...] = (2, 3, 4, 5, 6)) -> PlaneDecoder:
    """In double precision, with batch norm that does something even while frozen."""
    torch.manual_seed(0)
    decoder = PlaneDecoder(FEATURES, widths, bottleneck=(6, 5)).double()
    randomize_batch_norm(decoder)
    return decoder


def make_inputs(size: tuple[int, int] = (64, 96), batch: int = 2, planes: int = 3) -> tuple[list[Tensor], Tensor]:
    """Feature maps of an image of `size`, and disparities that differ between the images of the batch."""
    generator = torch.Generator().manual_seed(1)
    features = [
        torch.randn(
            batch, channels, size[0] >> level, size[1] >> level, generator=generator, dtype=torch.double
        ).requires_grad_()
        for level, channels in enumerate(FEATURES, start=1)
    ]
    disparity = 0.04 + 0.96 * torch.rand(batch, planes, generator=generator, dtype=torch.double)
    return features, disparity.sort(descending=True).values.requires_grad_()


def gradients(planes: list[Tensor], decoder: PlaneDecoder, features: list[Tensor], disparity: Tensor) -> Result:
    """Planes, with the gradients of one weighted sum of them by what they belong to."""
    generator = torch.Generator().manual_seed(2)
    loss = sum((plane * torch.randn(plane.shape, generator=generator)).mean() for plane in planes)
    named = dict(decoder.named_parameters()) | {f"features {i}": x for i, x in enumerate(features)}
    named["disparity"] = disparity
    values = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return planes, {name: value for name, value in zip(named, values, strict=True) if value is not None}


def assert_near(actual: Tensor, expected: Tensor) -> None:
    """To `TOLERANCE` of the largest value (what is zero in exact arithmetic has no scale of its own)."""
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= TOLERANCE * expected.abs().max() + 1e-9


def assert_same(actual: Result, expected: Result) -> None:
    for plane, published in zip(actual[0], expected[0], strict=True):
        assert_near(plane, published)
    assert actual[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        assert_near(actual[1][name], gradient)


@pytest.mark.parametrize("training", [False, True], ids=["frozen", "training"])
@pytest.mark.parametrize("widths", [(2, 3, 4, 5, 6), (5, 2, 4, 3, 3)])
@pytest.mark.parametrize("finest", [0, 2])
def test_planes_and_gradients_are_the_published_ones(training: bool, widths: tuple[int, ...], finest: int) -> None:
    decoder = make_decoder(widths).train(training)
    twin = copy.deepcopy(decoder)
    features, disparity = make_inputs()
    actual = gradients(decoder(features, disparity, finest=finest), decoder, features, disparity)
    expected = gradients(reference_decoder(twin, features, disparity)[finest:], twin, features, disparity)
    assert_same(actual, expected)


def test_batch_norm_gathers_the_published_statistics() -> None:
    decoder = make_decoder().train()
    twin = copy.deepcopy(decoder)
    before = copy.deepcopy(decoder.state_dict())
    features, disparity = make_inputs()
    decoder(features, disparity)
    reference_decoder(twin, features, disparity)
    statistics = [key for key in before if "running" in key]
    assert len(statistics) == 2 * (4 + 5 + 5)
    for key in statistics:
        assert not torch.equal(decoder.state_dict()[key], before[key])
        assert_near(decoder.state_dict()[key], twin.state_dict()[key])


@pytest.mark.parametrize("group", [1, 2, 3, 8])
def test_groups_of_planes_change_nothing_while_batch_norm_is_frozen(group: int) -> None:
    decoder = make_decoder().eval()
    features, disparity = make_inputs()
    actual = gradients(decoder(features, disparity, group=group), decoder, features, disparity)
    expected = gradients(reference_decoder(decoder, features, disparity), decoder, features, disparity)
    assert_same(actual, expected)


def test_single_precision() -> None:
    decoder = make_decoder().eval().float()
    features, disparity = make_inputs()
    features, disparity = [x.detach().float() for x in features], disparity.detach().float()
    for plane, expected in zip(
        decoder(features, disparity), reference_decoder(decoder, features, disparity), strict=True
    ):
        assert_near(plane, expected)


@pytest.mark.parametrize("size", [(64, 64), (96, 160), (224, 64)])
def test_image_sides_need_only_be_multiples_of_32(size: tuple[int, int]) -> None:
    decoder = make_decoder().eval()
    features, disparity = make_inputs(size)
    planes = decoder(features, disparity)
    assert [tuple(p.shape) for p in planes] == [(2, 3, 4, size[0] >> s, size[1] >> s) for s in range(4)]
    for plane, expected in zip(planes, reference_decoder(decoder, features, disparity), strict=True):
        assert_near(plane, expected)


def test_bottleneck_doubles_sizes_at_multiples_of_128() -> None:
    """There nearest x2, which is published, and upsampling to the size before pooling are the same."""
    bottleneck = make_decoder().bottleneck.eval()
    x = torch.randn(2, FEATURES[-1], 4, 8, dtype=torch.double)
    down = bottleneck.down2(F.max_pool2d(bottleneck.down1(F.max_pool2d(x, 3, 2, 1)), 3, 2, 1))
    up = bottleneck.up1(F.interpolate(down, scale_factor=2))
    assert_near(bottleneck(x), bottleneck.up2(F.interpolate(up, scale_factor=2)))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    biased=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_upsampled(size: tuple[int, int], channels: tuple[int, int], biased: bool, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, channels[0], *size, generator=generator, dtype=torch.double).requires_grad_()
    weight = torch.randn(channels[1], channels[0], 3, 3, generator=generator, dtype=torch.double).requires_grad_()
    bias = torch.randn(channels[1], generator=generator, dtype=torch.double) if biased else None
    nearest = F.interpolate(F.elu(x), scale_factor=2, mode="nearest")
    expected = F.conv2d(F.pad(nearest, (1, 1, 1, 1), mode="reflect"), weight, bias)
    frozen = nn.BatchNorm2d(channels[0]).eval()
    actual = norm_elu_upsample_conv(x, frozen, (phase_kernel(weight), bias.repeat(4) if bias is not None else None))
    torch.testing.assert_close(actual, expected)
    inputs, scale = (x, weight), torch.randn(expected.shape, generator=generator, dtype=torch.double)
    gradients = [torch.autograd.grad((scale * out).sum(), inputs) for out in (actual, expected)]
    torch.testing.assert_close(gradients[0], gradients[1])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.floats(0.001, 1.0))
def test_embedding_is_the_disparity_then_sines_and_cosines_of_doubling_frequency(disparity: float) -> None:
    expected = [disparity]
    for k in range(10):
        expected += [math.sin(2**k * disparity), math.cos(2**k * disparity)]
    actual = embed_disparity(torch.tensor([[disparity]], dtype=torch.double))
    assert actual.shape == (1, 1, CHANNELS)
    torch.testing.assert_close(actual[0, 0], torch.tensor(expected, dtype=torch.double))


@pytest.mark.parametrize("widths", [(2, 3, 4, 5, 6), (16, 32, 8, 8, 8)])
@pytest.mark.parametrize("size", [(64, 64), (64, 160)])
@pytest.mark.parametrize("group", [1, 2, 5])
def test_fused_planes_equal_the_reference(widths: tuple[int, ...], size: tuple[int, int], group: int) -> None:
    decoder = make_decoder(widths).float().eval().requires_grad_(False)
    features, disparity = make_inputs(size, batch=1, planes=5)
    features, disparity = [x.detach().float() for x in features], disparity.detach().float()
    (expected, *_) = reference_decoder(decoder, features, disparity)
    exact = FusedDecoder(decoder, torch.float32).decode(features, disparity[0], group)[None]
    assert_near(exact, expected)
    assert exact.permute(0, 1, 3, 4, 2).is_contiguous()  # the four numbers of a pixel side by side
    rough = FusedDecoder(decoder, torch.bfloat16).decode(features, disparity[0], group)[None]
    error = (rough - expected).abs().mean((0, 1, 3, 4)) / expected.abs().mean((0, 1, 3, 4))
    assert 0 < error.max() < 0.02


def test_fused_planes_do_not_depend_on_the_number_of_threads() -> None:
    decoder = make_decoder().float().eval().requires_grad_(False)
    features, disparity = make_inputs((64, 96), batch=1, planes=3)
    features, disparity = [x.detach().float() for x in features], disparity.detach().float()
    threads = torch.get_num_threads()
    try:
        planes = []
        for count in (1, 3):
            torch.set_num_threads(count)
            planes.append(FusedDecoder(decoder, torch.float32).decode(features, disparity[0], 2))
    finally:
        torch.set_num_threads(threads)
    assert_near(planes[1], planes[0])


@settings(max_examples=20, deadline=None, derandomize=True)
@given(size=st.tuples(st.integers(1, 5), st.integers(1, 5)), channels=st.integers(1, 4), seed=st.integers(0, 2**16))
def test_head_over_blocks_of_pixels(size: tuple[int, int], channels: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    padded = torch.randn(2, channels, 2 * height + 2, 2 * width + 2, generator=generator, dtype=torch.double)
    weight = torch.randn(4, channels, 3, 3, generator=generator, dtype=torch.double)
    blocks = padded.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).permute(0, 3, 5, 1, 2, 4).flatten(1, 3)
    actual = F.conv2d(blocks, head_kernel(weight)).unflatten(1, (2, 2, 4))  # (N, row, column, output, H, W)
    actual = actual.permute(0, 3, 4, 1, 5, 2).reshape(2, 4, 2 * height, 2 * width)
    torch.testing.assert_close(actual, F.conv2d(padded, weight))


@pytest.mark.parametrize("value", [-30.0, -3.0, -1e-3, 0.0, 1e-3, 3.0, 30.0])
def test_exponentials_of_the_compiled_kernels(value: float) -> None:
    """ELU, sigmoid and |x| where they saturate and where they bend."""
    values = np.full((1, 2, 2, 16), value, np.float32)
    activated, field = np.empty((1, 4, 4, 16), np.float32), np.empty((1, 4, 4, 4), np.float32)
    elu_pad(values, activated)
    activate_head(values, field)
    assert activated == pytest.approx(F.elu(torch.tensor(value)).item(), rel=1e-6, abs=3e-7)
    assert field[..., :3] == pytest.approx(1 / (1 + math.exp(-value)), rel=1e-6, abs=3e-7)
    assert field[..., 3] == pytest.approx(abs(value) + 1e-4)
