"""What visitors may send: files they uploaded, values in range; and fetch: only files that the demo made for them."""

import math
import os
import re
from abc import ABCMeta
from pathlib import Path
from typing import Any, cast

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
            | upload | file=(?!https?:).+
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

    gr.Image would decode the file, lose its EXIF data and name the server's folders in error messages.
    """

    is_template = True  # the browser shows a gr.Image

    def check(self, sent: Any) -> dict[str, Any] | None:
        """The photo as Gradio describes files, of which its path is kept alone; None without one."""
        if sent is None:
            return None
        path = sent.get("path") if isinstance(sent, dict) else None
        return {"path": _check_upload(path, self.GRADIO_CACHE), "meta": {"_type": "gradio.FileData"}}

    def preprocess(self, payload: Any) -> str | None:
        """The path of the upload."""
        return None if payload is None else payload.path

    def example_payload(self) -> Any:
        """What the API page shows as the photo: a file beside the script. Gradio's would be an address."""
        return {"path": "photo.jpg", "orig_name": "photo.jpg", "meta": {"_type": "gradio.FileData"}}


class UploadedPath(gr.Textbox, metaclass=_Quiet):
    """The path of an uploaded file that is optional, as the server told it when the file was uploaded."""

    is_template = True

    def check(self, sent: Any) -> str | None:
        """The path, checked as that of a photo; None for an empty one."""
        if sent is None or sent == "":
            return None
        if not isinstance(sent, str):
            raise gr.Error(f"{self.label} is no path of an upload.", print_exception=False)
        return _check_upload(sent, self.GRADIO_CACHE)

    def example_payload(self) -> Any:
        """None, for it is optional."""
        return ""


def _check_upload(path: Any, folder: str) -> str:
    """The path of an upload; raises gr.Error for anything else, and when the file was removed.

    Gradio accepts any path in its upload folder; this also requires that the file is no scene that the demo made.
    """
    file = upload_path(path, Path(folder)) if isinstance(path, str) and len(path) <= 4096 else None
    if file is None:
        raise gr.Error("This is not a photo you uploaded.", print_exception=False)
    if not os.path.isfile(file):  # (Path.is_file raises an exception for a name that is too long)
        raise gr.Error("The photo is no longer here: choose it again.", print_exception=False)
    return str(file)


class Ranged(gr.Slider, metaclass=_Quiet):
    """A gr.Slider that says what is wrong with a value, whatever it is."""

    is_template = True

    def check(self, sent: Any) -> float:
        """The number; raises gr.Error for anything else."""
        number = isinstance(sent, (int, float)) and not isinstance(sent, bool)
        if not number or sent != sent or abs(sent) == math.inf:
            raise gr.Error(f"{self.label} is not a number.", print_exception=False)
        if not self.minimum <= sent <= self.maximum:
            more = "greater than maximum" if sent > self.maximum else "less than minimum"
            limit = self.maximum if sent > self.maximum else self.minimum
            told = f" {sent:g}" if abs(sent) < 1e300 else ""  # a whole number may be larger than any float
            raise gr.Error(f"{self.label}{told} is {more} {limit:g}.", print_exception=False)
        return cast(float, sent)


class Choice(gr.Radio, metaclass=_Quiet):
    """A gr.Radio that says which values there are."""

    is_template = True

    def check(self, sent: Any) -> str:
        """The choice; raises gr.Error for anything else."""
        names = [value for _, value in self.choices]
        if not isinstance(sent, str) or sent not in names:
            raise gr.Error(f"{self.label} is not in the list: {', '.join(map(str, names))}.", print_exception=False)
        return sent


class Flag(gr.Checkbox, metaclass=_Quiet):
    """A gr.Checkbox that takes nothing but true and false."""

    is_template = True

    def check(self, sent: Any) -> bool:
        """The value; raises gr.Error for anything else."""
        if not isinstance(sent, bool):
            raise gr.Error(f"{self.label} is neither true nor false.", print_exception=False)
        return sent


class Page(gr.Blocks):
    """gr.Blocks whose inputs check what is sent before Gradio looks at it.

    Gradio would fetch what has the form of a file, at any depth of any input, when its path is an address. Endpoints
    may be called without their last inputs, which then have their initial values.
    """

    def validate_inputs(self, block_fn: Any, inputs: list[Any]) -> None:
        """Replaces the inputs by what their widgets make of them, such as a file by its path alone.

        Raises:
            gr.Error: When there are too many, or one is not what its widget takes.
        """
        widgets = block_fn.inputs
        inputs.extend(widget.value for widget in widgets[len(inputs) :])
        if len(inputs) != len(widgets):
            raise gr.Error(f"{block_fn.name} takes {len(widgets)} values: see the API page.", print_exception=False)
        inputs[:] = [widget.check(sent) for widget, sent in zip(widgets, inputs, strict=True)]


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
