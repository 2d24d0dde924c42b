"""A training step beside the same step with the published decoder's structure: `python benchmarks/training.py`.

The published structure (`mine/network/planes/reference.py`) repeats skip features for every plane, with the embedding
as constant channels. All else is the same: encoder, rendering, losses, backward pass and update. Each row runs in a
process of its own whose memory is limited: running out of memory is a result too. On a CPU, time is CPU time of one
thread, so that other programs do not count.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from mine.config import TrainConfig
from mine.data.base.sample import Sample
from mine.network.planes.decoder import PlaneDecoder
from mine.network.planes.network import PlaneNetwork, stratified_disparity
from mine.network.planes.reference import reference_decoder
from mine.scene.camera import intrinsics, pose
from mine.training.log import peak_gigabytes
from mine.training.plane_losses import plane_losses

FORMS = {
    "published structure": "reference",
    "ours": "ours",
}


@dataclass(frozen=True)
class Case:
    """A training step to time: images of `size` (H, W), in one of `FORMS`."""

    form: str
    device: str
    size: tuple[int, int]
    planes: int
    batch: int
    precision: str
    steps: int
    memory: float


@dataclass(frozen=True)
class Cost:
    """The cost of one case; None when memory ran out."""

    samples_per_second: float | None
    peak_memory_gb: float | None


class ReferenceDecoder(nn.Module):
    """A decoder's weights in the published structure."""

    def __init__(self, decoder: PlaneDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, features: list[Tensor], disparity: Tensor, finest: int) -> list[Tensor]:
        """Planes of all scales, as `PlaneDecoder` returns them; `finest` is ignored."""
        return [planes.float() for planes in reference_decoder(self.decoder, features, disparity)]


def scene(batch: int, size: tuple[int, int]) -> Sample:
    """Random images with cameras and points: time does not depend on what they show."""
    source, target = torch.rand(2, batch, 3, *size)
    depth_src, depth_tgt = 1 + torch.rand(2, batch, 1, *size)
    K = intrinsics(size).expand(batch, 3, 3)
    T = pose(translation=torch.tensor([0.05, 0.0, 0.02])).expand(batch, 4, 4)
    points = torch.linalg.inv(K) @ (torch.rand(batch, 3, 256) * torch.tensor([size[1], size[0], 0])[:, None] + 1)
    points = points / points[:, 2:] * 2
    return Sample(source, target, K, K, T, points, points, depth_src, depth_tgt, torch.zeros(batch))


def measure(case: Case) -> Cost:
    """Samples per second and peak memory of the case, in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = replace(TrainConfig("unused"), precision=case.precision)
    network = PlaneNetwork().train().to(case.device)
    if case.form == "reference":
        network.decoder = cast(
            PlaneDecoder, ReferenceDecoder(network.decoder)
        )  # faster in torch's own memory format than in channels_last
    else:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters())
    batch = Sample(*(field.to(case.device) for field in scene(case.batch, case.size)))
    disparity = stratified_disparity(case.batch, case.planes).to(case.device)
    seconds = []
    for _ in range(1 + case.steps):
        start = clock(case.device)
        optimizer.zero_grad()
        plane_losses(network, batch, disparity, config)["total"].backward()
        optimizer.step()
        seconds.append(clock(case.device) - start)
    return Cost(case.batch / statistics.median(seconds[1:]), peak_gigabytes(torch.device(case.device)))


def clock(device: str) -> float:
    """Seconds: wall time on a GPU, CPU time of this process on a CPU."""
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def child(case: Case) -> None:
    """Measures one case in this process, with limited memory, and prints its cost as JSON."""
    if case.device == "cpu":
        limit = int(case.memory * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    else:
        torch.cuda.set_per_process_memory_fraction(
            min(1.0, case.memory * 1e9 / torch.cuda.get_device_properties(0).total_memory)
        )
    try:
        cost = measure(case)
    except (RuntimeError, MemoryError) as error:
        if "memory" not in str(error):
            raise
        cost = Cost(None, None)
    print(json.dumps(asdict(cost)))


def run(case: Case) -> Cost:
    """Measures one case in a process of its own."""
    ended = subprocess.run(
        [sys.executable, __file__, "--case", json.dumps(asdict(case))], stdout=subprocess.PIPE, text=True, check=True
    )
    return Cost(**json.loads(ended.stdout))


def table(case: Case, found: dict[str, Cost]) -> str:
    """A Markdown table of costs by the names of the forms, the published structure first."""
    reference = next(iter(found.values()))
    height, width = case.size
    lines = [
        f"{case.device}, {width}x{height}, {case.planes} planes, batch {case.batch}, {case.precision}",
        "",
        "| | samples/s | | peak memory, GB | |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, cost in found.items():
        if cost.samples_per_second is None or cost.peak_memory_gb is None:
            lines.append(f"| {name} | – | | more than {case.memory:g} | |")
            continue
        ratios = ["", ""]
        if reference.samples_per_second and reference.peak_memory_gb:
            ratios = [
                f"{cost.samples_per_second / reference.samples_per_second:.1f}x",
                f"{cost.peak_memory_gb / reference.peak_memory_gb:.2f}x",
            ]
        lines.append(
            f"| {name} | {cost.samples_per_second:.3g} | {ratios[0]} | {cost.peak_memory_gb:.1f} | {ratios[1]} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures both forms and prints them as a table or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cpu", "cuda"])
    parser.add_argument("--size", type=int, nargs=2, default=(256, 384), metavar=("H", "W"))
    parser.add_argument("--planes", type=int, default=32)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--steps", type=int, default=2, help="timed, after one that warms up; the median counts")
    parser.add_argument("--memory", type=float, default=12, help="GB that a process may take")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        child(Case(**json.loads(options.case)))
        return
    names = ("device", "planes", "batch", "precision", "steps", "memory")
    case = Case("reference", size=tuple(options.size), **{name: getattr(options, name) for name in names})
    found = {name: run(replace(case, form=form)) for name, form in FORMS.items()}
    if options.json:
        print(json.dumps({"case": asdict(case), "forms": {k: asdict(v) for k, v in found.items()}}, indent=2))
    else:
        print(table(case, found))


if __name__ == "__main__":
    main()
