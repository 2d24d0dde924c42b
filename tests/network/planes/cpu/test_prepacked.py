"""Prepacked convolutions against torch's."""

import pytest
import torch
from torch import nn

from mine.network.planes.cpu import prepacked
from mine.network.planes.cpu.prepacked import PrepackedConv


@pytest.fixture(params=[True, False], ids=["operators", "none"], autouse=True)
def operators(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With oneDNN's operators, where the build of torch has them, and without."""
    if not request.param:
        monkeypatch.setattr(prepacked, "OPERATORS", None)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("groups", "stride", "padding", "dilation"), [(1, 1, 0, 1), (4, 2, 1, 1), (1, 2, 2, 2)])
def test_a_prepacked_convolution_is_the_same_for_inputs_of_any_size(
    bias: bool, groups: int, stride: int, padding: int, dilation: int
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 12, 3, stride, padding, dilation, groups, bias).requires_grad_(False)
    module = prepacked.prepack(nn.Sequential(conv, nn.ReLU()))
    assert isinstance(module[0], PrepackedConv)
    for size in ((2, 8, 9, 11), (1, 8, 20, 5), (2, 8, 9, 11)):
        x = torch.randn(size).contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(module(x), conv(x).relu())


@pytest.mark.parametrize("options", [{"padding": "same"}, {"padding": 1, "padding_mode": "reflect"}])
def test_other_padding_is_left_to_torch(options: dict[str, str]) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3, **options))  # type: ignore[arg-type]
    assert type(prepacked.prepack(module)[0]) is nn.Conv2d
