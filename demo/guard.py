"""What visitors may send: files they uploaded, nothing else. What they may fetch: files the app made for them."""

from abc import ABCMeta
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class _Quiet(type(gr.Image)):  # type: ignore[misc]
    """Makes subclasses of gradio's components without what its own metaclass does: write a stub beside the source."""

    def __new__(cls, name: str, bases: tuple[type, ...], attrs: dict[str, Any]) -> Any:
        return ABCMeta.__new__(cls, name, bases, attrs)


class UploadedPhoto(gr.Image, metaclass=_Quiet):
    """gr.Image that hands over the path of the upload as it is: reading it, and telling what is wrong, is ours.

    gr.Image would decode it first, lose its EXIF and name the server's folders when it cannot.
    Gradio lets only paths in its upload folder pass; here they must also be uploads, not files the app made.
    """

    is_template = True  # the browser is to see a gr.Image

    def preprocess(self, payload: Any) -> str | None:
        """The path of the upload, or None without one. Raises gr.Error for any other path and when it is gone."""
        if payload is None:
            return None
        path = Path(payload.path or "").resolve()
        if path.parent.parent != Path(self.GRADIO_CACHE).resolve():
            raise gr.Error("This is not a photo you uploaded.", print_exception=False)
        if not path.is_file():
            raise gr.Error("The photo is no longer here: choose it again.", print_exception=False)
        return str(path)

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        """Paths pass, addresses do not: gradio would have the server fetch them."""
        if str(url_or_file_path).lower().startswith(("http:", "https:")):
            raise gr.Error("Addresses are not fetched: upload the photo.", print_exception=False)
        return await super().async_move_resource_to_block_cache(url_or_file_path)


class NoFetching:
    """ASGI middleware that refuses gradio's routes that fetch other addresses for the visitor."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").lower()
        if "/proxy=" in path or "/file=http:" in path or "/file=https:" in path or "/file/http" in path:
            await PlainTextResponse("Not allowed", status_code=403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)
