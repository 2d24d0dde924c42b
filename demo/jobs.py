"""The jobs of the demo's visitors: who may do what, for how long, and where its files are."""

import math
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mine import InputError, Model
from mine.demo.estimate import Estimates, in_words
from mine.demo.exporting import FORMS
from mine.demo.making import Report, SceneFiles, SceneSettings, VideoSettings
from mine.demo.scene_store import SceneStore, latest, new_folder, remove_stale
from mine.demo.worker import InProcess, Workers
from mine.output.stereo import Layout

JOB_SECONDS = 180.0
"""Time limit of a job in seconds, because other visitors wait for it."""

UPLOAD_SECONDS = 600.0
"""Age in seconds at which uploads without a scene are removed; the visitor of a younger one may still ask for it."""

IDLE_SECONDS = 45.0
"""The same while nobody is there; and of scenes of those who hold no connection, as plain HTTP calls."""

AWAY_SECONDS = 8.0
"""Seconds after the last connection of a session ended until its jobs are stopped, and the session ends."""

GONE_SECONDS = 600.0
"""The same until a session ends whose page says when it is closed: if it says nothing, its phone may be locked."""

VIDEOS = 6
"""Videos kept of a scene."""

EXPORTS = 4
"""Stereo pictures kept of a scene, and as many other files: models have tens of megabytes."""


class Control:
    """What a job reports to, and what ends it: its visitor, or the time limit.

    Args:
        report: Called with the fraction done and the text.
        job_seconds: Time limit; it begins with `begin`.
        estimate: Seconds that the job will probably take.
    """

    def __init__(self, report: Report, job_seconds: float, estimate: float) -> None:
        self._report, self._job_seconds, self._estimate = report, job_seconds, estimate
        self.stopped = threading.Event()
        self._start: float | None = None

    def begin(self) -> None:
        """Starts the clock, once the job need not wait for others any more."""
        if self._start is None:
            self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the job began."""
        return 0.0 if self._start is None else time.monotonic() - self._start

    def check(self) -> None:
        """Raises InputError once the job is stopped or out of time."""
        if self.stopped.is_set():
            raise InputError("stopped")
        if self._start is not None and self.seconds > self._job_seconds:
            raise InputError(f"took more than {self._job_seconds:g} seconds: ask for fewer planes or frames")

    def __call__(self, fraction: float, text: str) -> None:
        """Reports, with what is probably left of the time."""
        self.check()
        left = max(self._estimate - self.seconds, self.seconds * (1 - fraction) / max(fraction, 0.2), 0)
        self._report(fraction, text if fraction >= 1 else f"{text} ({in_words(left)} left)")


class JobRunner:
    """Runs the jobs of all sessions.

    Scenes are kept as files, so that the network runs once per photo and settings, and idle sessions take no memory.

    Args:
        workers: What does the jobs; a model does them in this process, one at a time.
        folder: Gradio's upload folder, which holds a folder per upload; scenes are kept in it too.
        job_seconds: Time limit of a job.
    """

    def __init__(self, workers: Workers | Model, folder: Path, job_seconds: float = JOB_SECONDS) -> None:
        self.workers: Workers = InProcess(workers) if isinstance(workers, Model) else workers
        self.folder, self.job_seconds = folder, job_seconds
        self.scenes = SceneStore(folder / "scenes")
        self.own_folders = {self.scenes.root}  # what in `folder` is no upload
        self.estimates = Estimates()
        self.visits: Counter[str] = Counter()
        """open pages of each session"""
        self._ends: dict[str, float] = {}  # when sessions end that have something here, and hold no connection
        self._stops: dict[str, float] = {}  # when their jobs are stopped
        self._brought: dict[str, set[Path]] = {}  # folders of the uploads of each session
        self._unwanted: set[Path] = set()  # such folders whose session ended
        self._lock = threading.RLock()
        self._running: dict[Control, str] = {}
        self._uploads: Counter[Path] = Counter()

    def warm_up(self) -> None:
        """Loads compiled code before the first visitor comes, or compiles it, however long that takes."""
        for _ in range(self.workers.count):
            control = Control(lambda fraction, text: None, math.inf, 0)
            self.workers.run("warm_up", (), control)

    def scene(self, session: str, photo: Path, settings: SceneSettings, report: Report) -> SceneFiles:
        """Predicts the scene of a photo, unless the session has it already.

        Raises:
            InputError: When the file is no photo, or the job was stopped or took too long; as all jobs.
        """
        with self._job(session, photo, settings, report, self._scene_seconds(settings)) as control:
            return self._scene(session, photo, settings, control)

    def motions(self, session: str, photo: Path, settings: SceneSettings, report: Report) -> SceneFiles:
        """Renders the moving thumbnails of the camera paths, unless the scene has them already."""
        with self._job(session, photo, settings, report, self.estimates.seconds("motions")) as control:
            files = self._scene(session, photo, settings, control)
            if not files.motions.exists():
                self._run("motions", (files,), control)
            return files

    def video(
        self, session: str, photo: Path, scene_settings: SceneSettings, settings: VideoSettings, report: Report
    ) -> tuple[SceneFiles, list[Path]]:
        """Renders a video of a photo's scene.

        Returns:
            The scene's files, and all of its videos, GIFs and WebPs, the latest first.
        """
        units = settings.seconds / 3 * (settings.longest / 960) ** 2 * (1 + 0.5 * settings.gif + 0.5 * settings.webp)
        with self._job(session, photo, scene_settings, report, self.estimates.seconds("video", units)) as control:
            files = self._scene(session, photo, scene_settings, control)
            with new_folder(files.folder, "video", VIDEOS) as folder:
                self._run("video", (files, settings, folder), control, units)
            return files, latest(files.folder, "video")

    def stereo(self, session: str, photo: Path, settings: SceneSettings, layout: Layout, report: Report) -> Path:
        """Renders a stereo pair of a photo's scene to one image and returns the file."""
        with self._job(session, photo, settings, report, self.estimates.seconds("stereo")) as control:
            files = self._scene(session, photo, settings, control)
            with new_folder(files.folder, "stereo", EXPORTS) as folder:
                out = folder / f"{files.name}-{layout}.jpg"
                self._run("stereo", (files, layout, out), control)
            return out

    def export(self, session: str, photo: Path, settings: SceneSettings, form: str, report: Report) -> Path:
        """Writes a photo's scene in another form, see `mine.demo.exporting`, and returns the file."""
        with self._job(session, photo, settings, report, self.estimates.seconds("export")) as control:
            files = self._scene(session, photo, settings, control)
            with new_folder(files.folder, "export", EXPORTS) as folder:
                out = folder / f"{files.name}-{form}{FORMS[form].ending}"
                self._run("export", (files, form, out), control)
            return out

    def stop(self, session: str) -> None:
        """Stops this session's running jobs."""
        with self._lock:
            for control, owner in self._running.items():
                if owner == session:
                    control.stopped.set()

    def end(self, session: str) -> None:
        """Ends a session: stops its jobs and removes its scenes and uploads, without waiting for anything."""
        with self._lock:
            self.visits.pop(session, None)
            self._ends.pop(session, None)
            self._stops.pop(session, None)
            self.stop(session)
            self.scenes.close(session)
            self._unwanted |= self._brought.pop(session, set())
            self._remove_unwanted()

    def arrive(self, session: str) -> None:
        """A page of a session was opened."""
        with self._lock:
            self.visits[session] += 1
            self._ends.pop(session, None)
            self._stops.pop(session, None)
            self.scenes.rank(session, last=True)

    def leave(self, session: str, returns: bool = False) -> None:
        """A connection of a session ended. Some time after its last one the session ends, unless it comes back.

        Args:
            session: Name of the session.
            returns: Whether its page says when it is closed, so that one that says nothing will probably come back.
        """
        with self._lock:
            self.visits[session] -= 1
            if self.visits[session] > 0:
                return
            del self.visits[session]
            has_scenes = self.scenes.rank(session, last=False)
            if has_scenes or session in self._brought or session in self._running.values():
                self._stops[session] = time.monotonic() + AWAY_SECONDS
                self._ends[session] = time.monotonic() + (GONE_SECONDS if returns else AWAY_SECONDS)

    def bring(self, session: str, folder: Path) -> None:
        """An upload of a session lies in a folder: it is removed when the session ends."""
        with self._lock:
            self._brought.setdefault(session, set()).add(folder)
            if session not in self.visits:
                self._ends[session] = time.monotonic() + GONE_SECONDS

    def sweep(self, waiting: bool = True) -> None:
        """Ends the sessions of visitors who have gone; removes their scenes, and uploads without a scene or a job.

        Args:
            waiting: Whether jobs wait that may need an upload.
        """
        with self._lock:
            now = time.monotonic()
            for session in [session for session, when in self._stops.items() if when < now]:
                del self._stops[session]
                self.stop(session)
            for session in [session for session, when in self._ends.items() if when < now]:
                self.end(session)
            self.scenes.close_idle({*self.visits, *self._ends, *self._running.values()}, IDLE_SECONDS)
            self._remove_unwanted()
            keep = self.own_folders | self.scenes.upload_folders() | {photo.parent for photo in self._uploads}
            busy = waiting or bool(self._running or self.visits or self._ends)
            remove_stale(self.folder, keep, UPLOAD_SECONDS if busy else IDLE_SECONDS)
            for session, folders in list(self._brought.items()):
                self._brought[session] = {folder for folder in folders if folder.is_dir()}
                if not self._brought[session]:
                    del self._brought[session]

    def _remove_unwanted(self) -> None:
        """Removes uploads of sessions that ended, once no scene and no job has them; others may have the same photo."""
        self._unwanted -= set().union(*self._brought.values())
        used = self.scenes.upload_folders() | {photo.parent for photo in self._uploads}
        for folder in self._unwanted - used:
            shutil.rmtree(folder, ignore_errors=True)
        self._unwanted &= used

    def _scene_seconds(self, settings: SceneSettings) -> float:
        return self.estimates.seconds("scene", _scene_units(settings))

    def _run(self, maker: str, arguments: tuple[object, ...], control: Control, units: float = 1.0) -> None:
        """Has a job done, and learns how long it takes."""
        seconds = self.workers.run(maker, arguments, control)
        self.estimates.learn(maker, units, seconds)

    @contextmanager
    def _job(
        self, session: str, photo: Path, settings: SceneSettings, report: Report, estimate: float
    ) -> Iterator[Control]:
        """Registers a job while it runs, so that it can be stopped and its uploads are kept."""
        control = Control(report, self.job_seconds, estimate)
        uploads = Counter([photo] if settings.depth is None else [photo, settings.depth])
        with self._lock:
            self._running[control] = session
            self._uploads += uploads
        try:
            yield control
        finally:
            with self._lock:
                del self._running[control]
                self._uploads -= uploads

    def _scene(self, session: str, photo: Path, settings: SceneSettings, control: Control) -> SceneFiles:
        """The files of a photo's scene, made unless the session has them already."""
        # Gradio names an upload's folder by a hash of the content, so that the same path is the same photo.
        with self._lock:
            found = self.scenes.find(session, photo, settings)
        if found is not None:
            return SceneFiles(found, photo.stem)
        with self.scenes.new(session, photo, settings, self._lock, control.check) as folder:
            files = SceneFiles(folder, photo.stem)
            self._run("scene", (photo, settings, files), control, _scene_units(settings))
            return files


def _scene_units(settings: SceneSettings) -> float:
    """The work of a scene: half of it is the same for all."""
    return 0.5 + 0.5 * settings.size / SceneSettings().size
