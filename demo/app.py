"""The web demo's server: its start, what lies in front of Gradio, and the endpoints of the page."""

import atexit
import logging
import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

# Gradio reads the first when it is imported: it then sends no usage statistics. By the other it makes none of its own,
# for which it would go through the last 10,000 calls after each.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(10**18)

import gradio as gr
from starlette.middleware import Middleware

from mine import InputError
from mine.demo.access import OnlyNeededRoutes, Page
from mine.demo.events import Events
from mine.demo.jobs import JobRunner
from mine.demo.layout import STYLES, THEME, lay_out
from mine.demo.mailboxes import Mailboxes
from mine.demo.presence import Belongings, Presence
from mine.demo.preview import Previews
from mine.demo.requests import PlainRequests
from mine.demo.samples import unpack
from mine.demo.scene_pages import ScenePages
from mine.demo.security import CheckHost, Login, SafeHeaders, own_hosts
from mine.demo.uploads import LimitBodies, LimitUploads
from mine.demo.worker import Processes
from mine.temporary import make_folder

MAX_UPLOAD = 40 * gr.FileSize.MB

MAX_WAITING = 64
"""Jobs that may wait in the queue; Gradio refuses further ones."""

SESSION_STATES = 100
"""Sessions whose widgets Gradio keeps in memory."""

SWEEP_SECONDS = 3.0
"""Seconds between looks at what is no longer needed."""

CREDENTIALS = "MINE_DEMO_AUTH"
"""Environment variable with "name:password", which `ps` does not show."""


def launch(
    host: str = "127.0.0.1",
    port: int = 7860,
    share: bool = False,
    auth: str | None = None,
    checkpoint: Path | None = None,
    url: str | None = None,
    workers: int = 1,
) -> None:
    """Serves the demo until it is stopped.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        share: Also serve at a public gradio.live address.
        auth: "name:password" that visitors must give; by default what the environment's MINE_DEMO_AUTH says, or none.
        checkpoint: Network weights: ours or published MINE ones; by default the shipped ones.
        url: Address at which a reverse proxy serves the demo, with the prefix that it takes off.
        workers: Processes that work at the same time, each with a model of its own.

    Raises:
        InputError: For a checkpoint that cannot be read, an `auth` or a `url` of another form, or a port that is taken.
    """
    # SystemExit instead of sudden death: the temporary folder is then removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    folder = private_folder()
    pool = Processes(checkpoint, workers)
    jobs = JobRunner(pool, folder)
    try:
        page = serve(jobs, host, port, share, auth or os.environ.get(CREDENTIALS), url)
        jobs.warm_up()
        # Only now: whoever reads this and brings a photo waits no longer than others.
        print(f"The demo is at {' and '.join(filter(None, (url or page.local_url, page.share_url)))}", flush=True)
        page.block_thread()
    finally:
        pool.close()


def serve(
    jobs: JobRunner,
    host: str = "127.0.0.1",
    port: int = 7860,
    share: bool = False,
    auth: str | None = None,
    url: str | None = None,
) -> gr.Blocks:
    """Starts the demo in the background.

    Args:
        jobs: Runner of the visitors' jobs.
        host: Address to listen on.
        port: Port to listen on.
        share: Also serve at a public gradio.live address.
        auth: "name:password" that visitors must give; by default none.
        url: Address at which a reverse proxy serves the demo, with the prefix that it takes off.

    Returns:
        The running app; `close()` stops it.

    Raises:
        InputError: For an `auth` or a `url` of another form, or a port that is taken.
    """
    login = None if auth is None else tuple(auth.split(":", 1))
    if login is not None and len(login) != 2:
        raise InputError("auth has no colon: give name:password")
    if url is not None and not url.startswith(("http://", "https://")):
        raise InputError(f"url {url!r} is no address: give https://NAME/PREFIX, where the proxy serves the demo")
    page = build(jobs)
    inner, outer = (_middleware(page, jobs, login is not None, url, share, starting) for starting in (True, False))
    try:
        page.launch(
            server_name=host,
            server_port=port,
            share=share,
            auth=login,
            root_path=url,
            prevent_thread_lock=True,
            quiet=True,
            show_error=True,
            max_file_size=MAX_UPLOAD,
            state_session_capacity=SESSION_STATES,
            app_kwargs={"middleware": inner},
            theme=THEME,
            css_paths=STYLES,
            footer_links=["api"],
            run_history=False,
            ssr_mode=False,
            enable_monitoring=False,
        )
    except OSError as error:
        raise InputError(f"cannot listen on port {port} of {host}: choose another") from error
    # A warning for each request that is no HTTP would let strangers fill the console.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    # Gradio's own middleware adds headers to what it passes on, so that this must be before it.
    page.app.user_middleware = outer + [one for one in page.app.user_middleware if one not in inner]
    page.app.middleware_stack = page.app.build_middleware_stack()
    _sweep_regularly(page, jobs)
    return page


def private_folder() -> Path:
    """Makes the temporary folder for all files of the demo and makes Gradio use it; removed when the program ends."""
    folder = make_folder("demo").resolve()
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["GRADIO_EXAMPLES_CACHE"] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def build(jobs: JobRunner) -> gr.Blocks:
    """Builds the page and its endpoints. All jobs share one queue; as many run at a time as there are workers."""
    events = Events(jobs)
    samples = unpack(jobs.folder / "samples")
    jobs.own_folders.add(jobs.folder / "samples")
    with Page(title="MINE", analytics_enabled=False, fill_width=True) as page:
        w = lay_out(samples, MAX_UPLOAD)
        job: dict[str, Any] = {"concurrency_id": "work", "concurrency_limit": jobs.workers.count, "queue": True}
        scene, film = w.scene_settings, w.video_settings
        # Endpoints are events without a trigger that is shown: the page's script calls them by name.
        trigger = gr.Button(visible=False)
        outputs = [w.viewer, w.depth, w.files]
        trigger.click(events.predict, [*scene, *w.lens], outputs, api_name="predict", **job)
        trigger.click(events.motions, [*scene, *w.lens], w.motions, api_name="motions", **job)
        inputs = [*scene, *film, *w.lens, w.speed, w.aspect, w.webp]
        trigger.click(events.video, inputs, [w.video, w.files], api_name="video", **job)
        trigger.click(events.stereo, [*scene, w.layout, *w.lens], w.stereo, api_name="stereo", **job)
        trigger.click(events.export, [*scene, w.form, *w.lens], w.exported, api_name="export", **job)
        trigger.click(events.estimate, None, w.words, api_name="estimate", concurrency_limit=None)
        trigger.click(events.stop, queue=False, api_name="stop")
        page.unload(lambda: None)  # tells clients to hold a connection open as long as they are there (Presence)
    jobs.own_folders |= set(jobs.folder.iterdir())
    # Not open: whoever names the number of a job where Gradio expects "stop" would else have it done without waiting.
    page.queue(max_size=MAX_WAITING, default_concurrency_limit=1, api_open=False)
    page._queue.pending_messages_per_session = Mailboxes(page._queue)
    return page


def _middleware(
    page: gr.Blocks, jobs: JobRunner, login: bool, url: str | None, share: bool, starting: bool
) -> list[Middleware]:
    """What requests pass before they reach Gradio, the outermost first."""
    space = os.environ.get("SPACE_HOST")
    locked = [Middleware(Login, user=lambda cookies: _user(page, cookies), starting=starting)] if login else []
    # The Space's own page lies in a frame of huggingface.co, and the viewer in a frame of the Space's page.
    ancestors = "'self' https://huggingface.co" if space else "'self'"
    return [
        Middleware(SafeHeaders, ancestors=ancestors),
        Middleware(CheckHost, hosts=own_hosts(url, share, space)),
        Middleware(LimitBodies),
        *locked,
        Middleware(OnlyNeededRoutes),
        Middleware(ScenePages, folder=jobs.folder, ancestors=ancestors),
        Middleware(Presence, visits=jobs),
        Middleware(LimitUploads, folder=jobs.folder, largest=MAX_UPLOAD),
        Middleware(Belongings, folder=jobs.folder, visits=jobs),
        Middleware(Previews, folder=jobs.folder, own=jobs.own_folders),
        Middleware(PlainRequests),
    ]


def _user(page: gr.Blocks, cookies: dict[str, str]) -> str | None:
    """Who is logged in with these cookies, as Gradio's own routes find it."""
    app = page.app
    kinds = ("access-token", "access-token-unsecure")
    tokens = (cookies.get(f"{kind}-{app.cookie_id}") for kind in kinds)
    return next((app.tokens[token] for token in tokens if token in app.tokens), None)


def _sweep_regularly(page: gr.Blocks, jobs: JobRunner) -> None:
    """Removes, as long as the page is served, what is no longer needed."""

    def sweep() -> None:
        while not stopped.wait(SWEEP_SECONDS):
            jobs.sweep(waiting=len(page._queue) > 0)

    stopped = threading.Event()
    close = page.close

    def close_all(*args: Any, **kwargs: Any) -> None:
        stopped.set()
        close(*args, **kwargs)

    page.close = close_all  # type: ignore[method-assign]
    threading.Thread(target=sweep, daemon=True).start()
