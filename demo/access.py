"""Access control: visitors may send only files they uploaded, and fetch only files that the demo made for them."""

from abc import ABCMeta
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class _Quiet(type(gr.Image)):  # type: ignore[misc]
    """Metaclass for subclasses of Gradio's components; Gradio's own would write a stub file beside the source."""

    def __new__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, attrs)


class UploadedPhoto(gr.Image, metaclass=_Quiet):
    """A gr.Image that passes on the path of the uploaded file, without decoding it.

    gr.Image would decode the file, lose its EXIF data and name the server's folders in error messages. Gradio accepts
    any path in its upload folder; this also requires that the file is an upload, not one that the demo made.
    """

    is_template = True  # the browser shows a gr.Image

    def preprocess(self, payload: Any) -> str | None:
        """Checks what the browser sent as the photo.

        Args:
            payload: Gradio's file data, or None without a photo.

        Returns:
            The path of the upload, or None.

        Raises:
            gr.Error: When the path is not that of an upload, or the file was removed.
        """
        if payload is None:
            return None
        path = Path(payload.path or "").resolve()
        if path.parent.parent != Path(self.GRADIO_CACHE).resolve():
            raise gr.Error("This is not a photo you uploaded.", print_exception=False)
        if not path.is_file():
            raise gr.Error("The photo is no longer here: choose it again.", print_exception=False)
        return str(path)

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        """Refuses URLs, which Gradio would make the server fetch; paths pass."""
        if str(url_or_file_path).lower().startswith(("http:", "https:")):
            raise gr.Error("Addresses are not fetched: upload the photo.", print_exception=False)
        return await super().async_move_resource_to_block_cache(url_or_file_path)


class RefuseFetching:
    """ASGI middleware that refuses those of Gradio's routes that make the server fetch other URLs."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 403 to a request for such a route, passes others on."""
        path = scope.get("path", "").lower()
        if "/proxy=" in path or "/file=http:" in path or "/file=https:" in path or "/file/http" in path:
            await PlainTextResponse("Not allowed", status_code=403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)
