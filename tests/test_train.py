"""Training runs on one small sample with a small network: they learn, stop, go on, and survive bad batches."""

import copy
import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_sample import make_sample, stack
from torch import Tensor, nn
from torch.utils.data import Dataset
from two_processes import share_of_gradients

import mine
from mine.data.sample import Sample
from mine.errors import InputError
from mine.network.decoder import PlaneDecoder
from mine.network.encoder import TimmEncoder
from mine.network.network import Architecture, Network
from mine.training import data
from mine.training import train as training
from mine.training.config import LossWeights, TrainConfig, WorldsData
from mine.training.pictures import pictures
from mine.training.start import start_network
from mine.training.step import losses

SIZE = (64, 96)
BATCH = 2
NO_LOSS = ("step", "total", "gradient_norm", "samples_per_second", "skipped")
ARCHITECTURE = Architecture("mobilenetv3_small_050", widths=(4, 8, 8, 8, 8), bottleneck=(8, 8))


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimmEncoder, "load_imagenet", lambda self: None)


def config_for(folder: Path, **changes: object) -> TrainConfig:
    config = TrainConfig(
        str(folder),
        ARCHITECTURE,
        size=SIZE,
        planes=6,
        batch=BATCH,
        steps=6,
        save_every=3,
        workers=0,
        learning_rate=5e-3,
        encoder_learning_rate=1e-3,
    )
    return replace(config, **changes)  # type: ignore[arg-type]


class Feed(Dataset[Sample]):
    """One sample over and over; `change` may alter what the nth step gets."""

    def __init__(self, change: Callable[[int, Sample], Sample] = lambda step, sample: sample) -> None:
        self.sample = make_sample(SIZE)
        self.change = change
        self.drawn = 0

    @property
    def steps(self) -> int:
        """How many steps have begun to draw their batch."""
        return math.ceil(self.drawn / BATCH)

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        self.drawn += 1
        return self.change(self.steps, self.sample)


@pytest.fixture
def feed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Feed]:
    """Makes a feed the data of the runs that follow."""

    def use(*change: Callable[[int, Sample], Sample]) -> Feed:
        dataset = Feed(*change)
        monkeypatch.setattr(data, "datasets", lambda config: (dataset, None))
        return dataset

    return use


def saved(path: Path) -> dict[str, Tensor]:
    return load_file(path / "mine.safetensors")


# Runs


def test_a_run_learns_and_its_checkpoint_predicts(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    sample = feed().sample
    config = config_for(tmp_path, steps=40, save_every=100, ema=0.0)
    torch.manual_seed(config.seed)
    start = start_network(config).eval()
    checkpoint = training.train(config)
    assert checkpoint == tmp_path / "mine.safetensors"
    model = mine.load(checkpoint, device="cpu")
    assert model.network.architecture == ARCHITECTURE
    disparity = torch.linspace(1, 0.1, 6)[None]
    with torch.no_grad():
        before, after = (losses(network, stack(sample), disparity, config) for network in (start, model.network))
    assert after["total"] < 0.8 * before["total"]
    assert after["occupancy"] < 0.8 * before["occupancy"]
    scene = model.predict(sample.source, planes=3, size=(128, 128))
    assert torch.isfinite(scene.rgb).all()


def test_curves_pictures_and_figures_are_logged(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    feed()
    training.train(config_for(tmp_path, steps=2))
    (line,) = (tmp_path / "log.jsonl").read_text().splitlines()
    figures = json.loads(line)
    assert figures["step"] == 2
    assert figures["samples_per_second"] > 0
    parts = [figures[name] for name in figures if name not in NO_LOSS]
    assert figures["total"] == pytest.approx(sum(parts), rel=1e-5)
    board = EventAccumulator(str(tmp_path)).Reload()
    assert [event.value for event in board.Scalars("total")] == pytest.approx([figures["total"]])
    assert set(board.Tags()["images"]) == {"source", "view", "target", "disparity", "error"}
    assert all((event.width, event.height) == SIZE[::-1] for event in board.Images("view"))
    summary = json.loads((tmp_path / "figures.json").read_text())
    assert (summary["steps"], summary["samples"], summary["skipped_steps"]) == (2, 2 * BATCH, 0)
    assert summary["last"]["total"] == figures["total"]
    assert summary["seconds"] > 0 and summary["peak_memory_gb"] > 0


def test_means_do_not_count_steps_that_were_left_out(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    totals = []
    for name, change in {"plain": lambda step, sample: sample, "one left out": broken_at(2)}.items():
        feed(change)
        still = {"learning_rate": 0.0, "encoder_learning_rate": 0.0, "ema": 0.0}
        training.train(config_for(tmp_path / name, steps=2, **still))
        figures = json.loads((tmp_path / name / "log.jsonl").read_text())
        totals.append(figures["total"])
    assert figures["skipped"] == 1
    assert totals[1] > 0.9 * totals[0]


def test_stopped_and_resumed_is_the_same_as_unbroken(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    feed()
    training.train(config_for(tmp_path / "unbroken"))

    def stop(step: int, sample: Sample) -> Sample:
        if step == 5:  # two steps after the state was saved
            raise KeyboardInterrupt
        return sample

    feed(stop)
    config = config_for(tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        training.train(config)
    torch.rand(100)  # what happens in between does not matter
    dataset = feed()
    training.train(config)
    assert dataset.steps == 3
    unbroken, resumed = saved(tmp_path / "unbroken"), saved(tmp_path / "broken")
    assert unbroken.keys() == resumed.keys()
    for name, value in unbroken.items():
        torch.testing.assert_close(resumed[name], value, rtol=1e-6, atol=1e-6, msg=name)
    # Not because nothing changes: another seed gives other weights.
    feed()
    training.train(config_for(tmp_path / "other", seed=1))
    assert not torch.allclose(saved(tmp_path / "other")["decoder.heads.0.weight"], unbroken["decoder.heads.0.weight"])


def test_sigterm_finishes_the_step_and_the_same_call_goes_on(
    tmp_path: Path, feed: Callable[..., Feed], capfd: pytest.CaptureFixture[str]
) -> None:
    """In parts, so that accumulation is resumed exactly too."""
    settings = {"accumulate": 2, "batch": 4, "save_every": 100, "steps": 4}
    feed()
    training.train(config_for(tmp_path / "unbroken", **settings))

    def end(step: int, sample: Sample) -> Sample:
        if step == 4:  # batches are twice as large as `steps` counts them
            os.kill(os.getpid(), signal.SIGTERM)
        return sample

    config = config_for(tmp_path / "broken", **settings)
    before = signal.getsignal(signal.SIGTERM)
    dataset = feed(end)
    checkpoint = training.train(config)
    assert dataset.steps == 4 and checkpoint.is_file()
    assert signal.getsignal(signal.SIGTERM) is before
    assert "stopped after step 2 of 4: the same command goes on from there" in capfd.readouterr().err
    dataset = feed()
    training.train(config)
    assert dataset.steps == 4
    unbroken, resumed = saved(tmp_path / "unbroken"), saved(tmp_path / "broken")
    for name, value in unbroken.items():
        torch.testing.assert_close(resumed[name], value, rtol=1e-6, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"architecture": replace(ARCHITECTURE, encoder="resnet18")}, "architecture.encoder = 'mobilenetv3_small_050'"),
        ({"output": "elsewhere"}, "output = "),
        ({"steps": 3}, "steps = 1, not 3"),
        ({"worlds": WorldsData(seed=4)}, "worlds = None"),
    ],
)
def test_the_state_of_another_run_is_refused(stopped: TrainConfig, changes: dict[str, object], named: str) -> None:
    state = Path(stopped.output) / "state.pt"
    config = replace(stopped, **changes)  # type: ignore[arg-type]
    if "output" in changes:
        config = replace(config, output=str(Path(stopped.output).with_name("elsewhere")))
        shutil.copytree(stopped.output, config.output)
        state = Path(config.output) / "state.pt"
    with pytest.raises(InputError, match=re.escape(named)) as error:
        training.train(config)
    assert str(error.value).startswith(f"{state} is of another run") and "\n" not in str(error.value)


def test_a_run_may_go_on_with_other_workers_and_intervals(stopped: TrainConfig, feed: Callable[..., Feed]) -> None:
    feed()
    training.train(replace(stopped, save_every=7, workers=1, recompute=True))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """A run of one step."""
    config = config_for(tmp_path_factory.mktemp("run") / "stopped", steps=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TimmEncoder, "load_imagenet", lambda self: None)
        patch.setattr(data, "datasets", lambda config: (Feed(), None))
        training.train(config)
    return config


def test_a_damaged_state_is_told_and_a_full_disk_keeps_the_one_before(
    stopped: TrainConfig, tmp_path: Path, feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed()
    config = replace(stopped, output=str(tmp_path))
    (tmp_path / "state.pt").write_bytes(b"half of")
    with pytest.raises(InputError, match=r"not a state to go on from.*--no-resume"):
        training.train(config)

    def full(tree: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(InputError, match=r"cannot save step 1 .*No space left"):
        training.train(config, resume=False)
    assert (tmp_path / "state.pt").read_bytes() == b"half of"
    assert not list(tmp_path.glob(".*part*"))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_alike(precision: str, tmp_path: Path, feed: Callable[..., Feed]) -> None:
    feed()
    totals = []
    for name in ("fp32", precision):
        training.train(config_for(tmp_path / name, steps=2, precision=name))
        figures = json.loads((tmp_path / name / "figures.json").read_text())
        assert figures["skipped_steps"] == 0 and figures["precision"] == name
        totals.append(figures["last"]["total"])
    assert totals[1] == pytest.approx(totals[0], rel=0.05) and totals[1] != totals[0]


def test_a_finished_run_is_left_alone_unless_it_shall_start_anew(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    config = config_for(tmp_path, steps=2)
    feed()
    training.train(config)
    dataset = feed()
    assert training.train(config).is_file()
    assert dataset.steps == 0
    training.train(config, resume=False)
    assert dataset.steps == 2


def test_the_average_lags_behind(tmp_path: Path, feed: Callable[..., Feed]) -> None:
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


def test_no_data_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training data"):
        training.train(config_for(tmp_path))


# Shared batches


@pytest.mark.parametrize("decoder", ["planes", "surface"])
def test_parts_of_a_batch_have_the_gradients_of_the_whole(decoder: str) -> None:
    _, whole = share_of_gradients(decoder, accumulate=1)
    _, parts = share_of_gradients(decoder, accumulate=2)
    same_gradients(parts, whole)


def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    script = Path(__file__).with_name("two_processes.py")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        "2",
        "--master_port",
        str(free_port()),
    ]
    threads = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(script), str(tmp_path)], check=True, env=threads, timeout=300)
    for decoder in ("planes", "surface"):
        _, expected = share_of_gradients(decoder, accumulate=1)
        same_gradients(torch.load(tmp_path / f"{decoder}.pt"), expected)


def same_gradients(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert sum(float(value.abs().sum()) for value in expected.values()) > 0
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-5 * float(value.abs().max() + 1), msg=name)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return int(listener.getsockname()[1])


def test_a_batch_that_cannot_be_shared_evenly_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"batch 2 cannot be shared .*multiple of 3"):
        training.train(config_for(tmp_path, accumulate=3))
    with pytest.raises(InputError, match="one sample of size"):
        training.train(config_for(tmp_path, accumulate=2))
    assert [list(part) for part in data.places(config_for(tmp_path, batch=8, accumulate=2), 1, 2)] == [[4, 5], [6, 7]]


@pytest.mark.parametrize("training", [True, False])
def test_computing_planes_once_more_changes_no_gradient(training: bool) -> None:
    torch.manual_seed(0)
    features = [torch.rand(2, width, 64 // 2**level, 64 // 2**level) for level, width in enumerate((3, 4, 5, 6, 8), 1)]
    disparity = torch.tensor([[0.9, 0.6, 0.2], [0.8, 0.5, 0.1]])
    decoder = PlaneDecoder([3, 4, 5, 6, 8], ARCHITECTURE.widths, ARCHITECTURE.bottleneck).train(training)
    plain, again = decoder, copy.deepcopy(decoder)
    for network, recompute in ((plain, False), (again, True)):
        drawn = network(features, disparity, recompute=recompute)
        torch.stack([(planes**2).mean() for planes in drawn]).sum().backward()
    for (name, one), other in zip(plain.named_parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-5, atol=1e-7, msg=name)
    for (name, one), other in zip(plain.named_buffers(), again.buffers(), strict=True):
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(other, one, msg=name)
    assert all(norm.momentum == 0.1 for norm in again.modules() if isinstance(norm, nn.BatchNorm2d))


# Losses that are not finite


def broken(sample: Sample) -> Sample:
    return sample._replace(source=torch.full_like(sample.source, math.nan))


def broken_at(*steps: int) -> Callable[[int, Sample], Sample]:
    return lambda step, sample: broken(sample) if step in steps else sample


def test_a_batch_whose_loss_is_not_finite_leaves_no_trace(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    feed(broken_at(1, 3))
    training.train(config_for(tmp_path, steps=4))
    for value in saved(tmp_path).values():
        assert torch.isfinite(value).all()
    state = torch.load(tmp_path / "state.pt", weights_only=True)["parts"][0]
    assert all(torch.isfinite(value).all() for value in state.values())


def test_ten_in_a_row_end_the_run_with_one_clear_error(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    dataset = feed(lambda step, sample: sample if step in (1, 11) else broken(sample))
    with pytest.raises(InputError, match=r"not finite for 10 steps.*lower learning_rate"):
        training.train(config_for(tmp_path, steps=100, save_every=1000))
    assert dataset.steps == 21  # nine after the first were forgiven
    assert not (tmp_path / "mine.safetensors").exists()


# Losses of a batch


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network(ARCHITECTURE).eval()


DISPARITY = torch.linspace(1, 0.1, 6)[None]


@torch.no_grad()
def losses_of(
    network: Network, sample: Sample, weights: LossWeights | None = None, **changes: object
) -> dict[str, Tensor]:
    config = config_for(Path("unused"), losses=weights or LossWeights(), **changes)
    return losses(network, stack(sample), DISPARITY, config)


NAMES = {
    "photometric": {"photometric"},
    "ssim": {"ssim"},
    "smoothness": {"smoothness"},
    "smoothness_where_flat": {"smoothness_where_flat"},
    "sparse": {"sparse_source", "sparse_target"},
    "occupancy": {"occupancy"},
}


@pytest.mark.parametrize("weight", NAMES)
def test_each_weight_scales_its_losses_and_no_other(network: Network, weight: str) -> None:
    sample = make_sample(SIZE)
    everything = losses_of(network, sample)
    without = losses_of(network, sample, replace(LossWeights(), **{weight: 0.0}))
    twice = losses_of(network, sample, replace(LossWeights(), **{weight: 2 * getattr(LossWeights(), weight)}))
    assert set(everything) == {"total"}.union(*NAMES.values())
    for name in set(everything) - {"total"}:
        own = name in NAMES[weight]
        assert everything[name] > 0, name
        assert without.get(name, 0) == (0 if own else everything[name]), name
        torch.testing.assert_close(twice[name], (2 if own else 1) * everything[name], msg=name)
    for found in (everything, without, twice):
        total = sum(value for name, value in found.items() if name != "total")
        torch.testing.assert_close(found["total"], total)


def test_target_losses_stay_without_the_photometric_ones(network: Network) -> None:
    found = losses_of(network, make_sample(SIZE), LossWeights(photometric=0, ssim=0))
    assert found["sparse_target"] > 0 and found["smoothness"] > 0


def test_samples_without_points_have_losses_when_none_needs_points(network: Network) -> None:
    none = torch.empty(3, 0)
    sample = make_sample(SIZE)._replace(points_src=none, points_tgt=none)
    found = losses_of(network, sample, LossWeights(sparse=0))
    assert all(torch.isfinite(value) for value in found.values())
    assert all(torch.isfinite(picture).all() for picture in pictures(network, stack(sample)).values())


def rescaled(sample: Sample, factor: float) -> Sample:
    """The same capture in another unit of length."""
    T = sample.T_tgt_src.clone()
    T[:3, 3] *= factor
    names = ("points_src", "points_tgt", "depth_src", "depth_tgt")
    return sample._replace(T_tgt_src=T, **{name: factor * getattr(sample, name) for name in names})


def test_the_unit_of_a_capture_does_not_matter(network: Network) -> None:
    capture = make_sample(SIZE, metric=0.0)
    expected = losses_of(network, capture)
    for factor in (0.2, 7.0):
        found = losses_of(network, rescaled(capture, factor))
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4, msg=name)


def test_the_unit_matters_where_scale_is_known_or_left_as_it_is(network: Network) -> None:
    for sample, changes in ((make_sample(SIZE), {}), (make_sample(SIZE, metric=0.0), {"calibrate": False})):
        one, other = (losses_of(network, rescaled(sample, factor), **changes) for factor in (1.0, 3.0))
        for name in ("photometric", "sparse_source", "occupancy"):
            assert not torch.isclose(one[name], other[name], rtol=0.01), name


def test_leaving_out_the_finest_scale_averages_the_others(network: Network) -> None:
    weights = LossWeights(photometric=1, ssim=0, smoothness=0, smoothness_where_flat=0, sparse=0, occupancy=0)
    sample = make_sample(SIZE)
    by_scale = [losses_of(network, sample, weights, finest=level)["photometric"] * (4 - level) for level in range(4)]
    alone = [first - second for first, second in zip(by_scale, [*by_scale[1:], 0], strict=True)]
    assert all(0 < value < 1 for value in alone)
