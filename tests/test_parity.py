"""Network, renderer and losses against what the published code computes (`parity/values.npz`)."""

import pytest
import torch
from published_values import published_state, published_values, subsampled
from torch import Tensor

from mine.evaluation import metrics
from mine.network.checkpoint import load_network
from mine.network.protocol import Network
from mine.render import Backend, View, reference, render
from mine.scene import points
from mine.training import losses

NETWORK_TOLERANCE = 2e-5
COLOUR_TOLERANCE = 1e-4
RENDER_TOLERANCE = 2e-4


@pytest.fixture(scope="module")
def expected() -> dict[str, Tensor]:
    return published_values()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """The network as its users get it: from a file with the published `params.yaml` beside it."""
    folder = tmp_path_factory.mktemp("published")
    torch.save(published_state(), folder / "checkpoint.pth")
    (folder / "params.yaml").write_text("mpi.disparity_start: 0.9\nmpi.disparity_end: 0.002\n")
    return load_network(folder / "checkpoint.pth")


@pytest.fixture(scope="module")
def predicted(network: Network, expected: dict[str, Tensor]) -> list[Tensor]:
    with torch.no_grad():
        return network(expected["image"], expected["disparity"])


def scene(expected: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    return expected["render_mpi"], expected["render_disparity"], expected["K_src"]


def target(expected: dict[str, Tensor], backend: Backend) -> View:
    return render(*scene(expected), expected["K_tgt"], expected["T_tgt_src"], (64, 96), backend=backend)


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Largest difference, relative to the largest value."""
    assert actual.shape == expected.shape
    return float((actual - expected).abs().max() / expected.abs().max())


def absolute_error(actual: Tensor, expected: Tensor) -> float:
    assert actual.shape == expected.shape
    return float((actual - expected).abs().max())


@pytest.mark.parametrize("scale", range(4))
def test_network_at_every_scale(predicted: list[Tensor], expected: dict[str, Tensor], scale: int) -> None:
    name = f"mpi_scale{scale}"
    assert predicted[scale].shape == (1, 4, 4, 128 >> scale, 256 >> scale)
    actual = subsampled(name, predicted[scale])
    assert relative_error(actual, expected[name]) < NETWORK_TOLERANCE
    # Densities dwarf colours here. Colours are sigmoids of outputs as large as those densities: so is their rounding.
    assert absolute_error(actual[:, :, :3], expected[name][:, :, :3]) < COLOUR_TOLERANCE


def test_network_in_groups_and_without_the_finest_scale(
    network: Network, predicted: list[Tensor], expected: dict[str, Tensor]
) -> None:
    with torch.no_grad():
        coarse = network(expected["image"], expected["disparity"], finest=1, group=3)
    assert len(coarse) == 3
    for actual, whole in zip(coarse, predicted[1:], strict=True):
        assert relative_error(actual, whole) < NETWORK_TOLERANCE


def test_disparity_range_comes_from_the_parameters_beside_the_checkpoint(network: Network) -> None:
    assert (network.near, network.far) == (0.9, 0.002)


def test_source_view(expected: dict[str, Tensor]) -> None:
    view = reference.render_source(*scene(expected))
    assert absolute_error(view.rgb, expected["src_rgb"]) < RENDER_TOLERANCE
    assert relative_error(view.depth, expected["src_depth"]) < RENDER_TOLERANCE


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_source_view_is_the_view_from_the_identity_pose(expected: dict[str, Tensor], backend: Backend) -> None:
    """In double precision: rounded sample positions alone move the steep densities by as much as the tolerance."""
    planes, disparity, K_src = (x.double() for x in scene(expected))
    identity = torch.eye(4, dtype=torch.double)[None]
    view = render(planes, disparity, K_src, K_src, identity, (64, 96), backend=backend)
    assert absolute_error(view.rgb, expected["src_rgb"]) < RENDER_TOLERANCE
    assert relative_error(view.depth, expected["src_depth"]) < RENDER_TOLERANCE


def test_source_transmittance(expected: dict[str, Tensor]) -> None:
    planes, disparity, K_src = scene(expected)
    seen = reference.source_transmittance(planes[:, :, 3], disparity, K_src)
    assert absolute_error(seen[:, :, None], expected["src_transmittance"]) < RENDER_TOLERANCE


def test_source_blending(expected: dict[str, Tensor]) -> None:
    blended = reference.blend_source(*scene(expected), expected["blend_image"])
    assert absolute_error(subsampled("blended_rgb", blended[:, :, :3]), expected["blended_rgb"]) < RENDER_TOLERANCE
    assert torch.equal(blended[:, :, 3], expected["render_mpi"][:, :, 3])


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_target_view(expected: dict[str, Tensor], backend: Backend) -> None:
    view = target(expected, backend)
    assert absolute_error(view.rgb, expected["tgt_rgb"]) < RENDER_TOLERANCE
    assert relative_error(view.depth, expected["tgt_depth"]) < RENDER_TOLERANCE
    assert torch.equal(view.mask, expected["tgt_mask"])


def test_similarity(expected: dict[str, Tensor]) -> None:
    similarity = losses.ssim(expected["tgt_rgb"], expected["blend_image"])
    torch.testing.assert_close(similarity, expected["loss_ssim"], rtol=1e-4, atol=0)


def test_smoothness(expected: dict[str, Tensor]) -> None:
    image, disparity = expected["blend_image"], 1 / expected["tgt_depth"]
    first = losses.smoothness_where_flat(image, disparity)
    torch.testing.assert_close(first, expected["loss_smooth_v1"], rtol=1e-4, atol=0)
    second = losses.smoothness(image, disparity)
    torch.testing.assert_close(second, expected["loss_smooth_v2"], rtol=1e-4, atol=0)


def test_signal_to_noise_ratio(expected: dict[str, Tensor]) -> None:
    actual = metrics.psnr(expected["tgt_rgb"], expected["blend_image"])
    torch.testing.assert_close(actual, expected["psnr"][None], rtol=1e-5, atol=0)


def test_scale_factor(expected: dict[str, Tensor]) -> None:
    scale = points.scale_factor(expected["points_src"], expected["src_depth"], expected["K_src"])
    torch.testing.assert_close(scale, expected["scale_factor"][:, 0], rtol=1e-5, atol=0)
