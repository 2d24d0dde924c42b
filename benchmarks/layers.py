"""What learned layers bring over the closed-form lift: `python benchmarks/layers.py CHECKPOINT` (generated scenes).

One disparity map, predicted or exact, is lifted in closed form, with the learned background, and with learned opacities
as well. The view of a second camera is compared with the truth: PSNR and SSIM of all that is covered, and PSNR of what
the photo hides. With exact depth, the opacity of foregrounds is compared with the share of each pixel that they cover.

`--photos FILES --picture OUT.jpg` draws photos instead: from one end of the default path, a crop of the closed form
beside the learned layers, where both differ most.
"""

import argparse
import copy
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image

import mine
from mine.data.base.sample import Sample
from mine.data.synthetic import SyntheticScenes
from mine.evaluation.evaluate import Method, evaluate_samples
from mine.network.checkpoint import load_network, make_network
from mine.network.layers.network import LayeredNetwork
from mine.output.camera_paths import scene_path
from mine.scene.depth_maps.depth_map import FARTHEST, make_depth_map
from mine.scene.inpaint import DISCONTINUITY

FIRST = 10_000_000
"""Number of the first scene, as in `configs/eval-generated.yaml`."""

SIZE = (256, 384)

COLOURS, DEPTH = slice(0, 3), slice(3, 4)
"""Outputs of the background network."""

LONGEST, CROP, STRIDE = 1280, 240, 40
"""Longest side of the views of photos, side of their crops, and step between the crops that are compared, in pixels."""

OUTLINE = 4
"""Pixels from an outline within which opacity is compared."""


def variants(network: LayeredNetwork) -> dict[str, mine.Model]:
    """The same disparity network with ever more learned layers, by name."""
    lift = make_network(replace(network.architecture, decoder="disparity", background=(), opacity=0))
    lift.load_state_dict(network.state_dict(), strict=False)
    background = make_network(replace(network.architecture, opacity=0))
    background.load_state_dict(network.state_dict(), strict=False)
    assert isinstance(background, LayeredNetwork)
    found = {
        "closed form": mine.Model(lift),
        "learned colour of the background": mine.Model(without(background, DEPTH)),
        "learned depth of the background": mine.Model(without(background, COLOURS)),
        "learned background": mine.Model(background),
    }
    return found | ({"and opacities": mine.Model(network)} if network.opacity_network is not None else {})


def without(network: LayeredNetwork, outputs: slice) -> LayeredNetwork:
    """A network whose background stays in closed form in some of its outputs: colours, then log-disparity."""
    changed = copy.deepcopy(network)
    head = changed.background_network.decoder.head
    assert head.bias is not None
    with torch.no_grad():
        head.weight[outputs], head.bias[outputs] = 0, 0
    return changed


def picture(networks: list[mine.Model], photos: list[Path]) -> Image.Image:
    """One row for each photo: the photo, and crops of a view by each network where they differ most."""
    rows = []
    for file in photos:
        scenes = [model.predict(file) for model in networks]
        pose = scene_path(scenes[0], "swing", 90).poses
        pose = pose[pose[:, 0, 3].argmax()]
        shown = scenes[0].photo
        assert shown is not None
        size = view_size(shown.shape[-2:])
        views = [scene.render(pose, size=size).rgb[0] for scene in scenes]
        difference = F.avg_pool2d((views[0] - views[1]).abs().sum(0)[None, None], CROP, STRIDE)[0, 0]
        row, column = divmod(int(difference.argmax()), difference.shape[1])
        top, left = (STRIDE * x for x in (row, column))
        crops = [view[:, top : top + CROP, left : left + CROP] for view in views]
        whole = F.interpolate(shown[None].float(), (CROP, round(CROP * size[1] / size[0])), mode="area")[0]
        rows.append([whole, *crops])
    width = max(row[0].shape[-1] for row in rows)
    joined = [torch.cat([F.pad(row[0], (0, width - row[0].shape[-1]), value=1.0), *row[1:]], dim=2) for row in rows]
    return Image.fromarray((torch.cat(joined, 1).clamp(0, 1).movedim(0, -1) * 255).byte().numpy())


def view_size(shape: torch.Size) -> tuple[int, int]:
    """The size of a view of a photo: `LONGEST` pixels long."""
    factor = LONGEST / max(shape)
    return round(factor * shape[0]), round(factor * shape[1])


def method(model: mine.Model, exact: bool) -> Method:
    """Predicts a sample's scene from the photo alone, or from its exact depth too."""

    def predict(sample: Sample) -> mine.MPI:
        depth = make_depth_map(sample.depth_src[0].numpy(), kind="depth") if exact else None
        return model.predict(sample.source, size=SIZE, K=sample.K_src, depth=depth)

    return predict


def outline_error(model: mine.Model, fine: Sample) -> float:
    """Mean error of the opacity of foregrounds within `OUTLINE` pixels of their outlines.

    Args:
        model: The model, which is given the exact depth.
        fine: A sample of twice the size, whose 2x2 pixels tell the share of a pixel that the foreground covers.
    """
    coarse = F.interpolate(fine.depth_src[None], scale_factor=0.5, mode="nearest")
    depth = make_depth_map(coarse[0, 0].numpy(), kind="depth")
    nearest = depth.relative_disparity()[1]
    true, at_pixels = ((1 / x / nearest).clamp(FARTHEST, 1) for x in (fine.depth_src[None], coarse))
    window = 2 * OUTLINE + 1
    near, far = F.max_pool2d(at_pixels, window, 1, OUTLINE), -F.max_pool2d(-at_pixels, window, 1, OUTLINE)
    middle = (near * far).sqrt()
    covered = F.avg_pool2d((true > F.interpolate(middle, scale_factor=2, mode="nearest")).float(), 2)
    scene = model.predict(F.avg_pool2d(fine.source, 2), size=SIZE, depth=depth)
    interval = torch.cat([(1 / scene.disparity).diff(), torch.full((1,), 1e3)])[:, None, None]
    in_front = (scene.disparity[:, None, None] > middle[0]).float()
    opacity = 1 - torch.exp(-(scene.sigma[:, 0] * interval * in_front).sum(0))
    return float((opacity - covered[0, 0]).abs()[(near > DISCONTINUITY**2 * far)[0, 0]].mean())


def print_figures(models: dict[str, mine.Model], count: int, outlines: int) -> None:
    """Prints the tables: `count` scenes, `outlines` of them for the opacities."""
    scenes, fine = (
        SyntheticScenes(count, SIZE, seed=FIRST),
        SyntheticScenes(outlines, (2 * SIZE[0], 2 * SIZE[1]), seed=FIRST),
    )
    for name, exact in (("predicted depth", False), ("exact depth", True)):
        print(f"\n| {name} | PSNR | SSIM | PSNR disoccluded |\n|---|--:|--:|--:|")
        methods = {label: method(model, exact) for label, model in models.items()}
        found = evaluate_samples(None, scenes, count, methods).mean()
        for label, metrics in found.items():
            print(f"| {label} | {metrics['psnr']:.2f} | {metrics['ssim']:.3f} | {metrics['psnr_hidden']:.2f} |")
    print("\n| | error of opacity at outlines | seconds a prediction |\n|---|--:|--:|")
    photo = scenes[0].source
    for label, model in models.items():
        error = sum(outline_error(model, fine[i]) for i in range(outlines)) / outlines
        model.predict(photo, size=SIZE)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            model.predict(photo, size=SIZE)
            times.append(time.perf_counter() - start)
        print(f"| {label} | {error:.4f} | {sorted(times)[2]:.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", help="of configs/layers.yaml")
    parser.add_argument("--count", type=int, default=30, help="generated scenes")
    parser.add_argument("--outlines", type=int, default=8, help="of these, for the opacities")
    parser.add_argument("--photos", type=Path, nargs="+", help="draw these instead")
    parser.add_argument("--picture", type=Path, default=Path("layers.jpg"), help="picture of the photos")
    arguments = parser.parse_args()
    network = load_network(Path(arguments.checkpoint))
    if not isinstance(network, LayeredNetwork):
        raise SystemExit(f"{arguments.checkpoint} has no learned layers: give a checkpoint of configs/layers.yaml")
    models = variants(network)
    if arguments.photos:
        picture([models["closed form"], mine.Model(network)], arguments.photos).save(arguments.picture, quality=88)
    else:
        print_figures(models, arguments.count, arguments.outlines)


if __name__ == "__main__":
    main()
