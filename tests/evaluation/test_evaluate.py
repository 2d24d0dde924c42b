"""The evaluation protocol on scenes whose depth is known."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from colmap_scene import FOCAL, HEIGHT, WIDTH, write_scene
from PIL import Image
from tiny_sample import stack

from mine.data.base.disocclusion import uncovered
from mine.data.base.sample import Sample
from mine.data.datasets.colmap import Colmap
from mine.errors import InputError
from mine.evaluation import evaluate as evaluation
from mine.evaluation.baselines import interpolated_disparity, sfm_upper_bound, single_plane
from mine.evaluation.evaluate import evaluate, evaluate_samples, near_points
from mine.evaluation.report import Report, write_report
from mine.scene.mpi import MPI

SIZE = (64, 96)
DEPTH = 6.0


def wall(points: np.ndarray) -> np.ndarray:
    """Smooth grey levels of a painted wall at world (..., x, y)."""
    x, y = points[..., 0], points[..., 1]
    return 0.5 + 0.2 * np.sin(3.1 * x + 1) * np.cos(2.3 * y) + 0.2 * np.sin(1.7 * x - 2.9 * y)


@pytest.fixture
def painted(tmp_path: Path) -> Colmap:
    """A capture of a painted wall at one depth, seen from three cameras side by side."""
    x, y = np.meshgrid(np.linspace(-2, 2, 7), np.linspace(-1.2, 1.2, 5))
    points = np.stack([x, y, np.full_like(x, DEPTH)], axis=-1).reshape(-1, 3)
    centres = np.array([[0.0, 0, 0], [0.5, 0, 0], [1.2, 0, 0]])
    folder = write_scene(tmp_path / "wall", centres, points=points)
    v, u = np.indices((HEIGHT, WIDTH)) + 0.5
    for number, centre in enumerate(centres, start=1):
        seen = np.stack([u - WIDTH / 2, v - HEIGHT / 2], axis=-1) / FOCAL * DEPTH + centre[:2]
        grey = (255 * wall(seen)).round().astype(np.uint8)
        Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(folder / "images" / f"{number:02d}.png")
    return Colmap([folder], SIZE, training=False)


def plane_at(depth: float, image: torch.Tensor, K: torch.Tensor) -> MPI:
    """The image on one opaque plane, a second one just behind it."""
    sigma = torch.full((2, 1, *image.shape[-2:]), 1e6)
    return MPI(image.expand(2, *image.shape), sigma, torch.tensor([1 / depth, 0.999 / depth]), K)


@pytest.mark.parametrize("depth", [0.2, 1.0, 7.0])
def test_scale_is_calibrated_whatever_the_predictors_unit(painted: Colmap, depth: float) -> None:
    report = evaluate(lambda image, K: plane_at(depth, image, K), painted, backend="reference", progress=False)
    mean = report.mean()
    assert mean["prediction"]["psnr"] > 35
    assert mean["prediction"]["ssim"] > 0.98
    assert mean["prediction"]["psnr"] == pytest.approx(mean["one plane"]["psnr"], abs=0.5)
    assert mean["unchanged"]["psnr"] < 20


def test_wrong_depth_scores_less_and_reversed_depth_is_out_of_order(tmp_path: Path) -> None:
    folder = write_scene(tmp_path / "s", np.array([[0.0, 0, 0], [0.3, 0, 0], [0.6, 0, 0]]))
    dataset = Colmap([folder], SIZE, training=False)
    truth = {float(s.source.sum()): interpolated_disparity(s.depth_src) for s in (dataset[i] for i in range(6))}

    def slanted(sign: float, image: torch.Tensor, K: torch.Tensor) -> MPI:
        disparity = torch.linspace(1.2, 0.3, 48)
        wanted = truth[float(image.sum())] if sign > 0 else 1.6 - truth[float(image.sum())]
        sigma = 1e4 * (disparity[:, None, None, None] <= wanted)
        return MPI(image.expand(48, *image.shape), sigma, disparity, K)

    right = evaluate(lambda i, K: slanted(1, i, K), dataset, {}, backend="reference", progress=False).mean()
    wrong = evaluate(lambda i, K: slanted(-1, i, K), dataset, {}, backend="reference", progress=False).mean()
    assert right["prediction"]["spearman"] > 0.95 and right["prediction"]["ordered"] > 0.99
    assert wrong["prediction"]["spearman"] < -0.95 and wrong["prediction"]["ordered"] < 0.01
    assert right["prediction"]["psnr"] > wrong["prediction"]["psnr"] + 2


def test_source_is_predicted_once_for_both_targets(painted: Colmap) -> None:
    calls = []

    def predictor(image: torch.Tensor, K: torch.Tensor) -> MPI:
        calls.append(image)
        return plane_at(1.0, image, K)

    report = evaluate(predictor, painted, baselines={}, backend="reference", progress=False)
    assert len(painted) == 6 and len(calls) == 3
    assert len(report.views["wall"]["prediction"]) == 6


def test_pairs_that_cannot_be_decoded_are_left_out_with_a_note(painted: Colmap) -> None:
    """The first picture is the source of two pairs, and the target of the others' first ones."""
    whole = evaluate(None, painted, {"unchanged": lambda sample: None}, progress=False).views["wall"]["unchanged"]
    folder = painted.pairs[0][0].path.parent
    broken = sorted(folder.iterdir())[0]
    kept = [m for pair, m in zip(painted.pairs, whole, strict=True) if broken not in [view.path for view in pair]]
    broken.write_bytes(b"no picture")
    painted._decoded.clear()
    calls = []

    def predictor(image: torch.Tensor, K: torch.Tensor) -> MPI:
        calls.append(image)
        return plane_at(1.0, image, K)

    report = evaluate(predictor, painted, {"unchanged": lambda sample: None}, backend="reference", progress=False)
    assert report.views["wall"]["unchanged"] == kept and len(kept) == 2 and len(calls) == 2
    assert report.mean()["prediction"]["psnr"] > 35
    assert len(report.notes) == 1 and report.notes[0].startswith(f"left out: 4 of 6 pairs cannot be decoded ({broken}")
    for other in folder.iterdir():
        other.write_bytes(b"no picture")
    painted._decoded.clear()
    with pytest.raises(InputError, match="none of 6 pairs can be decoded"):
        evaluate(None, painted, progress=False)


def test_soup_beats_one_plane_on_a_slant(tmp_path: Path) -> None:
    folder = write_scene(tmp_path / "s", np.array([[0.0, 0, 0], [0.5, 0, 0], [1.0, 0, 0]]))
    dataset = Colmap([folder], SIZE, training=False)
    mean = evaluate(None, dataset, backend="reference", progress=False).mean()
    assert mean["SfM upper bound"]["psnr"] > mean["one plane"]["psnr"] + 2 > mean["unchanged"]["psnr"] + 3
    assert mean["SfM upper bound"]["spearman"] > 0.99
    assert math.isnan(mean["one plane"]["spearman"]) and math.isnan(mean["one plane"]["ordered"])


def ramp_sample() -> Sample:
    """A source whose known disparities fall evenly from 1 on the left to 1/3 on the right."""
    depth = torch.zeros(1, 32, 48)
    depth[0, ::4, ::4] = 1 / torch.linspace(1, 1 / 3, 48)[None, ::4]
    image = torch.rand(3, 32, 48, generator=torch.Generator().manual_seed(0))
    K = torch.tensor([[40.0, 0, 23.5], [0, 40, 15.5], [0, 0, 1]])
    known = depth[0].nonzero()
    rays = torch.linalg.inv(K) @ torch.cat([known.flip(1), torch.ones(len(known), 1)], dim=1).T
    points = rays * depth[0][known[:, 0], known[:, 1]]
    return Sample(image, image, K, K, torch.eye(4), points, points, depth, depth, torch.tensor(0.0))


def test_baselines_show_the_photo_at_the_known_depths() -> None:
    sample = ramp_sample()
    for scene, tolerance in ((single_plane(sample), 1e-3), (sfm_upper_bound(sample), 1e-3)):
        view = scene.render(torch.eye(4), backend="reference")
        torch.testing.assert_close(view.rgb[0], sample.source, atol=tolerance, rtol=0)
    known = sample.depth_src > 0
    rendered = 1 / sfm_upper_bound(sample).render(torch.eye(4), backend="reference").depth[0][known]
    step = (1.01 - 0.33) / 63
    assert (rendered - 1 / sample.depth_src[known]).abs().max() < 1.1 * step
    plane = single_plane(sample).render(torch.eye(4), backend="reference").depth
    assert plane.mean() == pytest.approx(float(sample.points_src[2].median()), rel=1e-3)


def test_disparity_is_interpolated_linearly_and_continued() -> None:
    disparity = interpolated_disparity(ramp_sample().depth_src)
    assert torch.isfinite(disparity).all()
    expected = torch.linspace(1, 1 / 3, 48).expand(32, 48)
    torch.testing.assert_close(disparity[:29, :45], expected[:29, :45], atol=1e-4, rtol=0)
    assert disparity[-1, -1] == pytest.approx(float(disparity[28, 44]), abs=1e-4)


def bar_sample() -> Sample:
    """A bar at depth 1 before a wall at depth 4; the target camera is 0.3 to the right."""
    K = torch.tensor([[40.0, 0, 23.5], [0, 40, 15.5], [0, 0, 1]])
    source, target = torch.full((1, 32, 48), 4.0), torch.full((1, 32, 48), 4.0)
    source[..., 20:28] = 1.0
    target[..., 8:16] = 1.0  # 0.3 · 40 / 1 = 12 pixels to the left; the wall moves by 3
    T = torch.eye(4)
    T[0, 3] = -0.3
    photo = torch.rand(3, 32, 48, generator=torch.Generator().manual_seed(0))
    points = torch.tensor([[0.0], [0.0], [1.0]])
    return Sample(photo, photo, K, K, T, points, points, source, target, torch.tensor(1.0))


def test_disoccluded_pixels_are_those_behind_the_bar() -> None:
    hidden = uncovered(stack(bar_sample())).hidden[0]
    expected = torch.zeros(1, 32, 48, dtype=torch.bool)
    expected[..., 17:25] = True  # wall pixels that the source has at 20..27
    assert torch.equal(hidden, expected)


def test_disoccluded_pixels_are_scored_apart() -> None:
    sample = bar_sample()
    sample = sample._replace(target=sample.source.clone())
    sample.target[..., 17:25] = (sample.target[..., 17:25] + 0.1).clamp(max=1.1)
    report = evaluate_samples(None, [sample], 1, backend="reference", progress=False)  # type: ignore[arg-type]
    metrics = report.mean()["unchanged"]
    assert metrics["psnr_hidden"] == pytest.approx(20, abs=0.01)
    assert metrics["psnr"] == pytest.approx(20 + 10 * math.log10(48 / 8), abs=0.01)


def test_the_scale_of_generated_scenes_is_fitted_too() -> None:
    """A predictor in another unit is forgiven: no photo tells its scale. One in a wrong shape is not."""
    sample = bar_sample()
    target = plane_at(4.0, sample.source, sample.K_src).render(sample.T_tgt_src, sample.K_tgt, backend="reference")
    shifted = sample._replace(target=target.rgb[0], points_src=torch.tensor([[0.0], [0.0], [4.0]]))
    for far, forgiven in ((4.0, True), (8.0, False)):
        data = [shifted._replace(points_src=torch.tensor([[0.0], [0.0], [far]]))]
        report = evaluate_samples(
            lambda image, K: plane_at(1.0, image, K),
            data,  # type: ignore[arg-type]
            1,
            backend="reference",
            progress=False,
        )
        assert (report.mean()["prediction"]["psnr"] > 40) == forgiven


def test_the_sky_does_not_tell_the_scale_of_generated_scenes() -> None:
    """It is farther than a scene's farthest plane, so that the truth itself has the wrong depth there."""
    sample = bar_sample()
    sample.T_tgt_src[0, 3] = -0.29  # 11.6 pixels: of whole ones, rounding would decide which plane shows
    bar = torch.zeros(1, 1, 32, 48)
    bar[..., 20:28] = 1e6
    sigma = torch.cat([bar, torch.full((1, 1, 32, 48), 1e6)])
    image = torch.stack([sample.source, torch.full((3, 32, 48), 0.5)])  # the sky is plain
    truth = MPI(image, sigma, torch.tensor([1.0, 1 / 16]), sample.K_src)
    target = truth.render(sample.T_tgt_src, sample.K_tgt, backend="reference").rgb[0]
    on_bar, on_sky = torch.tensor([[0.0], [0.0], [1.0]]), torch.tensor([[-400.0], [0.0], [1000.0]])
    mixed = sample._replace(target=target, points_src=torch.cat([on_bar, on_sky], dim=1))
    far = mixed._replace(points_src=on_sky)
    assert torch.equal(near_points(mixed).points_src, on_bar)
    assert torch.equal(near_points(far).points_src, on_sky), "there are no others"
    report = evaluate_samples(
        lambda image, K: truth,
        [mixed],  # type: ignore[arg-type]
        1,
        backend="reference",
        progress=False,
    )
    assert report.mean()["prediction"]["psnr"] > 50


def test_lpips_is_measured_within_the_border_or_reported_as_unavailable(
    painted: Colmap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def distance(image: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        seen.append((image.shape, true.shape))
        return torch.tensor([0.25])

    painted.border = 0.125
    monkeypatch.setattr(evaluation, "perceptual_distance", lambda: distance)
    report = evaluate(None, painted, perceptual=True, backend="reference", progress=False)
    assert report.mean()["unchanged"]["lpips"] == 0.25 and not report.notes
    assert set(seen) == {((1, 3, 48, 72), (1, 3, 48, 72))}
    monkeypatch.setattr(evaluation, "perceptual_distance", lambda: None)
    report = evaluate(None, painted, perceptual=True, backend="reference", progress=False)
    assert "LPIPS is unavailable" in report.markdown() and "lpips" in report.markdown()
    write_report(report, tmp_path / "r.json")
    tree = json.loads((tmp_path / "r.json").read_text())
    assert tree["mean"]["unchanged"]["lpips"] is None and "LPIPS is unavailable" in tree["notes"][0]


def test_report_averages_scenes_and_leaves_out_what_is_missing(tmp_path: Path) -> None:
    report = Report()
    report.add("a", "m", {"psnr": 10.0, "lpips": math.nan})
    report.add("a", "m", {"psnr": 20.0, "lpips": math.nan})
    report.add("b", "m", {"psnr": 30.0, "lpips": math.nan})
    assert report.scenes()["a"]["m"]["psnr"] == 15
    assert report.mean()["m"]["psnr"] == 22.5
    write_report(report, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["mean"]["m"] == {"psnr": 22.5, "lpips": None}
    write_report(report, tmp_path / "r.md")
    assert "| mean | m | 3 | 22.50 | – |" in (tmp_path / "r.md").read_text()
    with pytest.raises(InputError, match="json or"):
        write_report(report, tmp_path / "r.txt")
