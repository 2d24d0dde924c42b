"""How runs end: killed between two writes, out of room, or by an exception, they lose nothing and wait for nothing."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_run import BATCH, Feed, config_for, saved, use_feed

import mine.files
from mine.config import EvalConfig, TrainConfig
from mine.data.sources import SyntheticSource
from mine.errors import InputError
from mine.training import log, state
from mine.training import train as training
from mine.training.stop import GracefulStop

WRITTEN = {"state.pt", "mine.safetensors", "figures.json", "log.jsonl"}


class Killed(BaseException):
    """What stands for SIGKILL: nothing catches it, and the clean-up is put aside."""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two steps that nothing has stopped."""
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        use_feed(patch)
        training.train(config_for(folder, steps=2, save_every=1))
    return folder


def kill_at_rename(patch: pytest.MonkeyPatch, number: int) -> None:
    """Makes the rename of that number, in all of a run, raise `Killed`; nothing is renamed from then on."""
    count = 0

    def guard(rename: Callable[..., object]) -> Callable[..., object]:
        def guarded(*arguments: object) -> object:
            nonlocal count
            count += 1
            if count >= number:
                raise Killed
            return rename(*arguments)

        return guarded

    patch.setattr(mine.files.os, "replace", guard(os.replace))
    patch.setattr(mine.files, "_exchange", guard(mine.files._exchange))


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7])
def test_a_run_killed_at_any_rename_ends_as_the_unbroken_one(
    tmp_path: Path, feed: Callable[..., Feed], unbroken: Path, number: int
) -> None:
    """Two saves of three renames each, then the figures."""
    feed()
    config = config_for(tmp_path, steps=2, save_every=1)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        kill_at_rename(patch, number)
        training.train(config)
    before = {name: (tmp_path / name).exists() for name in ("state.pt", "mine.safetensors")}
    assert training.train(config).is_file(), before
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith("events")} == WRITTEN
    found, expected = saved(tmp_path), saved(unbroken)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    figures = json.loads((tmp_path / "figures.json").read_text())
    last = json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])
    assert figures["steps"] == last["step"] == 2
    assert figures["last"]["total"] == last["total"]
    assert figures["seconds"] > 0


@pytest.mark.parametrize("name", ["mine.safetensors", "figures.json"])
@pytest.mark.parametrize("instead", ["nothing", "rubbish", "older"])
def test_what_a_finished_run_lacks_is_made_from_its_state(
    tmp_path: Path, feed: Callable[..., Feed], unbroken: Path, name: str, instead: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(unbroken, folder)
    config = config_for(folder, steps=2, save_every=1)
    tree = torch.load(folder / "state.pt", weights_only=True)
    torch.save(tree | {"config": asdict(config)}, folder / "state.pt")
    expected, figures = saved(folder), json.loads((folder / "figures.json").read_text())
    (folder / name).unlink()
    if instead == "rubbish":
        (folder / name).write_text("{")
    elif instead == "older":
        save_file({key: value + 1 for key, value in expected.items()}, folder / "mine.safetensors")
        (folder / "figures.json").write_text(json.dumps(figures | {"steps": 1}))
    dataset = feed()
    checkpoint = training.train(config)
    assert dataset.steps == 0
    found = load_file(checkpoint)
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    again = json.loads((folder / "figures.json").read_text())
    assert (again["steps"], again["last"]) == (2, figures["last"])


@dataclass
class Evaluations:
    """Stands for the held-out evaluation: the number of each one is its metric, and `interrupted` ones end the run."""

    count: int = 0
    interrupted: tuple[int, ...] = ()
    during: Callable[[], None] = lambda: None

    def evaluate(self, *arguments: object, **options: object) -> "Evaluations":
        self.count += 1
        self.during()
        if self.count in self.interrupted:
            raise Killed
        return self

    def mean(self) -> dict[str, dict[str, float]]:
        return {"prediction": {"psnr": float(self.count)}}


@pytest.fixture
def evaluations(monkeypatch: pytest.MonkeyPatch) -> Evaluations:
    found = Evaluations()
    monkeypatch.setattr(training, "evaluate_config", found.evaluate)
    monkeypatch.setattr("mine.training.batches.evaluation_set", lambda source, size: None)
    return found


def evaluated_config(folder: Path, **changes: object) -> TrainConfig:
    """A run with held-out data that `evaluations` does not look at."""
    return config_for(folder, held_out=EvalConfig(data=SyntheticSource(kind="synthetic")), **changes)


def held_out_lines(folder: Path) -> dict[int, float]:
    """Metrics in held-out.jsonl by step, each step once."""
    lines = [json.loads(line) for line in (folder / "held-out.jsonl").read_text().splitlines()]
    found = {line["step"]: line["psnr"] for line in lines}
    assert len(found) == len(lines)
    return found


@pytest.mark.parametrize("interrupted", [1, 2, 3])
def test_a_run_killed_in_an_evaluation_makes_it_up(
    tmp_path: Path, feed: Callable[..., Feed], evaluations: Evaluations, interrupted: int
) -> None:
    """The first, that in between or the last; and no step is evaluated twice."""
    feed()
    evaluations.interrupted = (interrupted,)
    config = evaluated_config(tmp_path, steps=2, save_every=1, evaluate_every=1)
    with pytest.raises(Killed):
        training.train(config)
    training.train(config)
    training.train(config)
    assert set(held_out_lines(tmp_path)) == {0, 1, 2} and evaluations.count == 4
    assert json.loads((tmp_path / "figures.json").read_text())["held_out"] == {"psnr": 4.0}


def test_a_run_started_anew_keeps_no_evaluation_of_the_one_before(
    tmp_path: Path, feed: Callable[..., Feed], evaluations: Evaluations
) -> None:
    """Not even that of step 0, which is of other weights."""
    feed()
    training.train(evaluated_config(tmp_path, steps=1))
    training.train(evaluated_config(tmp_path, steps=1, seed=1), resume=False)
    assert held_out_lines(tmp_path) == {0: 3.0, 1: 4.0}
    board = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in board.Scalars("held_out/psnr")] == [(0, 3.0), (1, 4.0)]


def test_evaluations_are_not_counted_as_time_of_steps(
    tmp_path: Path, feed: Callable[..., Feed], evaluations: Evaluations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which each sample takes one second, and each evaluation a thousand."""
    now = 0.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(log, "time", SimpleNamespace(perf_counter=lambda: now))
    evaluations.during = lambda: wait(1000)
    feed(lambda step, sample: (wait(1), sample)[1])
    training.train(evaluated_config(tmp_path, steps=3, evaluate_every=1))
    figures = json.loads((tmp_path / "figures.json").read_text())
    line = json.loads((tmp_path / "log.jsonl").read_text())
    assert evaluations.count == 4
    assert figures["seconds"] == 3 * BATCH
    assert figures["samples_per_second"] == line["samples_per_second"] == 1


def test_a_run_beyond_its_end_says_so(
    tmp_path: Path, feed: Callable[..., Feed], capfd: pytest.CaptureFixture[str]
) -> None:
    feed()
    config = config_for(tmp_path, steps=2, save_every=1)
    training.train(config)
    capfd.readouterr()
    dataset = feed()
    training.train(replace(config, stop=1))
    told = capfd.readouterr().err
    assert dataset.steps == 0
    assert "step 2 is done already, beyond stop 1: raise stop to go on" in told and "goes on" not in told


def test_figures_of_a_run_started_anew_are_not_those_of_the_one_before(
    tmp_path: Path, feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed()
    training.train(config_for(tmp_path, steps=1))
    config = config_for(tmp_path, steps=1, seed=1)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(log.TrainingLog, "summary", lambda *arguments: (_ for _ in ()).throw(Killed))
        training.train(config, resume=False)
    assert not (tmp_path / "figures.json").exists()
    training.train(config)
    figures, line = (tmp_path / "figures.json").read_text(), (tmp_path / "log.jsonl").read_text()
    assert json.loads(figures)["last"]["total"] == json.loads(line)["total"]


@pytest.mark.parametrize("damaged", [b'{"step": 2, "to', b'{"step": "2"}', b'{"step": null}', b"5", b"\xff\x00", b"{}"])
def test_lines_that_a_killed_run_has_not_finished_are_dropped(tmp_path: Path, damaged: bytes) -> None:
    file = tmp_path / "log.jsonl"
    file.write_bytes(b'{"step": 1, "total": 3.0}\n{"step": 3, "total": 2.0}\n' + damaged)
    assert log.keep_lines(file, 2) == {"step": 1, "total": 3.0}
    assert file.read_text() == '{"step": 1, "total": 3.0}\n'


@pytest.mark.parametrize("written", [0, 1])
def test_a_disk_that_is_full_keeps_state_and_checkpoint_of_one_step(
    tmp_path: Path, feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Whichever of the two does not fit."""
    feed()
    config = config_for(tmp_path, steps=2, save_every=1, stop=1)
    training.train(config)
    before = {name: (tmp_path / name).read_bytes() for name in ("state.pt", "mine.safetensors")}

    def full(content: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((torch, "save") if written == 0 else (state, "save_network")), full)
    with pytest.raises(InputError, match=r"cannot save step 2 \(.*No space left on device\): make room") as error:
        training.train(replace(config, stop=None))
    assert "\n" not in str(error.value)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert not list(tmp_path.glob(".*"))


SETUP = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import pytest
from tiny_run import config_for, use_feed
from mine.training import state, train
use_feed(pytest.MonkeyPatch())
"""

FAILS = """
def fail(*arguments):
    raise KeyError("of saving")
state.save_network = fail
train.train(config_for(Path(sys.argv[2]), steps=2, workers=1))
"""

IS_KILLED = """
saves = iter(range(9))
save_network = state.save_network
def killed(*arguments):
    if next(saves) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    save_network(*arguments)
state.save_network = killed
train.train(config_for(Path(sys.argv[2]), steps=3, save_every=1, workers=1))
"""


def start_program(code: str, folder: Path) -> subprocess.Popen[str]:
    """Runs code after `SETUP` in a process of its own."""
    command = [sys.executable, "-c", SETUP + code, str(Path(__file__).parents[1] / "support"), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, process_group=0)


def test_a_run_killed_while_it_saves_publishes_the_unbroken_runs_checkpoint_bit_for_bit(
    tmp_path: Path, feed: Callable[..., Feed]
) -> None:
    """SIGKILL in a process of its own, between the state and the checkpoint of its second step."""
    feed()
    training.train(config_for(tmp_path / "unbroken", steps=3, save_every=1, workers=1))
    with start_program(IS_KILLED, tmp_path / "killed") as process:
        process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert torch.load(tmp_path / "killed" / "state.pt", weights_only=True)["counts"]["step"] == 1
    feed()
    training.train(config_for(tmp_path / "killed", steps=3, save_every=1, workers=1))
    published = [(tmp_path / name / "mine.safetensors").read_bytes() for name in ("unbroken", "killed")]
    assert published[0] == published[1]


def test_no_exception_leaves_a_run_waiting_for_its_workers(tmp_path: Path) -> None:
    """Python ends with the status of the exception, and so do its workers."""
    process = start_program(FAILS, tmp_path)
    try:
        _, text = process.communicate(timeout=120)  # it takes seconds; before, it took for ever
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 1
    assert "KeyError: 'of saving'" in text
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_errors_of_saving_are_told_in_one_line(
    tmp_path: Path, feed: Callable[..., Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    feed()

    def fail(*arguments: object) -> None:
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr(state, "save_network", fail)
    with pytest.raises(InputError, match=r"cannot save step 1 .*No space left"):
        training.train(config_for(tmp_path, steps=1))
    assert not (tmp_path / "state.pt").exists()


def test_an_output_that_cannot_be_written_is_told_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "TrainingState", lambda *arguments: pytest.fail("the network was made"))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        training.train(config_for(tmp_path / "file" / "run"))


def test_an_ignored_signal_stays_ignored() -> None:
    """As SIGHUP under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with GracefulStop() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.requested and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
