"""The handlers of the page's calls, which are also its HTTP API."""

import html
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr

from mine import InputError
from mine.demo.estimate import in_words
from mine.demo.jobs import JobRunner
from mine.demo.layout import embed_page
from mine.demo.making import SceneSettings, VideoSettings
from mine.output.stereo import Layout

PROGRESS = gr.Progress()
"""Default value by which Gradio recognises functions that report progress; it passes each call its own."""


class Events:
    """The event handlers. An InputError is shown as a message on the page."""

    def __init__(self, jobs: JobRunner) -> None:
        self.jobs = jobs

    def predict(
        self,
        photo: str | None,
        planes: float,
        detail: str,
        fov: float,
        strength: float,
        invert: bool,
        depth: str | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> tuple[str, str | None, list[str]]:
        """Predicts the scene of a photo; returns an HTML frame that shows it, its depth map and its files."""
        if photo is None:
            return "", None, []
        with _show_input_error(photo):
            settings = _scene_settings(planes, detail, fov, strength, invert, depth)
            files = self.jobs.scene(_session(request), Path(photo), settings, progress)
            if files.notes.is_file():
                gr.Warning(_for_visitors(photo, files.notes.read_text(encoding="utf-8")))
            page = f"scene/{files.html.relative_to(self.jobs.folder).as_posix()}"
            return embed_page(page), str(files.depth), [str(file) for file in files.all()]

    def motions(
        self,
        photo: str | None,
        planes: float,
        detail: str,
        fov: float,
        strength: float,
        invert: bool,
        depth: str | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> str | None:
        """Renders moving thumbnails of all camera paths to one picture: a row of 12 frames for each path."""
        if photo is None:
            return None
        with _show_input_error(photo):
            settings = _scene_settings(planes, detail, fov, strength, invert, depth)
            return str(self.jobs.motions(_session(request), Path(photo), settings, progress).motions)

    def video(
        self,
        photo: str | None,
        planes: float,
        detail: str,
        path: str,
        amount: float,
        seconds: float,
        loop: bool,
        longest: float,
        gif: bool,
        fov: float,
        strength: float,
        invert: bool,
        depth: str | None,
        speed: float,
        aspect: str,
        webp: bool,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> tuple[str | None, list[str]]:
        """Renders a video along a camera path; returns it and all files to download, the latest first."""
        if photo is None:
            return None, []
        settings = VideoSettings(path, amount, seconds, loop, int(longest), gif, speed, aspect, webp)
        with _show_input_error(photo):
            scene = _scene_settings(planes, detail, fov, strength, invert, depth)
            files, videos = self.jobs.video(_session(request), Path(photo), scene, settings, progress)
            return str(videos[0]), [str(file) for file in [*videos, *files.all()]]

    def stereo(
        self,
        photo: str | None,
        planes: float,
        detail: str,
        layout: Layout,
        fov: float,
        strength: float,
        invert: bool,
        depth: str | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> str | None:
        """Renders a stereo image of the scene and returns it."""
        if photo is None:
            return None
        with _show_input_error(photo):
            settings = _scene_settings(planes, detail, fov, strength, invert, depth)
            return str(self.jobs.stereo(_session(request), Path(photo), settings, layout, progress))

    def export(
        self,
        photo: str | None,
        planes: float,
        detail: str,
        form: str,
        fov: float,
        strength: float,
        invert: bool,
        depth: str | None,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> str | None:
        """Writes the scene in another form, such as a 3D model; returns the file."""
        if photo is None:
            return None
        with _show_input_error(photo):
            settings = _scene_settings(planes, detail, fov, strength, invert, depth)
            return str(self.jobs.export(_session(request), Path(photo), settings, form, progress))

    def estimate(self) -> str:
        """How long a scene takes on this machine, as it has learnt: "about 3 s"."""
        return in_words(self.jobs.estimates.seconds("scene"))

    def stop(self, request: gr.Request) -> None:
        """Stops this session's running jobs."""
        self.jobs.stop(_session(request))


def _scene_settings(
    planes: float, detail: str, fov: float, strength: float, invert: bool, depth: str | None
) -> SceneSettings:
    return SceneSettings(int(planes), detail, float(fov), float(strength), invert, Path(depth) if depth else None)


def _session(request: gr.Request) -> str:
    """The id of the visitor's session. Plain HTTP calls may lack one: each is then a session of its own."""
    return request.session_hash or secrets.token_hex(16)


@contextmanager
def _show_input_error(photo: str) -> Iterator[None]:
    """Turns an InputError into a message on the page, without the server's folder names."""
    try:
        yield
    except InputError as error:
        raise gr.Error(_for_visitors(photo, str(error)), print_exception=False) from error
    except OSError as error:
        full = shutil.disk_usage(Path(photo).anchor).free < 1 << 20
        text = "The server's disk is full: try again later." if full else "This scene is no longer here: try again."
        raise gr.Error(text, print_exception=False) from error


def _for_visitors(photo: str, text: str) -> str:
    """A message as the page shows it: without the server's folder names, and escaped, since it is shown as HTML."""
    # Uploads lie in folders of their own, beside each other.
    text = re.sub(re.escape(f"{Path(photo).parent.parent}{os.sep}") + r"[^/\\]+[/\\]", "", text)
    return html.escape(text, quote=False)
