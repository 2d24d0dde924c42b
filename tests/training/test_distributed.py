"""Gradient accumulation and data parallelism: gradients and batch statistics are those of the whole batch."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from ports import free_port
from tiny_run import config_for
from torch import Tensor, nn
from two_processes import batch_gradients, batch_norm_stage

from mine.cli.main import main
from mine.errors import InputError
from mine.network.architecture import Architecture
from mine.network.checkpoint import make_network
from mine.training import batches
from mine.training import train as training
from mine.training.distributed import synchronize_batch_norm
from mine.training.optim import freeze


@pytest.mark.parametrize("decoder", ["planes", "disparity"])
def test_micro_batches_have_the_gradients_of_the_whole_batch(decoder: str) -> None:
    _, whole = batch_gradients(decoder, accumulate=1)
    _, parts = batch_gradients(decoder, accumulate=2)
    same_gradients(parts, whole)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Sums are then rounded as in the processes, which have one each."""
    usual = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(usual)


@pytest.mark.usefixtures("one_thread")
def test_two_processes_have_the_gradients_of_one(tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "support" / "two_processes.py"
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
    for decoder in ("planes", "disparity"):
        _, expected = batch_gradients(decoder, accumulate=1)
        same_gradients(torch.load(tmp_path / f"{decoder}.pt"), expected)
    whole = batch_norm_stage(nn.BatchNorm2d(3), slice(0, 4))
    shares = [torch.load(tmp_path / f"batch-norm-{rank}.pt") for rank in range(2)]
    for name, expected in whole.items():
        one, other = (share[name] for share in shares)
        if name in ("out", "z"):
            torch.testing.assert_close(torch.cat([one, other]), expected, rtol=1e-4, atol=1e-4, msg=name)
        elif name in ("weight", "bias"):  # the exchange of gradients adds these up
            torch.testing.assert_close(one + other, expected, rtol=1e-4, atol=1e-4, msg=name)
        else:
            torch.testing.assert_close(one, expected, msg=name)
            assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("decoder", "trained"), [("planes", {"decoder"}), ("disparity", {"decoder"}), ("layers", {"background_network"})]
)
def test_all_batch_norm_that_is_trained_is_synchronized(tmp_path: Path, decoder: str, trained: set[str]) -> None:
    background = (4, 4, 4, 4, 4) if decoder == "layers" else ()
    wanted = Architecture("mobilenetv3_small_050", (4, 4, 4, 4, 4), (4, 4), decoder, background, opacity=4)
    config = config_for(tmp_path, architecture=wanted)
    network = make_network(wanted)
    freeze(network, config)
    names = [name for name, _ in network.named_parameters()]
    synchronize_batch_norm(network, SimpleNamespace(world_size=2, device=torch.device("cuda")))  # type: ignore[arg-type]
    norms = {name: part for name, part in network.named_modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)}
    synchronized = {name for name, norm in norms.items() if isinstance(norm, nn.SyncBatchNorm)}
    assert synchronized == {name for name in norms if name.split(".")[0] in trained} and synchronized
    assert [name for name, _ in network.named_parameters()] == names


def same_gradients(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert sum(float(value.abs().sum()) for value in expected.values()) > 0
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=3e-5 * float(value.abs().max() + 1), msg=name)


@pytest.mark.parametrize(("rank", "printed"), [(None, "there\n"), ("0", "there\n"), ("1", "")])
def test_the_first_process_alone_prints_the_checkpoint(
    rank: str | None, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if rank is not None:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "a")
        monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(training, "train", lambda config, resume: "there")
    (tmp_path / "a.yaml").write_text("output: x\ndata: [{kind: synthetic}]")
    monkeypatch.setattr(sys, "argv", ["mine", "train", str(tmp_path / "a.yaml")])
    main()
    assert capsys.readouterr().out == printed


def test_a_batch_that_cannot_be_shared_evenly_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"batch 2 cannot be shared .*multiple of 3"):
        training.train(config_for(tmp_path, accumulate=3))
    with pytest.raises(InputError, match="one sample of size"):
        training.train(config_for(tmp_path, accumulate=2))
    assert [list(part) for part in batches.process_rows(config_for(tmp_path, batch=8, accumulate=2), 1, 2)] == [
        [4, 5],
        [6, 7],
    ]
