"""The jobs of the demo: predicting a scene, rendering a video, rendering a stereo pair. One runs at a time."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from mine import MPI, InputError, Model
from mine.demo.scene_store import SceneStore, remove_stale, replace_folder
from mine.network.input_size import network_size
from mine.output.camera_paths import PATHS, CameraPath, near_depth
from mine.output.depth_image import write_depth_image
from mine.output.stereo import Layout, render_stereo
from mine.output.video import default_size, render_video
from mine.output.web import export_html
from mine.scene.photo import read_photo

DETAIL = {"Draft": 256 * 128, "Standard": 384 * 256, "Fine": 768 * 512}
"""Pixels of a plane by level of detail; time and file size grow with them."""

FPS, GIF_FPS = 30, 15

JOB_SECONDS = 180.0
"""Time limit of a job in seconds, because other visitors wait for it."""

UPLOAD_SECONDS = 600.0
"""Age in seconds at which uploads without a scene are removed; a younger one may still wait in the queue."""

Report = Callable[[float, str], None]
"""Called with the fraction done, 0 to 1, and a text on what is being done; raises InputError to end the job."""


@dataclass(frozen=True)
class SceneSettings:
    """What a scene depends on besides the photo: number of planes, and level of detail (`DETAIL`)."""

    planes: int = 32
    detail: str = "Standard"


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

    def poses(self, scene: MPI, fps: int) -> CameraPath:
        """The camera path through a scene at `fps` frames per second."""
        frames = max(2, round(self.seconds * fps))
        there_and_back = self.loop and self.path == "line"
        poses = PATHS[self.path](
            frames=frames // 2 + 1 if there_and_back else frames, amount=self.amount, depth=near_depth(scene)
        )
        if isinstance(poses, CameraPath):
            return poses
        length = len(poses)
        return CameraPath.of(poses[[*range(length), *range(length - 2, 0, -1)]] if there_and_back else poses)


@dataclass(frozen=True)
class SceneFiles:
    """The files of one scene: <name>.mpi, <name>.html and <name>-depth.png in a folder of its own."""

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
    def depth(self) -> Path:
        """The depth map in colour."""
        return self.folder / f"{self.name}-depth.png"

    def all(self) -> list[Path]:
        """The files to download."""
        return [self.html, self.depth, self.mpi]


class JobRunner:
    """Runs the jobs of all sessions, one at a time, on one model.

    Scenes are kept as files, so that the network runs once per photo and settings, and idle sessions take no memory.

    Args:
        model: The model that predicts scenes.
        folder: Gradio's upload folder, which holds a folder per upload; scenes are kept in it too.
        job_seconds: Time limit of a job.
    """

    def __init__(self, model: Model, folder: Path, job_seconds: float = JOB_SECONDS) -> None:
        self.model, self.folder, self.job_seconds = model, folder, job_seconds
        self.scenes = SceneStore(folder / "scenes")
        self.own_folders = {self.scenes.root}  # what in `folder` is no upload
        self._lock = threading.Lock()
        self._running: tuple[str, threading.Event] | None = None

    def warm_up(self) -> None:
        """Predicts and renders a tiny scene, so that compiled code is loaded before the first visitor comes."""
        with self._lock:
            self.model.predict(torch.zeros(3, 128, 128), planes=2).to("cpu").render(torch.eye(4))

    def scene(self, session: str, photo: Path, settings: SceneSettings, report: Report) -> SceneFiles:
        """Predicts the scene of a photo, unless the session has it already.

        Raises:
            InputError: When the file is no photo, or the job was stopped or took too long; as all jobs.
        """
        with self._job(session, report) as step:
            return self._scene(session, photo, settings, step)

    def video(
        self, session: str, photo: Path, scene_settings: SceneSettings, settings: VideoSettings, report: Report
    ) -> tuple[SceneFiles, list[Path]]:
        """Renders a video of a photo's scene; returns the scene's files and the video, with a GIF if requested."""
        with self._job(session, report) as step:
            files = self._scene(session, photo, scene_settings, step)
            scene = MPI.open(files.mpi)
            mp4 = replace_folder(files.folder, "video") / f"{files.name}-{settings.path}.mp4"
            size = default_size(scene.size, settings.longest)
            progress = _part(step, 0, 0.7 if settings.gif else 1, "Rendering the video")
            render_video(scene, settings.poses(scene, FPS), mp4, FPS, size=size, progress=progress)
            if not settings.gif:
                return files, [mp4]
            gif = mp4.with_suffix(".gif")
            render_video(
                scene, settings.poses(scene, GIF_FPS), gif, GIF_FPS, progress=_part(step, 0.7, 1, "Making the GIF")
            )
            return files, [mp4, gif]

    def stereo(self, session: str, photo: Path, settings: SceneSettings, layout: Layout, report: Report) -> Path:
        """Renders a stereo pair of a photo's scene to one image and returns the file."""
        with self._job(session, report) as step:
            files = self._scene(session, photo, settings, step)
            out = replace_folder(files.folder, "stereo") / f"{files.name}-{layout}.jpg"
            step(0.5, "Rendering both eyes")
            render_stereo(MPI.open(files.mpi), out, layout)
            return out

    def stop(self, session: str) -> None:
        """Stops the running job if it is this session's."""
        running = self._running
        if running is not None and running[0] == session:
            running[1].set()

    def close(self, session: str) -> None:
        """Ends a session: stops its running job, removes its scenes and all stale uploads."""
        self.stop(session)
        with self._lock:
            self.scenes.close(session)
            remove_stale(self.folder, self.own_folders | self.scenes.photo_folders(), UPLOAD_SECONDS)

    @contextmanager
    def _job(self, session: str, report: Report) -> Iterator[Report]:
        """Waits until no other job runs; yields `report`, made to raise once the job is stopped or out of time."""
        with self._lock:
            stopped = threading.Event()
            deadline = time.monotonic() + self.job_seconds

            def step(fraction: float, text: str) -> None:
                if stopped.is_set():
                    raise InputError("stopped")
                if time.monotonic() > deadline:
                    raise InputError(f"took more than {self.job_seconds:g} seconds: ask for fewer planes or frames")
                report(fraction, text)

            self._running = session, stopped
            try:
                yield step
            finally:
                self._running = None

    def _scene(self, session: str, photo: Path, settings: SceneSettings, step: Report) -> SceneFiles:
        """The files of a photo's scene, made unless the session has them already."""
        # Gradio names an upload's folder by a hash of the content, so that the same path is the same photo.
        found = self.scenes.find(session, photo, settings)
        if found is not None:
            return SceneFiles(found, photo.stem)
        with self.scenes.new(session, photo, settings) as folder:
            files = SceneFiles(folder, photo.stem)
            step(0.05, "Reading the photo")
            image = read_photo(photo)
            height, width = image.rgb.shape[-2:]
            size = network_size(height, width, DETAIL[settings.detail])
            step(0.1, "Predicting the planes")
            scene = self.model.predict(image.rgb, settings.planes, size=size, fov=image.fov).to("cpu")
            step(0.6, "Encoding the 3D view")
            scene.save(files.mpi)
            export_html(scene, files.html)
            step(0.9, "Rendering the depth map")
            write_depth_image(scene, files.depth)
            step(1.0, "Done")
            return files


def _part(step: Report, start: float, end: float, text: str) -> Callable[[float], None]:
    """A progress callback that fills the part from `start` to `end` of the job's progress bar."""
    step(start, text)
    return lambda fraction: step(start + (end - start) * fraction, text)
