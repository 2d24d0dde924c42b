"""The web demo's server: the page's events, and what each of them calls."""

import atexit
import html
import os
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Gradio reads this when it is imported: it then sends no usage statistics.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from starlette.middleware import Middleware

from mine import InputError, load
from mine.demo.access import RefuseFetching
from mine.demo.jobs import JobRunner, SceneSettings, VideoSettings
from mine.demo.layout import STYLE, THEME, UPLOAD, WELCOME, embed_page, lay_out
from mine.demo.preview import Previews
from mine.output.stereo import Layout

MAX_UPLOAD = 40 * gr.FileSize.MB

MAX_WAITING = 64
"""Jobs that may wait in the queue; Gradio refuses further ones."""

PROGRESS = gr.Progress()
"""Default value by which Gradio recognises functions that report progress; it passes each call its own."""

SESSION_STATES = 100
"""Sessions whose widgets Gradio keeps in memory."""


def launch(
    host: str = "127.0.0.1",
    port: int = 7860,
    share: bool = False,
    auth: str | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Serves the demo until it is stopped.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        share: Also serve at a public gradio.live address.
        auth: "name:password" that visitors must give; by default none.
        checkpoint: Network weights: ours or published MINE ones; by default the shipped ones.

    Raises:
        InputError: For a checkpoint that cannot be read, an `auth` of another form, or a port that is taken.
    """
    # SystemExit instead of sudden death: the temporary folder is then removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    jobs = JobRunner(load(checkpoint), private_folder())
    page = serve(jobs, host, port, share, auth)
    jobs.warm_up()
    page.block_thread()


def serve(
    jobs: JobRunner, host: str = "127.0.0.1", port: int = 7860, share: bool = False, auth: str | None = None
) -> gr.Blocks:
    """Starts the demo in the background.

    Args:
        jobs: Runner of the visitors' jobs.
        host: Address to listen on.
        port: Port to listen on.
        share: Also serve at a public gradio.live address.
        auth: "name:password" that visitors must give; by default none.

    Returns:
        The running app; `close()` stops it.

    Raises:
        InputError: For an `auth` of another form, or a port that is taken.
    """
    login = None if auth is None else tuple(auth.split(":", 1))
    if login is not None and len(login) != 2:
        raise InputError(f"auth {auth!r} has no colon: give name:password")
    page = build(jobs)
    try:
        page.launch(
            server_name=host,
            server_port=port,
            share=share,
            auth=login,
            prevent_thread_lock=True,
            max_file_size=MAX_UPLOAD,
            state_session_capacity=SESSION_STATES,
            app_kwargs={"middleware": [Middleware(RefuseFetching), Middleware(Previews, folder=jobs.folder)]},
            theme=THEME,
            css_paths=STYLE,
            js=UPLOAD.read_text(encoding="utf-8"),
            footer_links=["api"],
            run_history=False,
            ssr_mode=False,
            enable_monitoring=False,
        )
    except OSError as error:
        raise InputError(f"cannot listen on port {port} of {host}: choose another") from error
    return page


def private_folder() -> Path:
    """Makes the temporary folder for all files of the demo and makes Gradio use it; removed when the program ends."""
    folder = Path(tempfile.mkdtemp(prefix="mine-demo-")).resolve()
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_EXAMPLES_CACHE"] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def build(jobs: JobRunner) -> gr.Blocks:
    """Builds the page and connects its events. All jobs share one queue and run one at a time: each uses all cores."""
    events = Events(jobs)
    with gr.Blocks(title="MINE", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as page:
        w = lay_out()
        scene_settings = [w.photo, w.planes, w.detail]
        video_settings = [w.path, w.amount, w.seconds, w.loop, w.longest, w.gif]
        job: dict[str, Any] = {"concurrency_id": "work", "concurrency_limit": 1}
        predicted = gr.on(
            [w.photo.change, w.predict_again.click],
            events.predict,
            scene_settings,
            [w.viewer, w.depth, w.files],
            api_name="predict",
            show_progress_on=w.viewer,
            trigger_mode="always_last",
            **job,
        )
        video_job: dict[str, Any] = {"outputs": [w.video, w.files], "show_progress_on": w.video, **job}
        first_video = predicted.success(
            events.video, scene_settings + video_settings, api_name="first_video", api_visibility="private", **video_job
        )
        video = gr.on(
            [w.make_video.click, w.path.input],
            events.video,
            scene_settings + video_settings,
            api_name="video",
            trigger_mode="always_last",
            **video_job,
        )
        stereo = w.make_stereo.click(events.stereo, [*scene_settings, w.layout], w.stereo, api_name="stereo", **job)
        w.stop.click(events.stop, cancels=[predicted, first_video, video, stereo], queue=False, api_name="stop")
        unqueued: dict[str, Any] = {"queue": False, "api_visibility": "private"}
        w.photo.change(_buttons, w.photo, [w.make_video, w.predict_again, w.make_stereo], **unqueued)
        w.loop.change(lambda on: gr.Video(loop=on), w.loop, w.video, **unqueued)
        page.unload(events.close)
    jobs.own_folders |= set(jobs.folder.iterdir())  # Gradio's copies of the sample photos
    return page.queue(max_size=MAX_WAITING, default_concurrency_limit=1)


class Events:
    """The event handlers of the page, which are also its HTTP API. An InputError is shown as a message on the page."""

    def __init__(self, jobs: JobRunner) -> None:
        self.jobs = jobs

    def predict(
        self, photo: str | None, planes: float, detail: str, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[str, str | None, list[str]]:
        """Predicts the scene of a photo; returns an HTML frame that shows it, its depth map and its files."""
        if photo is None:
            return WELCOME, None, []
        with _show_input_error(photo):
            files = self.jobs.scene(_session(request), Path(photo), SceneSettings(int(planes), detail), progress)
            return embed_page(files.html), str(files.depth), [str(file) for file in files.all()]

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
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> tuple[str | None, list[str]]:
        """Renders a video along a camera path; returns it and all files to download."""
        if photo is None:
            return None, []
        settings = VideoSettings(path, amount, seconds, loop, int(longest), gif)
        with _show_input_error(photo):
            files, videos = self.jobs.video(
                _session(request), Path(photo), SceneSettings(int(planes), detail), settings, progress
            )
            return str(videos[0]), [str(file) for file in [*videos, *files.all()]]

    def stereo(
        self,
        photo: str | None,
        planes: float,
        detail: str,
        layout: Layout,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> str | None:
        """Renders a stereo image of the scene and returns it."""
        if photo is None:
            return None
        with _show_input_error(photo):
            settings = SceneSettings(int(planes), detail)
            return str(self.jobs.stereo(_session(request), Path(photo), settings, layout, progress))

    def stop(self, request: gr.Request) -> None:
        """Stops this session's running job."""
        self.jobs.stop(_session(request))

    def close(self, request: gr.Request) -> None:
        """Ends the session and removes its files."""
        self.jobs.close(_session(request))


def _session(request: gr.Request) -> str:
    """The id of the visitor's session. Plain HTTP calls may lack one: each is then a session of its own."""
    return request.session_hash or secrets.token_hex(16)


@contextmanager
def _show_input_error(photo: str) -> Iterator[None]:
    """Turns an InputError into a message on the page, without the server's folder names."""
    try:
        yield
    except InputError as error:
        text = str(error).replace(f"{Path(photo).parent}{os.sep}", "")
        # The page shows messages as HTML, and the file's name is the visitor's: escape it.
        raise gr.Error(html.escape(text, quote=False), print_exception=False) from error


def _buttons(photo: str | None) -> list[gr.Button]:
    """The buttons that need a photo, enabled when there is one."""
    return [gr.Button(interactive=photo is not None) for _ in range(3)]
