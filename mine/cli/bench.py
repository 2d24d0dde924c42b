"""`mine bench`: wall times of prediction, rendering and a whole video, beside the reference implementations.

The work compared is listed in `_prediction`, `_rendering` and `_product`; `medians` times it.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from mine.kernels.memory import peak_memory
from mine.model import Model, load
from mine.network.planes.cpu.fused import FusedNetwork
from mine.network.planes.network import GROUP, PlaneNetwork
from mine.network.planes.reference import reference_decoder
from mine.output.camera_paths import PATHS, near_depth
from mine.output.video import render_video
from mine.render import render
from mine.render.published import published_render
from mine.scene.camera import intrinsics, pose
from mine.scene.mpi import MPI

SIZE = (256, 384)
PLANES = 32
FRAMES = 90
VIEWS = 8
MANY = f"render a view, {VIEWS} views per call"
REPETITIONS = 3


@dataclass(frozen=True)
class Row:
    """The time of one piece of work."""

    name: str
    seconds: float
    """median"""
    ratio: float | None
    """how many times faster this is than the reference implementation; None without one"""


def bench(model: Model | None = None) -> list[Row]:
    """Times prediction, rendering and a whole video on the CPU, with 32 planes of 384x256 pixels.

    Args:
        model: Model of the rows about the whole product; by default the shipped one, on the CPU.

    Returns:
        Medians of 3 repetitions, see `medians`.
    """
    model = model or load(device="cpu")
    with torch.no_grad():
        return [*_prediction(), *_rendering(), *_product(model)]


def table(rows: list[Row]) -> str:
    """The rows as a text table in milliseconds, with the number of threads and the peak memory below."""
    width = max(len(row.name) for row in rows)
    lines = [
        f"{row.name:{width}}  {1000 * row.seconds:9.1f} ms" + (f"  {row.ratio:6.1f}x" if row.ratio else "")
        for row in rows
    ]
    peak = peak_memory()
    memory = "memory not known on this system" if peak is None else f"{peak:.1f} GB at most"
    return "\n".join([*lines, f"{torch.get_num_threads()} threads, {memory}"])


def as_dict(rows: list[Row]) -> dict[str, object]:
    """The rows in seconds, the number of threads and the peak memory in GB (None if unknown), ready for JSON."""
    peak = peak_memory()
    values: dict[str, object] = {"rows": [asdict(row) for row in rows]}
    return values | {"threads": torch.get_num_threads(), "peak_memory_gb": None if peak is None else round(peak, 2)}


def _prediction() -> list[Row]:
    """Prediction by the published architecture with random weights."""
    torch.manual_seed(0)
    network = PlaneNetwork().eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.rand(1, 3, *SIZE).contiguous(memory_format=torch.channels_last)
    disparity = torch.linspace(1, 0.001, PLANES)[None]
    exact, half = (FusedNetwork(network.encoder, network.decoder, dtype) for dtype in (torch.float32, torch.bfloat16))
    return _compare(
        {
            "predict, published architecture, reference": lambda: reference_decoder(
                network.decoder, network.encoder(image), disparity
            ),
            "predict, published architecture, float32": lambda: exact.predict_planes(image, disparity, GROUP),
            "predict, published architecture, bfloat16": lambda: half.predict_planes(image, disparity, GROUP),
        }
    )


def random_surface_planes(planes: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Planes of random colours whose density lies on one smooth surface, a few planes thick, as a plane network's does.

    Dense fog everywhere would favour renderers that stop early or skip empty space.

    Args:
        planes: Number of planes S.
        size: (H, W) of the planes in pixels.

    Returns:
        RGB and density (1, S, 4, H, W), and disparities (1, S) from 1 to 0.01.
    """
    torch.manual_seed(0)
    values = torch.rand(1, planes, 4, *size)
    surface = torch.nn.functional.interpolate(torch.rand(1, 1, 6, 9) * planes, size, mode="bicubic")
    distance = (torch.arange(planes)[:, None, None] - surface).abs()
    values[:, :, 3] = 1e-4 + 30 * (1 - distance / 2).clamp(min=0)
    return values, torch.linspace(1, 0.01, planes)[None]


def _rendering() -> list[Row]:
    """Views of one scene; only the last row includes what is prepared once for each scene."""
    planes, disparity = random_surface_planes(PLANES, SIZE)
    K, T = intrinsics(SIZE), pose(translation=torch.tensor([0.05, 0.02, -0.05]))
    scene = MPI(planes[0, :, :3], planes[0, :, 3:], disparity[0], K)
    arguments = planes, disparity, K[None], K[None], T[None], SIZE
    rows = _compare(
        {
            "render a view, published renderer": lambda: published_render(*arguments),
            "render a view, reference renderer": lambda: render(*arguments, backend="reference"),
            "render a view": lambda: scene.render(T),
            MANY: lambda: scene.render(T.repeat(VIEWS, 1, 1)),
            "render the first view of a scene": lambda: render(scene.planes[None], *arguments[1:], backend="cpu"),
        }
    )
    # The published renderer does the same work for each view, however many a call requests.
    return [_per_view(row) if row.name == MANY else row for row in rows]


def _per_view(row: Row) -> Row:
    return Row(row.name, row.seconds / VIEWS, row.ratio and row.ratio * VIEWS)


def _product(model: Model) -> list[Row]:
    """The shipped model's prediction, and everything that `mine render` does for a photo."""
    photo = torch.rand(3, 8, 12)
    photo = torch.nn.functional.interpolate(photo[None], SIZE, mode="bicubic")[0].clamp(0, 1)

    def video() -> None:
        scene = model.predict(photo, PLANES, size=SIZE)
        path = PATHS["swing"](frames=FRAMES, depth=near_depth(scene))
        with tempfile.TemporaryDirectory() as folder:
            render_video(
                scene, path, Path(folder, "a.mp4"), depth=Path(folder, "b.mp4"), progress=lambda fraction: None
            )

    works: dict[str, Callable[[], object]] = {
        "predict, shipped checkpoint": lambda: model.predict(photo, PLANES, size=SIZE),
        f"photo to {FRAMES} frames of video and depth, shipped checkpoint": video,
    }
    return [row for name, work in works.items() for row in _compare({name: work})]


def _compare(works: dict[str, Callable[[], object]]) -> list[Row]:
    """Times implementations of the same work; if there are several, the first is the reference."""
    seconds = medians(works, REPETITIONS)
    reference = next(iter(seconds.values()))
    return [Row(name, value, reference / value if len(works) > 1 else None) for name, value in seconds.items()]


def medians(works: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Median wall time of each function, in seconds.

    The functions run in turns (a, b, a, b, ...), so that other load on the machine slows them all alike. One more
    turn comes first and does not count: caches and compiled code are then warm.

    Args:
        works: Functions to time, by name.
        repetitions: How often each function is timed.

    Returns:
        Seconds by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(1 + repetitions):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}
