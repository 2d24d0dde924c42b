"""The page's widgets, their arrangement and the colour theme; no events."""

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import gradio as gr

from mine.demo.access import UploadedPhoto
from mine.demo.jobs import DETAIL, FPS, SceneSettings, VideoSettings
from mine.output.camera_paths import PATHS
from mine.output.stereo import Layout

SAMPLES = (Path(__file__).parent.parent / "samples").resolve()
STYLE = Path(__file__).with_name("style.css")
UPLOAD = Path(__file__).with_name("upload.js")

THEME = gr.themes.Base(
    primary_hue="orange",
    neutral_hue="stone",
    radius_size="lg",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
).set(
    # The base theme's colours have too little contrast on white.
    body_text_color_subdued="*neutral_500",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    link_text_color="*primary_700",
    link_text_color_hover="*primary_800",
    link_text_color_dark="*primary_400",
    link_text_color_hover_dark="*primary_300",
)

TITLE = "<h1>MINE</h1><p>One photo in, a scene to fly through out.</p>"
WELCOME = '<div class="welcome"><p>Your scene appears here.</p><p>Drag it to look around.</p></div>'


@dataclass(frozen=True)
class Widgets:
    """The widgets that events read or change."""

    photo: gr.Image
    viewer: gr.HTML
    path: gr.Radio
    make_video: gr.Button
    stop: gr.Button
    video: gr.Video
    depth: gr.Image
    files: gr.File
    amount: gr.Slider
    seconds: gr.Slider
    longest: gr.Slider
    loop: gr.Checkbox
    gif: gr.Checkbox
    planes: gr.Slider
    detail: gr.Radio
    predict_again: gr.Button
    layout: gr.Radio
    make_stereo: gr.Button
    stereo: gr.Image


def lay_out() -> Widgets:
    """Adds the page's widgets to the current gr.Blocks and returns them."""
    defaults = VideoSettings()
    gr.HTML(TITLE, elem_id="title")
    photo, viewer = _top()
    with gr.Row(elem_classes="acting"):
        path = gr.Radio(list(PATHS), value=defaults.path, label="Camera path", scale=4, min_width=300)
        with gr.Column(scale=1, min_width=250), gr.Row():
            make_video = gr.Button("Make video", variant="primary", interactive=False, scale=2, min_width=140)
            stop = gr.Button("Stop", min_width=80)
    with gr.Row(elem_id="results"):
        video = gr.Video(
            label="Video", autoplay=True, loop=defaults.loop, interactive=False, buttons=[], elem_id="video"
        )
        depth = gr.Image(label="Depth", type="filepath", interactive=False, buttons=["fullscreen"], elem_id="depth")
    files = gr.File(label="Downloads", file_count="multiple", interactive=False, elem_id="files")
    with gr.Accordion("Video settings", open=False):
        video_settings = _video_settings()
    with gr.Accordion("Scene settings", open=False), gr.Row(elem_classes="acting"):
        planes = gr.Slider(
            4,
            64,
            SceneSettings.planes,
            step=1,
            precision=0,
            label="Planes",
            info="More planes: finer depth, slower",
            buttons=[],
        )
        detail = gr.Radio(
            list(DETAIL), value=SceneSettings.detail, label="Detail", info="Resolution of the planes: finer is slower"
        )
        predict_again = gr.Button("Make the scene again", interactive=False, scale=0, min_width=200)
    with gr.Accordion("Stereo pair", open=False):
        with gr.Row(elem_classes="acting"):
            layout = gr.Radio(list(get_args(Layout)), value="anaglyph", label="Layout", scale=4)
            make_stereo = gr.Button("Make stereo pair", interactive=False, scale=1, min_width=160)
        stereo = gr.Image(
            label="Stereo", type="filepath", interactive=False, buttons=["fullscreen", "download"], elem_id="stereo"
        )
    scene = photo, viewer, path, make_video, stop, video, depth, files
    return Widgets(*scene, *video_settings, planes, detail, predict_again, layout, make_stereo, stereo)


def embed_page(page: Path) -> str:
    """HTML that shows a page of `mine.output.web` in a sandboxed frame, isolated from the page around it."""
    content = html.escape(page.read_text(encoding="utf-8"))
    return (
        '<iframe title="3D view" sandbox="allow-scripts allow-downloads" '
        f'allow="fullscreen; accelerometer; gyroscope" srcdoc="{content}"></iframe>'
    )


def _top() -> tuple[gr.Image, gr.HTML]:
    """The upload with the sample photos, and the 3D view beside it."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            photo = UploadedPhoto(
                label="Photo", type="filepath", sources=["upload", "webcam", "clipboard"], buttons=[], elem_id="photo"
            )
            samples = [[str(sample)] for sample in sorted(SAMPLES.glob("*.jpg"))]
            if samples:
                gr.Examples(samples, photo, label="Or try one of these", elem_id="samples")
        with gr.Column(scale=3, min_width=300):
            viewer = gr.HTML(WELCOME, elem_id="viewer")
    return photo, viewer


def _video_settings() -> tuple[gr.Slider, gr.Slider, gr.Slider, gr.Checkbox, gr.Checkbox]:
    """The widgets of `VideoSettings`: amount, seconds, longest side, loop, GIF."""
    defaults = VideoSettings()
    slider: dict[str, Any] = {"buttons": []}
    with gr.Row():
        amount = gr.Slider(
            0.1, 3, defaults.amount, step=0.1, label="Amount", info="How far the camera moves; 1 is normal", **slider
        )
        seconds = gr.Slider(
            1, 10, defaults.seconds, step=0.5, label="Length", info=f"Seconds, at {FPS} frames per second", **slider
        )
        longest = gr.Slider(
            240, 1920, defaults.longest, step=80, precision=0, label="Size", info="Longest side in pixels", **slider
        )
    with gr.Row():
        loop = gr.Checkbox(defaults.loop, label="Loop", info="Play again and again; a line then goes there and back")
        gif = gr.Checkbox(defaults.gif, label="Also as GIF", info="For chats and slides; takes a little longer")
    return amount, seconds, longest, loop, gif
