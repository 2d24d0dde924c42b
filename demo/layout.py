"""What the page is made of: widgets, where they stand, and its colours."""

import html
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import gradio as gr

from demo.guard import UploadedPhoto
from demo.studio import DETAIL, FPS, Motion, Quality
from mine.output.camera_paths import PATHS
from mine.output.stereo import Layout

SAMPLES = Path(__file__).parent.parent / "data" / "samples"
STYLE = Path(__file__).with_name("style.css")

THEME = gr.themes.Base(
    primary_hue="orange",
    neutral_hue="stone",
    radius_size="lg",
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
).set(
    # The base theme's own choices are a shade too pale to read on white.
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
    """The parts of the page that events read or change."""

    photo: gr.Image
    viewer: gr.HTML
    path: gr.Radio
    film: gr.Button
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
    redo: gr.Button
    layout: gr.Radio
    pair: gr.Button
    stereo: gr.Image


def lay_out() -> Widgets:
    """Builds the page inside the current gr.Blocks."""
    gr.HTML(TITLE, elem_id="title")
    photo, viewer = _top()
    with gr.Row(elem_classes="acting"):
        path = gr.Radio(list(PATHS), value=Motion.path, label="Camera path", scale=4, min_width=300)
        with gr.Column(scale=1, min_width=250), gr.Row():
            film = gr.Button("Make video", variant="primary", interactive=False, scale=2, min_width=140)
            stop = gr.Button("Stop", min_width=80)
    with gr.Row(elem_id="results"):
        video = gr.Video(label="Video", autoplay=True, loop=Motion.loop, interactive=False, buttons=[], elem_id="video")
        depth = gr.Image(label="Depth", type="filepath", interactive=False, buttons=["fullscreen"], elem_id="depth")
    files = gr.File(label="Downloads", file_count="multiple", interactive=False, elem_id="files")
    with gr.Accordion("Video settings", open=False):
        motion = _motion()
    with gr.Accordion("Scene settings", open=False), gr.Row(elem_classes="acting"):
        planes = gr.Slider(
            4, 64, Quality.planes, step=1, precision=0, label="Planes", info="More: finer depth, slower", buttons=[]
        )
        detail = gr.Radio(list(DETAIL), value=Quality.detail, label="Detail", info="Resolution of the planes")
        redo = gr.Button("Make scene anew", interactive=False, scale=0, min_width=200)
    with gr.Accordion("Stereo pair", open=False):
        with gr.Row(elem_classes="acting"):
            layout = gr.Radio(list(get_args(Layout)), value="anaglyph", label="Layout", scale=4)
            pair = gr.Button("Make stereo pair", interactive=False, scale=1, min_width=160)
        stereo = gr.Image(
            label="Stereo", type="filepath", interactive=False, buttons=["fullscreen", "download"], elem_id="stereo"
        )
    return Widgets(
        photo, viewer, path, film, stop, video, depth, files, *motion, planes, detail, redo, layout, pair, stereo
    )


def embedded(page: Path) -> str:
    """HTML that shows a page of `mine.output.web` in a frame, which keeps its script away from the page around it."""
    content = html.escape(page.read_text(encoding="utf-8"))
    return (
        '<iframe title="3D view" sandbox="allow-scripts allow-downloads" '
        f'allow="fullscreen; accelerometer; gyroscope" srcdoc="{content}"></iframe>'
    )


def _top() -> tuple[gr.Image, gr.HTML]:
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


def _motion() -> tuple[gr.Slider, gr.Slider, gr.Slider, gr.Checkbox, gr.Checkbox]:
    with gr.Row():
        amount = gr.Slider(0.1, 3, Motion.amount, step=0.1, label="Amount", info="How far the camera moves", buttons=[])
        seconds = gr.Slider(
            1, 10, Motion.seconds, step=0.5, label="Length", info=f"Seconds, {FPS} frames each", buttons=[]
        )
        longest = gr.Slider(
            240, 1920, Motion.longest, step=80, precision=0, label="Size", info="Longest side, pixels", buttons=[]
        )
    with gr.Row():
        loop = gr.Checkbox(Motion.loop, label="Loop", info="Repeat; a straight line goes there and back")
        gif = gr.Checkbox(Motion.gif, label="GIF too", info="For chats and slides; takes a little longer")
    return amount, seconds, longest, loop, gif
