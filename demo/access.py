"""What visitors may send: files they uploaded, values in range; and fetch: only files that the demo made for them."""

import math
import os
import re
from abc import ABCMeta
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mine.demo.uploads import upload_path

NEEDED = re.compile(
    r"""/(
        | config | login | logout | robots\.txt | favicon\.ico | manifest\.json | theme\.css
        | (assets | static | svelte | scene)/.+
        | gradio_api/(
            app_id | info | startup-events | theme\.css
            | call/.+ | run/stop | queue/(join | data) | cancel | reset | heartbeat/[^/]+
            | upload | upload_progress | file=(?!https?:).+
        )
    )/?""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
"""Paths of the page and of the API. Not a file by its URL, which the server would fetch; nor "run", which passes by the
queue, except for what has none."""


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
        return _check_upload(payload.path or "", self.GRADIO_CACHE)

    def example_payload(self) -> Any:
        """What the API page shows as the photo: a file beside the script. Gradio's would be an address."""
        return {"path": "photo.jpg", "orig_name": "photo.jpg", "meta": {"_type": "gradio.FileData"}}

    def check(self, sent: Any) -> None:
        """Refuses paths that are no uploads before Gradio does, whose message has the names of the server's folders."""
        path = sent.get("path") if isinstance(sent, dict) else None
        if isinstance(path, str) and not _is_address(path):
            _check_upload(path, self.GRADIO_CACHE)

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        """Refuses URLs, which Gradio would make the server fetch; paths pass."""
        if _is_address(str(url_or_file_path)):
            raise gr.Error("Addresses are not fetched: upload the photo.", print_exception=False)
        return await super().async_move_resource_to_block_cache(url_or_file_path)


class UploadedPath(gr.Textbox, metaclass=_Quiet):
    """The path of an uploaded file that is optional, as the server told it when the file was uploaded."""

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        """The path, checked as that of a photo; None for an empty one."""
        if payload is None or payload == "":
            return None
        if not isinstance(payload, str):
            raise gr.Error(f"{self.label} is no path of an upload.", print_exception=False)
        return _check_upload(payload, self.GRADIO_CACHE)

    def example_payload(self) -> Any:
        """None, for it is optional."""
        return ""


def _is_address(path: str) -> bool:
    """Whether Gradio would take a path for an address on the web, and fetch it."""
    return path.lower().startswith(("http:", "https:"))


def _check_upload(path: str, folder: str) -> str:
    """The path of an upload; raises gr.Error for any other, and when the file was removed."""
    file = upload_path(path, Path(folder)) if len(path) <= 4096 else None
    if file is None:
        raise gr.Error("This is not a photo you uploaded.", print_exception=False)
    if not os.path.isfile(file):  # (Path.is_file raises an exception for a name that is too long)
        raise gr.Error("The photo is no longer here: choose it again.", print_exception=False)
    return str(file)


class Ranged(gr.Slider, metaclass=_Quiet):
    """A gr.Slider that says what is wrong with a value, whatever it is."""

    is_template = True

    def preprocess(self, payload: Any) -> float:
        """The number, checked; raises gr.Error for anything else."""
        number = isinstance(payload, (int, float)) and not isinstance(payload, bool)
        if not number or payload != payload or abs(payload) == math.inf:
            raise gr.Error(f"{self.label} is not a number.", print_exception=False)
        if not self.minimum <= payload <= self.maximum:
            more = "greater than maximum" if payload > self.maximum else "less than minimum"
            limit = self.maximum if payload > self.maximum else self.minimum
            told = f" {payload:g}" if abs(payload) < 1e300 else ""  # a whole number may be larger than any float
            raise gr.Error(f"{self.label}{told} is {more} {limit:g}.", print_exception=False)
        return super().preprocess(payload)


class Choice(gr.Radio, metaclass=_Quiet):
    """A gr.Radio that says which values there are."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        """The choice, checked; raises gr.Error for anything else."""
        names = [value for _, value in self.choices]
        if not isinstance(payload, str) or payload not in names:
            raise gr.Error(f"{self.label} is not in the list: {', '.join(map(str, names))}.", print_exception=False)
        return super().preprocess(payload)


class Flag(gr.Checkbox, metaclass=_Quiet):
    """A gr.Checkbox that takes nothing but true and false."""

    is_template = True

    def preprocess(self, payload: Any) -> bool:
        """The value, checked; raises gr.Error for anything else."""
        if not isinstance(payload, bool):
            raise gr.Error(f"{self.label} is neither true nor false.", print_exception=False)
        return payload


class Page(gr.Blocks):
    """gr.Blocks whose endpoints may be called without their last inputs, which then have their initial values."""

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Fills in inputs that were left out; raises gr.Error when there are too many, or a photo is no upload."""
        inputs.extend(widget.value for widget in block_fn.inputs[len(inputs) :])
        if len(inputs) != len(block_fn.inputs):
            raise gr.Error(
                f"{block_fn.name} takes {len(block_fn.inputs)} values: see the API page.", print_exception=False
            )
        for widget, sent in zip(block_fn.inputs, inputs, strict=True):
            if isinstance(widget, UploadedPhoto):
                widget.check(sent)


class OnlyNeededRoutes:
    """ASGI middleware that hides those of Gradio's routes that neither the page nor clients of the API need.

    Some of them do work without a limit, such as editing a screen recording, or make the server fetch other URLs.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 404 to a request for such a route, passes others on."""
        if scope["type"] == "http" and not NEEDED.fullmatch(scope["path"]):
            await PlainTextResponse("Not found", status_code=404)(scope, receive, send)
        else:
            await self.app(scope, receive, send)
