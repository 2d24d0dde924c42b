"""Previews: a photo that browsers cannot show, such as HEIC or TIFF, is served to them as JPEG.

The page asks for the upload itself, by its path. This answers with a preview in its place, so that the path that the
server works on stays that of the upload, with its EXIF data.

Visitors' files are decoded by another process, whose program this module is: one at a time, with limits on memory and
time.
"""

import asyncio
import os
import subprocess
import sys
import warnings
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mine import InputError
from mine.demo.uploads import upload_path

SHOWN = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM")
"""What files of formats begin with that all browsers show."""

VIDEO = b"ftypisom"
"""What the page's own videos have behind their first four bytes."""

SIDE = 1280
"""Longest side of a preview in pixels."""

ROUTE = "/gradio_api/file="

SECONDS = 20.0
"""Seconds that a preview may take: those of phones' photos take one."""

MEMORY = 2 << 30
"""Bytes of address space that the process may take."""

REMEMBERED = 32
"""Previews that are kept, of a few hundred kB each."""


class Previews:
    """ASGI middleware that answers a request for an uploaded photo, if browsers cannot show it, with a JPEG.

    Args:
        app: The application behind it.
        folder: Folder that holds a folder for each upload; files elsewhere are left to the application.
        own: Folders in it that hold no uploads, but files of the demo, which browsers are to have as they are.
    """

    def __init__(self, app: ASGIApp, folder: Path, own: Collection[Path] = ()) -> None:
        self.app, self.folder, self.own = app, folder, own
        self._one_at_a_time = asyncio.Lock()
        self._made: OrderedDict[Path, bytes] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request for such a photo, passes others on."""
        _, found, name = scope.get("path", "").partition(ROUTE)
        path = upload_path(name, self.folder) if found else None
        if path is not None and path.parent not in self.own and not is_shown(path):
            jpeg = await self._preview(path)
            if jpeg:
                headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private"}
                await Response(jpeg, media_type="image/jpeg", headers=headers)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    async def _preview(self, path: Path) -> bytes:
        """The preview of an upload, whose folder is named by its content; empty where there is none."""
        if path not in self._made:  # what is remembered does not wait for others
            async with self._one_at_a_time:
                if path not in self._made:
                    made = await run_in_threadpool(preview, path)
                    if made is None:
                        return b""
                    self._made[path] = made
        made = self._made[path]
        self._made.move_to_end(path)
        while len(self._made) > REMEMBERED:
            self._made.popitem(last=False)
        return made


def is_shown(path: Path) -> bool:
    """Whether browsers show a file as it is, or there is none."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
            return head.startswith(SHOWN) or head[4:] == VIDEO
    except OSError:
        return True


def preview(path: Path, seconds: float = SECONDS, memory: int = MEMORY) -> bytes | None:
    """The photo in a file as JPEG, made by a process of its own; empty if it holds none, or takes too much memory.

    Args:
        path: The file.
        seconds: Most time.
        memory: Most bytes of address space, where the system has such a limit.

    Returns:
        The JPEG; None where it takes more time, which it may not at another one.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", __name__, str(path), str(memory)]
    try:
        return subprocess.run(command, env=environment, capture_output=True, timeout=seconds, check=False).stdout
    except subprocess.TimeoutExpired:
        return None


def main(path: str, memory: str) -> None:
    """Writes the preview of a photo to standard output; nothing if the file holds none."""
    try:
        import resource
    except ImportError:  # Windows has no such limits
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    from mine.scene.decoding.decode import decode_file

    warnings.simplefilter("ignore")
    try:
        image = decode_file(Path(path), SIDE).image
    except InputError:
        return
    image.save(sys.stdout.buffer, "JPEG", quality=85)


if __name__ == "__main__":
    main(*sys.argv[1:])
