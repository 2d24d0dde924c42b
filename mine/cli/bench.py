"""How fast this machine is: our forms beside the plain ones, in one run, as `mine bench` prints it."""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from mine.model import GROUP, Model, load
from mine.network.planes.cpu.fused import FusedNetwork
from mine.network.planes.network import PlaneNetwork
from mine.network.planes.reference import reference_decoder
from mine.output.camera_paths import PATHS, near_depth
from mine.output.video import render_video
from mine.render import join, render
from mine.render.published import published_render
from mine.scene.camera import intrinsics, pose
from mine.scene.mpi import MPI

SIZE = (256, 384)
PLANES = 32
FRAMES = 90
VIEWS = 8
MANY = f"render a view, {VIEWS} of a scene at once"
TURNS = 3


@dataclass(frozen=True)
class Row:
    """What was timed, its median seconds, and how many times faster it is than the plain form of the same work."""

    name: str
    seconds: float
    ratio: float | None


def bench(model: Model | None = None) -> list[Row]:
    """Times prediction, rendering and a whole video, 32 planes at 384x256, on the processor.

    Forms of the same work take turns, so that whatever else the machine does meets all alike; medians of 3 turns after
    one that warms up. `model` is the shipped one by default.
    """
    model = model or load(device="cpu")
    with torch.no_grad():
        return [*_prediction(), *_rendering(), *_product(model)]


def peak_memory() -> float:
    """Most memory that this process has held so far, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def table(rows: list[Row]) -> str:
    """Rows as text, with the number of threads and the peak of memory."""
    width = max(len(row.name) for row in rows)
    lines = [
        f"{row.name:{width}}  {1000 * row.seconds:9.1f} ms" + (f"  {row.ratio:6.1f}x" if row.ratio else "")
        for row in rows
    ]
    return "\n".join([*lines, f"{torch.get_num_threads()} threads, {peak_memory():.1f} GB at most"])


def as_dict(rows: list[Row]) -> dict[str, object]:
    """Rows as plain values, for JSON."""
    figures: dict[str, object] = {"rows": [asdict(row) for row in rows]}
    return figures | {"threads": torch.get_num_threads(), "peak_memory_gb": round(peak_memory(), 2)}


def _prediction() -> list[Row]:
    torch.manual_seed(0)
    network = PlaneNetwork().eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.rand(1, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    disparity = torch.linspace(1, 0.001, PLANES)[None]
    exact, half = (FusedNetwork(network, dtype) for dtype in (torch.float32, torch.bfloat16))
    return _in_turns(
        {
            "predict, published architecture, plain": lambda: reference_decoder(
                network.decoder, network.encoder(image), disparity
            ),
            "predict, published architecture, float32": lambda: exact.predict_planes(image, disparity, GROUP),
            "predict, published architecture, bfloat16": lambda: half.predict_planes(image, disparity, GROUP),
        }
    )


def surfaces(planes: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Planes (1, S, 4, H, W) and their disparities (1, S): smooth surfaces some planes thick, and next to nothing else.

    Such are the scenes of plane networks; dense fog would be unfair to forms that look at everything.
    """
    torch.manual_seed(0)
    values = torch.rand(1, planes, 4, *size)
    place = torch.nn.functional.interpolate(torch.rand(1, 1, 6, 9) * planes, size, mode="bicubic")
    distance = (torch.arange(planes)[:, None, None] - place).abs()
    values[:, :, 3] = 1e-4 + 30 * (1 - distance / 2).clamp(min=0)
    return values, torch.linspace(1, 0.01, planes)[None]


def _rendering() -> list[Row]:
    """Views of one scene; what ours finds out about a scene before its first view is in the last row alone."""
    planes, disparity = surfaces(PLANES, SIZE)
    K, T = intrinsics(SIZE), pose(translation=torch.tensor([0.05, 0.02, -0.05]))
    scene = MPI(planes[0, :, :3], planes[0, :, 3:], disparity[0], K)
    drawn = join(scene.rgb, scene.sigma)  # as networks draw them
    plain = planes, disparity, K[None], K[None], T[None], SIZE
    rows = _in_turns(
        {
            "render a view, published form": lambda: published_render(*plain),
            "render a view, readable form": lambda: render(*plain, backend="reference"),
            "render a view": lambda: scene.render(T),
            MANY: lambda: scene.render(T.repeat(VIEWS, 1, 1)),
            "render the first view of a scene": lambda: render(drawn[None], *plain[1:], backend="cpu"),
        }
    )
    # The published form does the same work for each view, however many are asked for.
    return [_of_one(row) if row.name == MANY else row for row in rows]


def _of_one(row: Row) -> Row:
    return Row(row.name, row.seconds / VIEWS, row.ratio and row.ratio * VIEWS)


def _product(model: Model) -> list[Row]:
    photo = torch.rand(3, 8, 12)
    photo = torch.nn.functional.interpolate(photo[None], SIZE, mode="bicubic")[0].clamp(0, 1)

    def video() -> None:
        scene = model.predict(photo, PLANES, size=SIZE)
        path = PATHS["swing"](frames=FRAMES, depth=near_depth(scene))
        with tempfile.TemporaryDirectory() as folder:
            render_video(scene, path, Path(folder, "a.mp4"), depth=Path(folder, "b.mp4"), progress=lambda share: None)

    timed: dict[str, Callable[[], object]] = {
        "predict, shipped checkpoint": lambda: model.predict(photo, PLANES, size=SIZE),
        f"photo to {FRAMES} frames of video and depth, shipped checkpoint": video,
    }
    return [row for name, work in timed.items() for row in _in_turns({name: work})]


def _in_turns(forms: dict[str, Callable[[], object]]) -> list[Row]:
    """The first form is the plain one, if there are several."""
    found = medians(forms, TURNS)
    plain = next(iter(found.values()))
    return [Row(name, value, plain / value if len(forms) > 1 else None) for name, value in found.items()]


def medians(forms: dict[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Median seconds of each form over `turns`, after one that warms up; forms take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(1 + turns):
        for name, form in forms.items():
            start = time.perf_counter()
            form()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}
