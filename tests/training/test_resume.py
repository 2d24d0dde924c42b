"""Training runs that stop and resume: nothing is lost, and no run resumes from the state of another."""

import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import torch
from tiny_run import ARCHITECTURE, Feed, config_for, saved, use_feed
from torch import Tensor

from mine.cli import training as command_line
from mine.config import EvalConfig, TrainConfig
from mine.data.base.sample import Sample
from mine.data.sources import SyntheticSource
from mine.errors import InputError
from mine.network.architecture import PartialArchitecture
from mine.network.checkpoint import load_network, make_network, save_network
from mine.network.planes.network import PlaneNetwork
from mine.training import objectives
from mine.training import train as training
from mine.training.distributed import start_fabric
from mine.training.plane_losses import plane_losses
from mine.training.state import RESULT_INDEPENDENT, TrainingState, read_state


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
        assert torch.equal(resumed[name], value), name
    # Not because nothing changes: another seed gives other weights.
    feed()
    training.train(config_for(tmp_path / "other", seed=1))
    assert not torch.allclose(saved(tmp_path / "other")["decoder.heads.0.weight"], unbroken["decoder.heads.0.weight"])


ACCUMULATED = {"accumulate": 2, "batch": 4, "save_every": 100, "steps": 4}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """Weights of a run of `ACCUMULATED` that no signal stopped."""
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        use_feed(patch)
        training.train(config_for(folder, **ACCUMULATED))
    return saved(folder)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_finishes_the_step_and_the_same_call_resumes(
    tmp_path: Path,
    feed: Callable[..., Feed],
    capfd: pytest.CaptureFixture[str],
    unbroken: dict[str, Tensor],
    number: signal.Signals,
) -> None:
    """With gradient accumulation, which is resumed exactly too."""

    def end(step: int, sample: Sample) -> Sample:
        if step == 4:  # batches are twice as large as `steps` counts them
            os.kill(os.getpid(), number)
        return sample

    config = config_for(tmp_path / "broken", **ACCUMULATED)
    before = signal.getsignal(number)
    feed(end)
    training.train(config, resume=False)
    assert "of 4: the same command without --no-resume goes on from there" in capfd.readouterr().err
    shutil.rmtree(config.output)
    dataset = feed(end)
    checkpoint = training.train(config)
    assert dataset.steps == 4 and checkpoint.is_file()
    assert signal.getsignal(number) is before
    assert "stopped after step 2 of 4: the same command goes on from there" in capfd.readouterr().err
    dataset = feed()
    training.train(config)
    assert dataset.steps == 4
    resumed = saved(tmp_path / "broken")
    for name, value in unbroken.items():
        assert torch.equal(resumed[name], value), name


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"architecture": replace(ARCHITECTURE, encoder="resnet18")}, "architecture.encoder = 'mobilenetv3_small_050'"),
        ({"output": "elsewhere"}, "output = "),
        ({"steps": 3}, "steps = 1, not 3"),
        ({"data": (SyntheticSource(kind="synthetic", seed=4),)}, "data = ()"),
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


def test_a_run_may_resume_by_another_spelling_of_its_folder(
    stopped: TrainConfig, feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(stopped.output)
    monkeypatch.chdir(folder.parent)
    for output in (folder.name, f"./{folder.name}", f"{folder}/", f"../{folder.parent.name}/{folder.name}"):
        dataset = feed()
        training.train(replace(stopped, output=output))
        assert dataset.steps == 0


OTHERS = {
    "stop": None,
    "device": "cpu",
    "workers": 1,
    "save_every": 7,
    "held_out": EvalConfig(SyntheticSource(kind="synthetic", count=1)),
    "evaluate_every": 3,
}
"""Another value of each setting that does not change what is learned."""


def test_a_run_may_resume_with_others_of_the_settings_that_change_no_result(
    tmp_path: Path, feed: Callable[..., Feed]
) -> None:
    assert OTHERS.keys() == RESULT_INDEPENDENT
    feed()
    config = config_for(tmp_path / "run", steps=2, stop=1)
    training.train(config)
    for name, value in OTHERS.items():
        assert getattr(config, name) != value
        changed = replace(config, **{name: value})  # type: ignore[arg-type]
        assert TrainingState(start_fabric(changed), changed, resume=True).step == 1
    training.train(replace(config, **{**OTHERS, "workers": 0, "held_out": None}))  # type: ignore[arg-type]
    assert json.loads((tmp_path / "run" / "figures.json").read_text())["steps"] == 2


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """A run of one step."""
    config = config_for(tmp_path_factory.mktemp("run") / "stopped", steps=1)
    with pytest.MonkeyPatch.context() as patch:
        use_feed(patch)
        training.train(config)
    return config


def test_a_run_goes_on_without_the_checkpoint_that_it_started_from(
    tmp_path: Path, feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command line as well; a run that begins says that it is missing, and nothing else."""
    feed()
    start = tmp_path / "start.safetensors"
    torch.manual_seed(0)
    save_network(make_network(replace(ARCHITECTURE, decoder="disparity")), start)
    config = config_for(
        tmp_path / "run", architecture=PartialArchitecture(), start=str(start), steps=2, stop=1, size=(32, 64), batch=1
    )
    training.train(config)
    start.unlink()
    training.train(replace(config, stop=None))
    assert json.loads((tmp_path / "run" / "figures.json").read_text())["steps"] == 2
    for folder, resume in (("run", False), ("other", True)):
        with pytest.raises(InputError, match=f"no checkpoint at {re.escape(str(start))}"):
            training.train(replace(config, output=str(tmp_path / folder)), resume)
    monkeypatch.setattr(training, "train", lambda config, resume: Path(config.output))
    path = tmp_path / "run.yaml"
    path.write_text("data: [{kind: synthetic, count: 2}]")
    overrides = (f"output={tmp_path / 'run'}", f"start={start}")
    command_line.train(path, overrides)
    with pytest.raises(InputError, match="no checkpoint at"):
        command_line.train(path, overrides, resume=False)


def test_a_damaged_state_is_reported(stopped: TrainConfig, tmp_path: Path) -> None:
    """In its first bytes, in its pickle, in its largest tensor, and cut off."""
    path = tmp_path / "state.pt"
    good = (Path(stopped.output) / "state.pt").read_bytes()
    assert read_state(Path(stopped.output) / "state.pt")["counts"]["step"] == 1
    with ZipFile(Path(stopped.output) / "state.pt") as archive:
        tensor = max(archive.infolist(), key=lambda entry: entry.file_size)
    for place in (2, good.index(b"config"), tensor.header_offset + tensor.file_size):
        path.write_bytes(good[:place] + bytes([good[place] ^ 0xFF]) + good[place + 1 :])
        with pytest.raises(InputError, match=r"not a state to go on from \(.*\): start anew with --no-resume") as error:
            read_state(path)
        assert "\n" not in str(error.value)
    for content in (b"", b"half of", good[:1000]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not a state to go on from"):
            training.train(replace(stopped, output=str(tmp_path)))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory"), PermissionError(13, "no")])
def test_a_state_is_not_blamed_for_the_machine(
    stopped: TrainConfig, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """What would be started anew could be gone on with, on another machine."""

    def load(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises((MemoryError, RuntimeError, InputError)) as caught:
        read_state(Path(stopped.output) / "state.pt")
    assert caught.value is error or "state.pt cannot be read (no): see that it can" in str(caught.value)
    assert "--no-resume" not in str(caught.value)


Tree = dict[str, Any]


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree["parts"].__setitem__(0, {"last_epoch": 1}),
        lambda tree: tree["parts"].__setitem__(2, {"last_epoch": 1}),
        lambda tree: tree["parts"].__setitem__(3, {"last_epoch": 1}),
        lambda tree: tree.update(parts=[None] * 4),
        lambda tree: tree.update(config=[1]),
        lambda tree: tree["config"].update(steps="x"),
        lambda tree: tree["config"].update(nobody=1),
        lambda tree: tree.update(architecture=[1]),
        lambda tree: tree.update(disparities=(float("nan"), "a")),
        lambda tree: tree.update(counts=[1]),
        lambda tree: tree["counts"].update(step=-5),
        lambda tree: tree["counts"].update(seconds=None),
        lambda tree: tree.pop("scaling"),
    ],
    ids=range(13),
)
def test_a_state_of_another_form_is_reported(
    stopped: TrainConfig, tmp_path: Path, feed: Callable[..., Feed], change: Callable[[Tree], None]
) -> None:
    feed()
    config = replace(stopped, output=str(tmp_path))
    tree = torch.load(Path(stopped.output) / "state.pt", weights_only=True)
    tree["config"]["output"] = config.output
    change(tree)
    torch.save(tree, tmp_path / "state.pt")
    with pytest.raises(InputError, match=r"not a state to go on from.*--no-resume") as error:
        training.train(config)
    assert "\n" not in str(error.value)


def test_no_attribute_but_the_counts_is_taken_from_a_state(
    stopped: TrainConfig, tmp_path: Path, feed: Callable[..., Feed]
) -> None:
    feed()
    config = replace(stopped, output=str(tmp_path))
    tree = torch.load(Path(stopped.output) / "state.pt", weights_only=True)
    tree["config"]["output"] = config.output
    tree["counts"]["save"] = 1
    torch.save(tree, tmp_path / "state.pt")
    state = TrainingState(start_fabric(config), config, resume=True)
    assert state.step == 1 and callable(state.save)


def test_a_setting_that_a_state_lacks_had_its_default(stopped: TrainConfig, tmp_path: Path) -> None:
    config = replace(stopped, output=str(tmp_path))
    tree = torch.load(Path(stopped.output) / "state.pt", weights_only=True)
    tree["config"]["output"] = config.output
    del tree["config"]["architecture"]["members"], tree["architecture"]["members"], tree["config"]["finest"]
    torch.save(tree, tmp_path / "state.pt")
    for changes, told in (
        ({"architecture": replace(ARCHITECTURE, decoder="disparity", members=2)}, "decoder = 'planes'"),
        ({"architecture": replace(ARCHITECTURE, members=2)}, "with architecture.members = 1, not 2"),
        ({"finest": 1}, "with finest = 0, not 1"),
    ):
        with pytest.raises(InputError, match=re.escape(told)):
            training.train(replace(config, **changes))
    TrainingState(start_fabric(config), config, resume=True)


def test_a_finished_run_is_left_alone_unless_resume_is_off(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    config = config_for(tmp_path, steps=2)
    feed()
    training.train(config)
    dataset = feed()
    assert training.train(config).is_file()
    assert dataset.steps == 0
    training.train(config, resume=False)
    assert dataset.steps == 2


def test_planes_are_sampled_in_the_range_of_the_network_which_is_kept(
    tmp_path: Path, feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network(ARCHITECTURE)
    network.near, network.far = 0.5, 0.01
    save_network(network, tmp_path / "start.safetensors")
    feed()
    sampled: list[Tensor] = []

    def losses(network: PlaneNetwork, batch: Sample, disparity: Tensor, *more: Any) -> dict[str, Tensor]:
        sampled.append(disparity)
        return plane_losses(network, batch, disparity, *more)

    monkeypatch.setattr(objectives, "plane_losses", losses)
    config = config_for(tmp_path / "run", steps=2, save_every=1, start=str(tmp_path / "start.safetensors"))
    training.train(replace(config, stop=1))
    training.train(config)
    edges = torch.linspace(0.5, 0.01, config.planes + 1)
    assert len(sampled) == 2
    for disparity in sampled:
        assert (disparity <= edges[:-1]).all() and (disparity >= edges[1:]).all()
    found = load_network(tmp_path / "run" / "mine.safetensors")
    assert (found.near, found.far) == (0.5, 0.01)
