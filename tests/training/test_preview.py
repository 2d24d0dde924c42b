"""Preview images of a run."""

import pytest
import torch
from tiny_sample import make_sample, stack

import mine
from mine.network.architecture import Architecture
from mine.network.checkpoint import make_network
from mine.render.reference import render_source
from mine.scene.camera import intrinsics
from mine.training.preview import PLANES, preview_images

TINY = Architecture("mobilenetv3_small_050", (4, 4, 8, 8, 8), decoder="disparity")
SIZE = (128, 128)


@pytest.mark.parametrize("fov", [25.0, 90.0])
def test_previews_show_the_scene_that_a_model_predicts_for_the_camera(fov: float) -> None:
    torch.manual_seed(0)
    network = make_network(TINY).eval()
    with torch.no_grad():
        network.decoder.head.weight.mul_(100)  # type: ignore[operator, union-attr]  # untrained, its maps are nearly flat
    sample = make_sample(SIZE)._replace(K_src=intrinsics(SIZE, fov))
    found = preview_images(network, stack(sample))["disparity"]
    scene = mine.Model(network).predict(sample.source, planes=PLANES, size=SIZE, K=sample.K_src)
    disparity = 1 / render_source(scene.planes[None], scene.disparity[None], sample.K_src[None]).depth[0]
    assert disparity.std() > 0.05
    torch.testing.assert_close(found, disparity / disparity.amax(), rtol=1e-3, atol=1e-3)
