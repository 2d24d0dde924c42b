"""Training runs on one small sample with a small network: they learn, log, and survive bad batches."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from colmap_scene import write_scene
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_run import ARCHITECTURE, BATCH, SIZE, Feed, config_for, saved
from tiny_sample import stack

import mine
from mine.config import EvalConfig
from mine.data.base.rng import BatchRng
from mine.data.base.sample import Sample
from mine.data.sources import ColmapSource
from mine.errors import InputError
from mine.evaluation.protocol import evaluate_config
from mine.network.architecture import Architecture, PartialArchitecture
from mine.network.checkpoint import make_network, save_network
from mine.network.encoders.encoder import make_encoder
from mine.network.encoders.imagenet import imagenet_weights
from mine.training import train as training
from mine.training.batches import process_rows
from mine.training.optim import start_network
from mine.training.plane_losses import plane_losses

NO_LOSS = ("step", "total", "gradient_norm", "samples_per_second", "skipped")


# Runs


def test_data_are_looked_at_before_weights_are_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mine.training.state.start_network", lambda config: pytest.fail("weights were fetched"))
    missing = ColmapSource(kind="colmap", root=str(tmp_path / "none"))
    for config in (config_for(tmp_path / "run", data=(missing,)), config_for(tmp_path / "run", data=())):
        with pytest.raises(InputError, match=r"none|no training data"):
            training.train(config)


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv3_small_050"])
def test_without_a_network_it_is_said_where_weights_come_from(encoder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise URLError("Network is unreachable")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)
    monkeypatch.setattr("timm.create_model", refuse)
    network = make_encoder(encoder) if encoder == "resnet18" else None
    with pytest.raises(InputError, match=f"ImageNet weights of {encoder} cannot be downloaded") as caught:
        network.load_imagenet() if network else imagenet_weights(encoder)
    assert "connect once" in str(caught.value) and "\n" not in str(caught.value)


def test_a_run_learns_and_its_checkpoint_predicts(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    sample = feed().sample
    config = config_for(tmp_path, steps=20, save_every=100, ema=0.0, learning_rate=1e-2)
    torch.manual_seed(config.seed)
    start = start_network(config).eval()
    checkpoint = training.train(config)
    assert checkpoint == tmp_path / "mine.safetensors"
    model = mine.load(checkpoint, device="cpu")
    assert model.network.architecture == ARCHITECTURE
    disparity = torch.linspace(1, 0.1, 6)[None]
    with torch.no_grad():
        before, after = (plane_losses(network, stack(sample), disparity, config) for network in (start, model.network))
    assert after["total"] < 0.8 * before["total"]
    assert after["occupancy"] < 0.8 * before["occupancy"]
    scene = model.predict(sample.source, planes=3, size=(128, 128))
    assert torch.isfinite(scene.rgb).all()


def test_augmentation_and_losses_draw_from_different_streams(
    tmp_path: Path, feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed()
    seeds = []
    seeded = BatchRng.seeded
    monkeypatch.setattr(BatchRng, "seeded", lambda seed, *rows: seeds.append(seed) or seeded(seed, *rows))
    training.train(config_for(tmp_path, steps=2))
    assert len(seeds) >= 4  # two uses in two steps
    assert len(set(seeds)) == len(seeds)


def test_a_run_stops_early_and_resumes_to_the_end_of_its_schedule(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    feed()
    training.train(config_for(tmp_path / "early", steps=4, stop=2))
    assert json.loads((tmp_path / "early" / "figures.json").read_text())["steps"] == 2
    training.train(config_for(tmp_path / "early", steps=4))
    training.train(config_for(tmp_path / "whole", steps=4))
    early, whole = saved(tmp_path / "early"), saved(tmp_path / "whole")
    assert all(torch.equal(early[name], whole[name]) for name in whole)


def test_curves_images_and_a_summary_are_logged(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    feed()
    training.train(config_for(tmp_path, steps=2))
    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    metrics = json.loads(line)
    assert metrics["step"] == 2
    assert metrics["samples_per_second"] > 0
    parts = [metrics[name] for name in metrics if name not in NO_LOSS]
    assert metrics["total"] == pytest.approx(sum(parts), rel=1e-5)
    board = EventAccumulator(str(tmp_path)).Reload()
    assert [event.value for event in board.Scalars("total")] == pytest.approx([metrics["total"]])
    assert set(board.Tags()["images"]) == {"source", "view", "target", "disparity", "error"}
    assert all((event.width, event.height) == SIZE[::-1] for event in board.Images("view"))
    summary = json.loads((tmp_path / "figures.json").read_text())
    assert (summary["steps"], summary["samples"], summary["skipped_steps"]) == (2, 2 * BATCH, 0)
    assert summary["last"]["total"] == metrics["total"]
    assert summary["seconds"] > 0 and summary["peak_memory_gb"] > 0


def test_held_out_views_are_evaluated_during_the_run(
    tmp_path: Path, feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_scene(tmp_path / "kept", np.array([[0.0, 0, 0], [0.4, 0, 0], [0.8, 0, 0]]))
    held_out = EvalConfig(
        ColmapSource(kind="colmap", root=str(tmp_path), scenes=(folder.name,)), size=(128, 128), planes=3
    )
    feed()
    config = config_for(tmp_path / "run", steps=3, held_out=held_out, evaluate_every=2, ema=0.0)
    checkpoint = training.train(config)
    lines = [json.loads(line) for line in (tmp_path / "run" / "held-out.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 2, 3]
    assert len({line["psnr"] for line in lines}) == 3
    last = evaluate_config(mine.load(checkpoint, "cpu", "float32"), replace(held_out, lpips=False)).mean()["prediction"]
    assert lines[-1]["psnr"] == pytest.approx(last["psnr"], abs=1e-3)
    board = EventAccumulator(str(tmp_path / "run")).Reload()
    assert [event.step for event in board.Scalars("held_out/psnr")] == [0, 2, 3]
    assert json.loads((tmp_path / "run" / "figures.json").read_text())["held_out"]["psnr"] == lines[-1]["psnr"]


def test_unreadable_samples_are_counted_and_do_not_end_a_run(
    tmp_path: Path, no_download: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By worker processes too."""
    scene = write_scene(tmp_path / "scene", np.array([[0.0, 0, 0], [0.4, 0, 0], [0.8, 0, 0]]))
    (scene / "images" / "02.png").write_bytes(b"no image")
    data = (ColmapSource(kind="colmap", root=str(tmp_path), scenes=(scene.name,)),)
    training.train(config_for(tmp_path / "run", steps=4, data=data, workers=1))
    metrics = json.loads((tmp_path / "run" / "figures.json").read_text())
    assert metrics["steps"] == 4 and metrics["skipped_steps"] == 0
    assert metrics["unreadable_samples"] > 0


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_input_in_a_loader_process_is_told_in_its_own_words(
    tmp_path: Path, feed: Callable[..., Feed], workers: int
) -> None:
    def refuse(step: int, sample: Sample) -> Sample:
        raise InputError("no picture can be read: check the disk")

    feed(refuse)
    with pytest.raises(InputError) as told:
        training.train(config_for(tmp_path, workers=workers))
    assert str(told.value) == "no picture can be read: check the disk"


def test_means_do_not_count_skipped_steps(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    totals = []
    for name, change in {"plain": lambda step, sample: sample, "one skipped": broken_at(2)}.items():
        feed(change)
        still = {"learning_rate": 0.0, "encoder_learning_rate": 0.0, "ema": 0.0}
        training.train(config_for(tmp_path / name, steps=2, **still))
        metrics = json.loads((tmp_path / name / "log.jsonl").read_text())
        totals.append(metrics["total"])
    assert metrics["skipped"] == 1
    assert totals[1] > 0.9 * totals[0]


def test_half_precision_learns_alike(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    feed()
    totals = []
    for precision in ("fp32", "bf16", "fp16"):
        training.train(config_for(tmp_path / precision, steps=2, precision=precision))
        metrics = json.loads((tmp_path / precision / "figures.json").read_text())
        assert metrics["skipped_steps"] == 0 and metrics["precision"] == precision
        totals.append(metrics["last"]["total"])
    assert totals[1:] == pytest.approx([totals[0]] * 2, rel=0.05) and totals[0] not in totals[1:]


def test_the_ema_lags_behind_the_weights(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    feed()
    training.train(config_for(tmp_path / "slow", ema=0.999))
    training.train(config_for(tmp_path / "none", ema=0.0))
    last = torch.load(tmp_path / "slow" / "state.pt", weights_only=True)["parts"][0]
    for name, value in saved(tmp_path / "none").items():
        torch.testing.assert_close(last[name], value, msg=name)
    name = "decoder.heads.0.weight"
    assert not torch.equal(saved(tmp_path / "slow")[name], last[name])


def test_a_run_starts_from_a_checkpoint_and_frozen_parts_stay(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    feed()
    first = training.train(config_for(tmp_path / "first", steps=1))
    config = config_for(tmp_path / "second", steps=2, ema=0.0, start=str(first), frozen=("backbone.conv_stem",))
    training.train(config)
    before, after = saved(tmp_path / "first"), saved(tmp_path / "second")
    assert torch.equal(after["encoder.backbone.conv_stem.weight"], before["encoder.backbone.conv_stem.weight"])
    moved = "encoder.backbone.blocks.0.0.conv_pw.weight"
    assert not torch.equal(after[moved], before[moved])
    statistics = [name for name in before if name.startswith("encoder") and "running" in name]
    assert statistics
    assert all(torch.equal(after[name], before[name]) for name in statistics)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    start = tmp_path / "surface.safetensors"
    save_network(make_network(Architecture(ARCHITECTURE.encoder, (4, 4, 4, 4, 4), decoder="disparity")), start)
    config = config_for(tmp_path, start=str(start), architecture=PartialArchitecture(members=1))
    assert start_network(config).architecture.widths[0] == 4
    layers = PartialArchitecture(decoder="layers", background=(4, 4, 4, 4, 4))
    assert start_network(replace(config, architecture=layers)).architecture.encoder == ARCHITECTURE.encoder
    for given, told in (
        (ARCHITECTURE, r"widths = \(4, 4, 4, 4, 4\) and \(4, 8, 8, 8, 8\)"),
        (PartialArchitecture(decoder="planes"), "decoder = 'disparity' and 'planes'"),  # equal to the default
        (PartialArchitecture(members=2), "members = 1 and 2"),
        (PartialArchitecture(background=(4, 4, 4, 4, 4)), r"background = \(\) and \(4, 4, 4, 4, 4\)"),
        (replace(layers, encoder="resnet50"), "encoder = 'mobilenetv3_small_050' and 'resnet50'"),
        (replace(layers, members=5), "members = 1 and 5"),
    ):
        refused = replace(config, architecture=given, batch=1)
        for look in (start_network, lambda config: process_rows(config, 0, 1)):
            with pytest.raises(InputError, match=f"start .* and the given architecture have {told}: leave out"):
                look(refused)


def test_one_image_has_no_batch_statistics(tmp_path: Path) -> None:
    """Disparity networks and layers are trained on both images of a sample."""
    for decoder, size in (("planes", (128, 256)), ("disparity", (32, 32))):
        config = config_for(tmp_path, architecture=PartialArchitecture(decoder=decoder), size=size, batch=1)
        assert process_rows(config, 0, 1) == [range(1)]
    with pytest.raises(InputError, match=r"one sample of size \[128, 64\] has no batch statistics"):
        process_rows(config_for(tmp_path, size=(128, 64), batch=1), 0, 1)


def test_a_run_without_data_is_refused(tmp_path: Path, no_download: None) -> None:
    with pytest.raises(InputError, match="no training data"):
        training.train(config_for(tmp_path))


def test_several_targets_and_fine_planes_train(tmp_path: Path, no_download: None) -> None:
    write_scene(tmp_path / "scene", np.array([[0.0, 0, 0], [0.3, 0, 0], [0.6, 0, 0]]))
    data = (ColmapSource(kind="colmap", root=str(tmp_path), scenes=("scene",)),)
    config = config_for(tmp_path / "run", steps=2, data=data, targets=2, fine_planes=2, accumulate=2, batch=4)
    training.train(config)
    metrics = json.loads((tmp_path / "run" / "figures.json").read_text())
    assert metrics["samples"] == 8 and math.isfinite(metrics["last"]["total"]) and metrics["skipped_steps"] == 0


# Losses that are not finite


def broken(sample: Sample) -> Sample:
    return sample._replace(source=torch.full_like(sample.source, math.nan))


def broken_at(*steps: int) -> Callable[[int, Sample], Sample]:
    return lambda step, sample: broken(sample) if step in steps else sample


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # the first step is skipped
def test_a_batch_whose_loss_is_not_finite_leaves_no_trace(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    feed(broken_at(1, 3))
    training.train(config_for(tmp_path, steps=4))
    for value in saved(tmp_path).values():
        assert torch.isfinite(value).all()
    state = torch.load(tmp_path / "state.pt", weights_only=True)["parts"][0]
    assert all(torch.isfinite(value).all() for value in state.values())


def test_too_many_skipped_steps_in_a_row_end_the_run_with_one_clear_error(
    tmp_path: Path, feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert training.MAX_SKIPPED_STEPS == 10
    monkeypatch.setattr(training, "MAX_SKIPPED_STEPS", 3)
    dataset = feed(lambda step, sample: sample if step in (1, 4) else broken(sample))
    with pytest.raises(InputError, match=r"not finite for 3 steps.*lower learning_rate"):
        training.train(config_for(tmp_path, steps=100, save_every=1000))
    assert dataset.steps == 7  # two after the first were forgiven
    assert not (tmp_path / "mine.safetensors").exists()
