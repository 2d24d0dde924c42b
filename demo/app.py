"""The web demo: what the page's events do, and its server."""

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

# Gradio reads this when it is imported: nothing is reported to anyone.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
from starlette.middleware import Middleware

from demo.guard import NoFetching
from demo.layout import STYLE, THEME, WELCOME, embedded, lay_out
from demo.studio import Motion, Quality, Studio
from mine.errors import InputError
from mine.model import load
from mine.output.stereo import Layout

MAX_UPLOAD = 40 * gr.FileSize.MB

MAX_WAITING = 64
"""Jobs that may wait in the queue; who comes later is told to try again."""

PROGRESS = gr.Progress()
"""The default by which gradio knows that a function reports progress; it passes the running job's own."""

SESSION_STATES = 100
"""Sessions whose widgets gradio remembers."""


def launch(
    host: str = "127.0.0.1",
    port: int = 7860,
    share: bool = False,
    auth: str | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Serves the demo until it is stopped.

    host, port: where to listen. share: also at a public gradio.live address. auth: "name:password" that visitors must
    give. checkpoint: a checkpoint of ours or a published one, by default the shipped one.

    Raises InputError for a checkpoint that cannot be read, an `auth` of another form, and a port that is taken.
    """
    # Ended by the system as well as from the keyboard, the temporary folder goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    studio = Studio(load(checkpoint), private_folder())
    page = serve(studio, host, port, share, auth)
    studio.warm_up()
    page.block_thread()


def serve(
    studio: Studio, host: str = "127.0.0.1", port: int = 7860, share: bool = False, auth: str | None = None
) -> gr.Blocks:
    """Starts the demo in the background; `close()` of what it returns stops it. See `launch`."""
    login = None if auth is None else tuple(auth.split(":", 1))
    if login is not None and len(login) != 2:
        raise InputError(f"auth {auth!r} has no colon: give name:password")
    page = build(studio)
    try:
        page.launch(
            server_name=host,
            server_port=port,
            share=share,
            auth=login,
            prevent_thread_lock=True,
            max_file_size=MAX_UPLOAD,
            state_session_capacity=SESSION_STATES,
            app_kwargs={"middleware": [Middleware(NoFetching)]},
            theme=THEME,
            css_paths=STYLE,
            footer_links=["api"],
            run_history=False,
            ssr_mode=False,
            enable_monitoring=False,
        )
    except OSError as error:
        raise InputError(f"cannot listen on port {port} of {host}: choose another") from error
    return page


def private_folder() -> Path:
    """A new temporary folder for all files of the demo, gone when the program ends. Gradio serves nothing outside."""
    folder = Path(tempfile.mkdtemp(prefix="mine-demo-")).resolve()
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_EXAMPLES_CACHE"] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def build(studio: Studio) -> gr.Blocks:
    """The page. All work shares one queue and is done one job at a time: the processor is the bottleneck."""
    events = Events(studio)
    with gr.Blocks(title="MINE", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as page:
        w = lay_out()
        quality = [w.photo, w.planes, w.detail]
        motion = [w.path, w.amount, w.seconds, w.loop, w.longest, w.gif]
        work: dict[str, Any] = {"concurrency_id": "work", "concurrency_limit": 1}
        shown = gr.on(
            [w.photo.change, w.redo.click],
            events.predict,
            quality,
            [w.viewer, w.depth, w.files],
            api_name="predict",
            show_progress_on=w.viewer,
            trigger_mode="always_last",
            **work,
        )
        filming: dict[str, Any] = {"outputs": [w.video, w.files], "show_progress_on": w.video, **work}
        first = shown.success(
            events.video, quality + motion, api_name="first_video", api_visibility="private", **filming
        )
        filmed = gr.on(
            [w.film.click, w.path.input],
            events.video,
            quality + motion,
            api_name="video",
            trigger_mode="always_last",
            **filming,
        )
        paired = w.pair.click(events.stereo, [*quality, w.layout], w.stereo, api_name="stereo", **work)
        w.stop.click(events.stop, cancels=[shown, first, filmed, paired], queue=False, api_name="stop")
        quick: dict[str, Any] = {"queue": False, "api_visibility": "private"}
        w.photo.change(_enabled, w.photo, [w.film, w.redo, w.pair], **quick)
        w.loop.change(lambda on: gr.Video(loop=on), w.loop, w.video, **quick)
        page.unload(events.close)
    studio.own |= set(studio.folder.iterdir())  # copies of the samples
    return page.queue(max_size=MAX_WAITING, default_concurrency_limit=1)


class Events:
    """What happens at a click. Bad input becomes a message with its one line."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def predict(
        self, photo: str | None, planes: float, detail: str, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[str, str | None, list[str]]:
        """The scene in a photo: an HTML frame that shows it, its depth map, and its files."""
        if photo is None:
            return WELCOME, None, []
        with _telling(photo):
            files = self.studio.scene(_session(request), Path(photo), Quality(int(planes), detail), progress)
            return embedded(files.html), str(files.depth), [str(file) for file in files.all()]

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
        """A video along a camera path, and all files of the scene."""
        if photo is None:
            return None, []
        motion = Motion(path, amount, seconds, loop, int(longest), gif)
        with _telling(photo):
            files, videos = self.studio.video(
                _session(request), Path(photo), Quality(int(planes), detail), motion, progress
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
        """A stereo picture of the scene: what the two eyes see."""
        if photo is None:
            return None
        with _telling(photo):
            quality = Quality(int(planes), detail)
            return str(self.studio.stereo(_session(request), Path(photo), quality, layout, progress))

    def stop(self, request: gr.Request) -> None:
        """Stops the job of this session that is running."""
        self.studio.stop(_session(request))

    def close(self, request: gr.Request) -> None:
        """Ends the session."""
        self.studio.close(_session(request))


def _session(request: gr.Request) -> str:
    # Plain HTTP calls may come without a session: each is its own.
    return request.session_hash or secrets.token_hex(16)


@contextmanager
def _telling(photo: str) -> Iterator[None]:
    """Turns InputError into a message on the page, without the folder that the upload lies in."""
    try:
        yield
    except InputError as error:
        text = str(error).replace(f"{Path(photo).parent}{os.sep}", "")
        # The page shows messages as HTML, and the name of the file is the visitor's.
        raise gr.Error(html.escape(text, quote=False), print_exception=False) from error


def _enabled(photo: str | None) -> list[gr.Button]:
    return [gr.Button(interactive=photo is not None) for _ in range(3)]
