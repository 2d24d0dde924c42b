"""Previews: a photo that browsers cannot show, such as HEIC or TIFF, is served to them as JPEG.

The page asks for the upload itself, by its path. This answers with a preview in its place, so that the path that the
server works on stays that of the upload, with its EXIF data.
"""

import io
import warnings
from pathlib import Path
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mine import InputError
from mine.scene.decoding.decode import decode_file

SHOWN = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM")
"""What files of formats begin with that all browsers show."""

SIDE = 1280
"""Longest side of a preview in pixels."""

ROUTE = "/gradio_api/file="


class Previews:
    """ASGI middleware that answers a request for an uploaded photo, if browsers cannot show it, with a JPEG.

    Args:
        app: The application behind it.
        folder: Folder that holds a folder for each upload; files elsewhere are left to the application.
    """

    def __init__(self, app: ASGIApp, folder: Path) -> None:
        self.app, self.folder = app, folder.resolve()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request for such a photo, passes others on."""
        _, found, name = scope.get("path", "").partition(ROUTE)
        path = Path(unquote(name)).resolve() if found and "\0" not in name else None
        if path and path.parent.parent == self.folder and path.is_file():
            jpeg = await run_in_threadpool(preview, path)
            if jpeg is not None:
                headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private"}
                await Response(jpeg, media_type="image/jpeg", headers=headers)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def preview(path: Path) -> bytes | None:
    """The photo in a file as JPEG, None if browsers show the file as it is or it holds no photo."""
    with path.open("rb") as file:
        if file.read(8).startswith(SHOWN):
            return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = decode_file(path, SIDE).image
    except InputError:
        return None
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
