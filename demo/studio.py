"""What the demo does with a photo, one job at a time: scene, video, stereo pair."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from demo.scenes import Scenes, emptied, remove_old
from mine.errors import InputError
from mine.model import Model
from mine.output.camera_paths import PATHS, CameraPath
from mine.output.stereo import Layout, render_stereo
from mine.output.video import default_size, render_video
from mine.output.web import export_html
from mine.scene.depth import colour_depth, depth_range, near_depth
from mine.scene.images import network_size
from mine.scene.mpi import MPI
from mine.scene.photo import read_photo

DETAIL = {"Draft": 256 * 128, "Standard": 384 * 256, "Fine": 768 * 512}
"""Pixels of a plane; time and file size grow with them."""

FPS, GIF_FPS = 30, 15

LONGEST_DEPTH = 1024
"""Longest side in pixels of the depth picture: planes hold no more."""

JOB_SECONDS = 180.0
"""A job that takes longer is stopped: others wait for their turn."""

UPLOAD_SECONDS = 600.0
"""Uploads that no scene was made of stay this long: their sender may still be waiting for a turn."""

Report = Callable[[float, str], None]
"""Takes the share done, 0 to 1, and what is being done; raises InputError when the job is to stop."""


@dataclass(frozen=True)
class Quality:
    """How finely a photo is turned into planes."""

    planes: int = 32
    detail: str = "Standard"


@dataclass(frozen=True)
class Motion:
    """How the camera moves, and how that is written."""

    path: str = "swing"
    amount: float = 1.0
    seconds: float = 3.0
    loop: bool = True
    longest: int = 960
    gif: bool = False

    def poses(self, scene: MPI, fps: int) -> CameraPath:
        """The camera path for a scene. Where a path ends elsewhere than it starts, a loop goes there and back."""
        frames = max(2, round(self.seconds * fps))
        there_and_back = self.loop and self.path == "line"
        made = PATHS[self.path](
            frames=frames // 2 + 1 if there_and_back else frames, amount=self.amount, depth=near_depth(scene)
        )
        path = made if isinstance(made, CameraPath) else CameraPath(made, torch.ones(len(made)))
        if there_and_back:
            path = CameraPath(*(torch.cat([value, value.flip(0)[1:-1]]) for value in path))
        return path


@dataclass(frozen=True)
class SceneFiles:
    """The files of one scene: <name>.mpi, <name>.html and <name>-depth.png in a folder of its own."""

    folder: Path
    name: str

    @property
    def mpi(self) -> Path:
        return self.folder / f"{self.name}.mpi"

    @property
    def html(self) -> Path:
        return self.folder / f"{self.name}.html"

    @property
    def depth(self) -> Path:
        return self.folder / f"{self.name}-depth.png"

    def all(self) -> list[Path]:
        """What there is to download."""
        return [self.html, self.depth, self.mpi]


class Studio:
    """One model, used by many sessions in turn. Scenes are kept as files: no network runs twice, memory stays free."""

    def __init__(self, model: Model, folder: Path, job_seconds: float = JOB_SECONDS) -> None:
        """folder: where gradio puts uploads, each in a folder of its own; scenes go beside them."""
        self.model, self.folder, self.job_seconds = model, folder, job_seconds
        self.scenes = Scenes(folder / "scenes")
        self.own = {self.scenes.root}  # what in `folder` is no upload
        self._turn = threading.Lock()
        self._running: tuple[str, threading.Event] | None = None

    def warm_up(self) -> None:
        """Does what takes time only once, so that the first visitor need not wait for it: compiled code is loaded."""
        with self._turn:
            self.model.predict(torch.zeros(3, 128, 128), planes=2).to("cpu").render(torch.eye(4))

    def scene(self, session: str, photo: Path, quality: Quality, report: Report) -> SceneFiles:
        """The scene in a photo. Raises InputError for what is no photo, and when the job is stopped."""
        with self._job(session, report) as step:
            return self._scene(session, photo, quality, step)

    def video(
        self, session: str, photo: Path, quality: Quality, motion: Motion, report: Report
    ) -> tuple[SceneFiles, list[Path]]:
        """The scene in a photo and a video of it, followed by a GIF if asked for; raises as `scene` does."""
        with self._job(session, report) as step:
            files = self._scene(session, photo, quality, step)
            scene = MPI.open(files.mpi)
            mp4 = emptied(files.folder, "video") / f"{files.name}-{motion.path}.mp4"
            size = default_size(scene.size, motion.longest)
            filming = _part(step, 0, 0.7 if motion.gif else 1, "Filming")
            render_video(scene, motion.poses(scene, FPS), mp4, FPS, size=size, progress=filming)
            if not motion.gif:
                return files, [mp4]
            gif = mp4.with_suffix(".gif")
            render_video(
                scene, motion.poses(scene, GIF_FPS), gif, GIF_FPS, progress=_part(step, 0.7, 1, "Making the GIF")
            )
            return files, [mp4, gif]

    def stereo(self, session: str, photo: Path, quality: Quality, layout: Layout, report: Report) -> Path:
        """A stereo picture of the scene in a photo; raises as `scene` does."""
        with self._job(session, report) as step:
            files = self._scene(session, photo, quality, step)
            out = emptied(files.folder, "stereo") / f"{files.name}-{layout}.jpg"
            step(0.5, "Rendering both eyes")
            render_stereo(MPI.open(files.mpi), out, layout)
            return out

    def stop(self, session: str) -> None:
        """Stops the running job if it is this session's."""
        running = self._running
        if running is not None and running[0] == session:
            running[1].set()

    def close(self, session: str) -> None:
        """Ends a session: its running job is stopped, its files are removed."""
        self.stop(session)
        with self._turn:
            self.scenes.close(session)
            remove_old(self.folder, self.own | self.scenes.photos(), UPLOAD_SECONDS)

    @contextmanager
    def _job(self, session: str, report: Report) -> Iterator[Report]:
        """Waits for the turn; yields `report` made to raise once the job is stopped or out of time."""
        with self._turn:
            stopped = threading.Event()
            deadline = time.monotonic() + self.job_seconds

            def step(share: float, text: str) -> None:
                if stopped.is_set():
                    raise InputError("stopped")
                if time.monotonic() > deadline:
                    raise InputError(f"took more than {self.job_seconds:g} seconds: ask for fewer planes or frames")
                report(share, text)

            self._running = session, stopped
            try:
                yield step
            finally:
                self._running = None

    def _scene(self, session: str, photo: Path, quality: Quality, step: Report) -> SceneFiles:
        # An upload's folder is named by a hash of its content: the same path is the same photo.
        found = self.scenes.find(session, photo, quality)
        if found is not None:
            return SceneFiles(found, photo.stem)
        with self.scenes.new(session, photo, quality) as folder:
            files = SceneFiles(folder, photo.stem)
            step(0.05, "Reading the photo")
            picture = read_photo(photo)
            height, width = picture.rgb.shape[-2:]
            size = network_size(height, width, DETAIL[quality.detail])
            step(0.1, "Drawing the planes")
            scene = self.model.predict(picture.rgb, quality.planes, size=size, fov=picture.fov).to("cpu")
            step(0.6, "Packing the 3D view")
            scene.save(files.mpi)
            export_html(scene, files.html)
            step(0.9, "Measuring depth")
            _save_depth(scene, files.depth)
            step(1.0, "Done")
            return files


def _part(step: Report, start: float, end: float, text: str) -> Callable[[float], None]:
    """A progress callback that fills a part of the job's bar."""
    step(start, text)
    return lambda share: step(start + (end - start) * share, text)


def _save_depth(scene: MPI, path: Path) -> None:
    with torch.no_grad():
        depth = scene.render(torch.eye(4), size=default_size(scene.size, LONGEST_DEPTH)).depth
    Image.fromarray(colour_depth(depth, *depth_range(scene))[0]).save(path)
