"""The page: its markup, styles and scripts, and the typed inputs and outputs of its HTTP API, which are not shown."""

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import gradio as gr

from mine.demo.access import Choice, Flag, Ranged, UploadedPath, UploadedPhoto
from mine.demo.contact_sheet import FRAMES
from mine.demo.exporting import available
from mine.demo.making import ASPECTS, DETAIL, SceneSettings, VideoSettings
from mine.demo.samples import Sample
from mine.output.camera_paths import PATHS
from mine.output.stereo import Layout

PAGE = Path(__file__).with_name("page")
STYLES = [PAGE / name for name in ("style.css", "stage.css", "phone.css")]
SCRIPTS = [PAGE / name for name in ("calls.js", "stage.js", "motions.js", "results.js", "studio.js")]

THEME = gr.themes.Base(
    primary_hue="orange",
    neutral_hue="stone",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
)

MOTIONS = {
    "swing": "Side to side",
    "wiggle": "Wiggle",
    "zoom": "Push in",
    "circle": "Circle",
    "orbit": "Look around",
    "spiral": "Spiral",
    "dolly-zoom": "Hitchcock",
    "line": "Slide past",
}
"""Camera paths in words that people use."""

LAYOUTS = {
    "anaglyph": "For red-cyan glasses (.jpg)",
    "side-by-side": "Side by side, for headsets (.jpg)",
    "cross-eyed": "For crossed eyes (.jpg)",
}
"""Stereo layouts in words that people use."""

DETAILS = {"Draft": "Draft, fastest", "Standard": "Standard", "Fine": "Fine, slower"}
"""Levels of detail in words that people use."""

ACCEPTED = ["image/*", *(f".{ending}" for ending in ("heic", "heif", "hif", "avif", "jxl", "tif", "tiff"))]
"""Files that the dialog offers: browsers do not know that some of these are photos."""


@dataclass(frozen=True)
class Widgets:
    """What the events of the API take and return."""

    photo: gr.Image
    planes: gr.Slider
    detail: gr.Radio
    fov: gr.Slider
    strength: gr.Slider
    invert: gr.Checkbox
    own_depth: gr.Textbox
    path: gr.Radio
    amount: gr.Slider
    seconds: gr.Slider
    loop: gr.Checkbox
    longest: gr.Slider
    gif: gr.Checkbox
    speed: gr.Slider
    aspect: gr.Radio
    webp: gr.Checkbox
    layout: gr.Radio
    form: gr.Radio
    exported: gr.File
    viewer: gr.HTML
    depth: gr.Image
    files: gr.File
    motions: gr.Image
    video: gr.Video
    stereo: gr.Image
    words: gr.Textbox

    @property
    def scene_settings(self) -> list[Any]:
        """The photo, and what `SceneSettings` had first."""
        return [self.photo, self.planes, self.detail]

    @property
    def lens(self) -> list[Any]:
        """What else a scene depends on."""
        return [self.fov, self.strength, self.invert, self.own_depth]

    @property
    def video_settings(self) -> list[Any]:
        """What `VideoSettings` had first."""
        return [self.path, self.amount, self.seconds, self.loop, self.longest, self.gif]


def lay_out(samples: list[Sample], largest: int) -> Widgets:
    """Adds the page to the current gr.Blocks and returns the widgets of the API.

    Args:
        samples: Samples that the page offers, in the folder that the demo serves.
        largest: Bytes of the largest photo.
    """
    gr.HTML(
        _markup(samples, largest),
        js_on_load=_script(),
        apply_default_css=False,
        elem_id="page",
    )
    return _api()


def embed_page(path: str) -> str:
    """HTML that shows a scene's page, by its path on this server, in a frame isolated from the page around it."""
    return (
        '<iframe title="3D view" sandbox="allow-scripts allow-downloads" '
        f'allow="fullscreen; accelerometer; gyroscope; xr-spatial-tracking" src="{quote(path)}"></iframe>'
    )


def _api() -> Widgets:
    """The inputs and outputs of the endpoints; Gradio checks values by them and describes them in its API page."""
    scene, video = SceneSettings(), VideoSettings()
    hidden: dict[str, Any] = {"visible": False}
    return Widgets(
        photo=UploadedPhoto(label="Photo", type="filepath", **hidden),
        planes=Ranged(4, 64, scene.planes, step=1, precision=0, label="Planes", **hidden),
        detail=Choice(list(DETAIL), value=scene.detail, label="Detail", **hidden),
        fov=Ranged(0, 170, scene.fov, label="Field of view", **hidden),
        strength=Ranged(0.3, 3, scene.strength, step=0.1, label="Depth strength", **hidden),
        invert=Flag(scene.invert, label="Swap near and far", **hidden),
        own_depth=UploadedPath("", label="Own depth map", **hidden),
        path=Choice(list(PATHS), value=video.path, label="Camera path", **hidden),
        amount=Ranged(0.1, 3, video.amount, step=0.1, label="Amount", **hidden),
        seconds=Ranged(1, 10, video.seconds, step=0.5, label="Length", **hidden),
        loop=Flag(video.loop, label="Loop", **hidden),
        longest=Ranged(240, 1920, video.longest, step=80, precision=0, label="Size", **hidden),
        gif=Flag(video.gif, label="Also as GIF", **hidden),
        speed=Ranged(0.2, 4, video.speed, label="Speed", **hidden),
        aspect=Choice(list(ASPECTS), value=video.aspect, label="Shape", **hidden),
        webp=Flag(video.webp, label="Also as WebP", **hidden),
        layout=Choice(list(get_args(Layout)), value="anaglyph", label="Layout", **hidden),
        form=Choice(list(available()), value="model", label="Form", **hidden),
        exported=gr.File(label="File", **hidden),
        viewer=gr.HTML(label="3D view", **hidden),
        depth=gr.Image(label="Depth", type="filepath", **hidden),
        files=gr.File(label="Downloads", file_count="multiple", **hidden),
        motions=gr.Image(label="Motions", type="filepath", **hidden),
        video=gr.Video(label="Video", **hidden),
        stereo=gr.Image(label="Stereo", type="filepath", **hidden),
        words=gr.Textbox(label="Time", **hidden),
    )


def _script() -> str:
    """The page's scripts as one function body."""
    return "\n".join(["'use strict';", *(file.read_text(encoding="utf-8") for file in SCRIPTS)])


def _markup(samples: list[Sample], largest: int) -> str:
    """The page's markup with its choices filled in."""
    usual = SceneSettings()
    config = {
        "samples": [_described(sample) for sample in samples],
        "packedWith": {
            "scene": [usual.planes, usual.detail],
            "lens": [usual.fov, usual.strength, usual.invert, ""],
        },
        "largestBytes": largest,
        "largest": f"{largest >> 20} MB",
    }
    slots = {
        "CONFIG": html.escape(json.dumps(config)),
        "ACCEPT": ",".join(ACCEPTED),
        "SAMPLES": "".join(_sample_button(sample) for sample in samples),
        "MOTIONS": "".join(_motion(row, name) for row, name in enumerate(PATHS)),
        "ASPECTS": "".join(_radio("aspect", name, name, name == VideoSettings.aspect) for name in ASPECTS),
        "FORMS": _forms(),
        "DETAILS": "".join(
            f'<option value="{name}"{" selected" if name == SceneSettings.detail else ""}>{DETAILS.get(name, name)}'
            "</option>"
            for name in DETAIL
        ),
    }
    markup = (PAGE / "studio.html").read_text(encoding="utf-8")
    for slot, content in slots.items():
        markup = markup.replace(f"%{slot}%", content)
    return markup


def _forms() -> str:
    """What else a scene can be taken away in: stereo pictures, and the forms of `mine.demo.exporting`."""
    stereo = "".join(f'<option value="stereo:{name}">{LAYOUTS[name]}</option>' for name in LAYOUTS)
    others = "".join(f'<option value="{name}">{form.title}</option>' for name, form in available().items())
    return f'<optgroup label="Stereo picture">{stereo}</optgroup><optgroup label="Other files">{others}</optgroup>'


def _described(sample: Sample) -> dict[str, str]:
    """A sample as the page's script knows it."""
    files = {part: str(getattr(sample, part)) for part in ("photo", "scene", "depth", "video", "motions")}
    return {"name": sample.name, "title": sample.title, **files}


def _sample_button(sample: Sample) -> str:
    return (
        f'<button type="button" data-sample="{sample.name}" aria-pressed="false" aria-label="{sample.title}">'
        '<img alt="" /></button>'
    )


def _motion(row: int, name: str) -> str:
    """A camera path: a radio button with a moving thumbnail."""
    checked = " checked" if name == VideoSettings.path else ""
    style = f"--row: {row}; --rows: {len(PATHS)}; --frames: {FRAMES}"
    return (
        f'<label><input type="radio" name="motion" value="{name}"{checked} />'
        f'<i style="{style}"></i><span>{MOTIONS.get(name, name)}</span></label>'
    )


def _radio(group: str, value: str, text: str, checked: bool) -> str:
    mark = " checked" if checked else ""
    return f'<label><input type="radio" name="{group}" value="{value}"{mark} />{text}</label>'
