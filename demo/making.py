"""What the demo makes of a photo: the scene's files, moving thumbnails, videos, stereo pairs.

Each function takes a model, where its output goes, and a `Report`. None knows sessions or queues: they run in a worker
process (`mine.demo.worker`) or in this one.
"""

import json
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mine import MPI, Model
from mine.demo.contact_sheet import write_contact_sheet
from mine.demo.exporting import write_form
from mine.demo.samples import FOLDER
from mine.errors import InputWarning
from mine.network.input_size import network_size
from mine.output.camera_paths import CameraPath, scene_path
from mine.output.depth_image import write_depth_image
from mine.output.framing import crop_to_aspect
from mine.output.stereo import Layout, render_stereo
from mine.output.video import default_size, render_video
from mine.output.web import write_page
from mine.output.web.pack import pack
from mine.scene.depth_maps.depth_map import DepthMap
from mine.scene.depth_maps.read import read_depth
from mine.scene.photo import read_photo
from mine.scene.resize import resize

DETAIL = {"Draft": 256 * 128, "Standard": 384 * 256, "Fine": 768 * 512}
"""Pixels of a plane by level of detail; time and file size grow with them."""

ASPECTS: dict[str, float | None] = {"As the photo": None, "1:1": 1.0, "9:16": 9 / 16, "16:9": 16 / 9}
"""Width / height of a video by its shape; None is the photo's."""

FPS, GIF_FPS = 30, 15

ROUND_SECONDS = 3.0
"""Seconds of a round of a camera path at speed 1."""

MAP_SIDE = 768
"""Longest side in pixels of a depth map that is changed."""

Report = Callable[[float, str], None]
"""Called with the fraction done, 0 to 1, and a text on what is being done; raises InputError to end the job."""


@dataclass(frozen=True)
class SceneSettings:
    """What a scene depends on besides the photo: number of planes, level of detail (`DETAIL`), and the lens."""

    planes: int = 32
    detail: str = "Standard"
    fov: float = 0.0
    """horizontal field of view in degrees; 0 is what the photo's EXIF says, else a phone's"""
    strength: float = 1.0
    """exponent of disparity: above 1 near and far lie farther apart"""
    invert: bool = False
    """whether near and far change places"""
    depth: Path | None = None
    """depth map to use in place of the network's prediction"""

    @property
    def size(self) -> int:
        """Pixels of all planes together: what the time depends on."""
        return self.planes * DETAIL[self.detail]


@dataclass(frozen=True)
class VideoSettings:
    """What a video depends on besides the scene."""

    path: str = "swing"
    """name of the camera path, see `mine.paths.PATHS`"""
    amount: float = 1.0
    """factor on the size of the motion"""
    seconds: float = 3.0
    loop: bool = True
    """whether a path that does not loop by itself goes there and back"""
    longest: int = 960
    """longest side in pixels"""
    gif: bool = False
    """whether to write a GIF as well"""
    speed: float = 1.0
    """factor on the speed; a video holds whole rounds of the path, so that it loops"""
    aspect: str = "As the photo"
    """shape of the video, see `ASPECTS`"""
    webp: bool = False
    """whether to write an animated WebP as well"""

    def poses(self, scene: MPI, fps: int) -> CameraPath:
        """The camera path through a scene at `fps` frames per second: whole rounds, so that it loops."""
        frames = max(2, round(self.seconds * fps))
        rounds = max(1, min(round(self.seconds * self.speed / ROUND_SECONDS), frames // 2))
        one = self._round(scene, frames // rounds)
        shift = None if one.shift is None else one.shift.repeat(rounds, 1)
        return CameraPath(one.poses.repeat(rounds, 1, 1), one.focal.repeat(rounds), shift)

    def _round(self, scene: MPI, frames: int) -> CameraPath:
        """One round of the path in `frames` poses."""
        there_and_back = self.loop and self.path == "line"
        path = scene_path(scene, self.path, frames // 2 + 1 if there_and_back else frames, self.amount)
        if not there_and_back:
            return path
        order = [*range(len(path.poses)), *range(len(path.poses) - 2, 0, -1)]
        return CameraPath(path.poses[order], path.focal[order], None if path.shift is None else path.shift[order])


@dataclass(frozen=True)
class SceneFiles:
    """The files of one scene: <name>.mpi, .html, .json and <name>-depth.png in a folder of its own."""

    folder: Path
    name: str

    @property
    def mpi(self) -> Path:
        """The scene file."""
        return self.folder / f"{self.name}.mpi"

    @property
    def html(self) -> Path:
        """The web page."""
        return self.folder / f"{self.name}.html"

    @property
    def packed(self) -> Path:
        """The scene as the web page holds it, which the demo's viewer is sent."""
        return self.folder / f"{self.name}.json"

    @property
    def depth(self) -> Path:
        """The depth map in colour."""
        return self.folder / f"{self.name}-depth.png"

    @property
    def motions(self) -> Path:
        """The moving thumbnails of all camera paths."""
        return self.folder / f"{self.name}-motions.webp"

    @property
    def notes(self) -> Path:
        """What is wrong with the photo although it was used, a line each; the file is missing where nothing is."""
        return self.folder / f"{self.name}-notes.txt"

    def all(self) -> list[Path]:
        """The files to download."""
        return [self.html, self.depth, self.mpi]


def make_scene(model: Model, photo: Path, settings: SceneSettings, files: SceneFiles, report: Report) -> None:
    """Predicts the scene of a photo and writes its files."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        _make_scene(model, photo, settings, files, report)
    notes = [str(each.message) for each in caught if issubclass(each.category, InputWarning)]
    if notes:
        files.notes.write_text("\n".join(notes), encoding="utf-8")
    report(1.0, "Done")


def _make_scene(model: Model, photo: Path, settings: SceneSettings, files: SceneFiles, report: Report) -> None:
    report(0.02, "Reading the photo")
    image = read_photo(photo)
    height, width = image.rgb.shape[-2:]
    size = network_size(height, width, DETAIL[settings.detail])
    report(0.1, "Finding depth")
    options: dict[str, Any] = {"planes": settings.planes, "size": size, "fov": settings.fov or image.fov}
    own = None if settings.depth is None else read_depth(settings.depth, inverted=settings.invert)
    scene = model.predict(image.rgb, **options, depth=own).to("cpu")
    if settings.strength != 1 or (settings.invert and own is None):
        report(0.35, "Changing the depth")
        depth = change_depth(scene, settings.strength, settings.invert and own is None)
        scene = model.predict(image.rgb, **options, depth=depth).to("cpu")
    report(0.5, "Building the 3D view")
    with ThreadPoolExecutor(1) as other:  # both are done before the web page, which leaves a core idle now and then
        written = [other.submit(write_depth_image, scene, files.depth), other.submit(scene.save, files.mpi)]
        packed = pack(scene)
        write_page(packed, files.html)
        files.packed.write_text(json.dumps(packed, separators=(",", ":"), allow_nan=False), encoding="utf-8")
        for each in written:
            each.result()


def change_depth(scene: MPI, strength: float, invert: bool) -> DepthMap:
    """The depth of a scene with another contrast, and with near and far swapped if asked for.

    Relative disparity d, 1 at the nearest surface, becomes d to the power of `strength`; inverted, it is first
    mirrored between its ends.
    """
    surface = scene.surface
    if surface is None:
        with torch.no_grad():
            surface = 1 / scene.render(torch.eye(4), size=scene.plane_size).depth[0].clamp(min=1e-6)
    # Planes have sides of multiples of 128: the map has the photo's shape.
    disparity = resize(surface, default_size(scene.size, MAP_SIDE))[0]
    disparity = (disparity / disparity.max()).clamp(min=1e-3)
    if invert:
        disparity = disparity.min() + disparity.max() - disparity
    return DepthMap(disparity.pow(strength).numpy(), "disparity")


def make_motions(model: Model, files: SceneFiles, report: Report) -> None:
    """Renders the moving thumbnails of a scene's camera paths to one picture."""
    report(0.0, "Drawing the camera motions")
    write_contact_sheet(MPI.open(files.mpi), files.motions, lambda done: report(done, "Drawing the camera motions"))


def make_video(model: Model, files: SceneFiles, settings: VideoSettings, folder: Path, report: Report) -> None:
    """Renders a video along a camera path to a folder, as MP4 and, if asked for, as GIF and WebP."""
    scene = crop_to_aspect(MPI.open(files.mpi), ASPECTS[settings.aspect])
    name = folder / f"{files.name}-{settings.path}"
    extras = [ending for ending, wanted in ((".gif", settings.gif), (".webp", settings.webp)) if wanted]
    share = 1 - 0.25 * len(extras)
    poses = settings.poses(scene, FPS)
    progress = _part(report, 0, share, "Filming", len(poses.poses))
    size = default_size(scene.size, settings.longest)
    render_video(scene, poses, name.with_suffix(".mp4"), FPS, size=size, progress=progress)
    for number, ending in enumerate(extras):
        start = share + 0.25 * number
        text = f"Making the {ending[1:].upper() if ending == '.gif' else 'WebP'}"
        progress = _part(report, start, start + 0.25, text)
        render_video(scene, settings.poses(scene, GIF_FPS), name.with_suffix(ending), GIF_FPS, progress=progress)


def make_stereo(model: Model, files: SceneFiles, layout: Layout, out: Path, report: Report) -> None:
    """Renders a stereo pair of a scene to one image."""
    report(0.2, "Rendering both eyes")
    render_stereo(MPI.open(files.mpi), out, layout)


def make_export(model: Model, files: SceneFiles, form: str, out: Path, report: Report) -> None:
    """Writes a scene in another form, see `mine.demo.exporting`."""
    report(0.1, "Writing the file")
    write_form(MPI.open(files.mpi), form, out)


def warm_up(model: Model, report: Report) -> None:
    """Makes the scene of a sample, so that the first visitor waits no longer than others."""
    with tempfile.TemporaryDirectory() as folder:
        make_scene(model, FOLDER / "coffee.jpg", SceneSettings(), SceneFiles(Path(folder), "scene"), report)


def _part(report: Report, start: float, end: float, text: str, frames: int = 0) -> Callable[[float], None]:
    """A progress callback that fills the part from `start` to `end` of the job's progress bar."""
    report(start, text)

    def progress(done: float) -> None:
        count = f", picture {round(done * frames)} of {frames}" if frames else ""
        report(start + (end - start) * done, text + count)

    return progress


MAKERS: dict[str, Callable[..., None]] = {
    "scene": make_scene,
    "motions": make_motions,
    "video": make_video,
    "stereo": make_stereo,
    "export": make_export,
    "warm_up": warm_up,
}
"""All jobs by name."""
