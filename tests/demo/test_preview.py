"""Previews of uploads that browsers cannot show, before an application that answers "passed on"."""

import asyncio
import io
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from demo_server import running_demo
from PIL import Image
from starlette.responses import PlainTextResponse

from mine.demo import preview
from mine.demo.preview import Previews
from mine.model import load


@pytest.fixture
def get(tmp_path: Path):
    """Fetches a file by its path from an application whose uploads are in `tmp_path`/uploads."""
    app = Previews(PlainTextResponse("passed on"), tmp_path / "uploads")

    async def fetch(path: object) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get(f"/gradio_api/file={quote(str(path))}")

    return lambda path: asyncio.run(fetch(path))


def save(path: Path, **options: object) -> Path:
    """Writes a photo of 64x48, dark at its left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.linspace(0, 255, 64).astype(np.uint8)[None].repeat(48, axis=0)).save(path, **options)
    return path


@pytest.mark.parametrize("name", ["turned.TIF", "a b.tiff", "no_ending", "50%23 #1.tif"])
def test_a_photo_that_browsers_cannot_show_is_served_upright_as_jpeg(tmp_path: Path, get, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "uploads" / "1" / name, format="TIFF", exif=exif)
    answer = get(path)
    assert answer.headers["content-type"] == "image/jpeg"
    image = Image.open(io.BytesIO(answer.content))
    assert image.size == (48, 64)
    assert np.asarray(image.convert("L"))[0].mean() < 20 < 235 < np.asarray(image.convert("L"))[-1].mean()


def test_other_files_are_left_to_the_application(tmp_path: Path, get) -> None:
    uploads = tmp_path / "uploads"
    (uploads / "1").mkdir(parents=True)
    (uploads / "1" / "notes.heic").write_text("no photo")
    others = [uploads / "1" / "notes.heic", save(uploads / "1" / "shown.png"), save(uploads / "1" / "shown.jpg")]
    others += [save(tmp_path / "outside.tif"), save(uploads / "1" / "2" / "deeper.tif"), uploads / "1" / "missing.tif"]
    others += [f"{uploads}/1/../../outside.tif", f"{uploads}/1/%2e%2e/%2e%2e/outside.tif", "\0", ""]
    for path in others:
        assert get(path).text == "passed on", path


def test_a_preview_is_made_once_however_many_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "uploads" / "1" / "a.tif")
    made: list[Path] = []
    monkeypatch.setattr(preview, "preview", lambda path: made.append(path) or b"jpeg")
    app = Previews(PlainTextResponse("passed on"), tmp_path / "uploads")

    async def fetch() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await asyncio.gather(*(client.get(f"/gradio_api/file={path}") for _ in range(8)))

    assert {answer.content for answer in asyncio.run(fetch())} == {b"jpeg"}
    assert made == [path]


def test_a_photo_beyond_the_limits_has_no_preview(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif")
    assert preview.preview(path, seconds=0.001) is None
    assert preview.preview(path, memory=1 << 24) == b""


def test_what_took_too_long_is_tried_again_and_what_is_remembered_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, known = tmp_path / "slow", tmp_path / "known"
    answers = {known: [b"jpeg"], slow: [None, b"late"]}
    monkeypatch.setattr(preview, "preview", lambda path: answers[path].pop(0))
    previews = Previews(PlainTextResponse("passed on"), tmp_path)

    async def visit() -> list[bytes]:
        first = [await previews._preview(path) for path in (known, slow, slow)]
        async with previews._one_at_a_time:  # another visitor's photo takes its time
            return [*first, await asyncio.wait_for(previews._preview(known), 5)]

    assert asyncio.run(visit()) == [b"jpeg", b"", b"late", b"jpeg"]


def test_the_pages_videos_are_passed_on(tmp_path: Path, get) -> None:
    video = tmp_path / "uploads" / "samples" / "cat.mp4"
    video.parent.mkdir(parents=True)
    video.write_bytes(b"\0\0\0\x20ftypisom" + bytes(20))
    assert get(video).text == "passed on"


def test_files_of_the_demo_itself_start_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the samples' scenes, which lie beside the uploads and are no photos."""
    monkeypatch.setattr(preview, "preview", lambda path: pytest.fail(f"{path} is no upload"))
    own = tmp_path / "uploads" / "samples"
    own.mkdir(parents=True)
    (own / "cat.json").write_text("{}")
    app = Previews(PlainTextResponse("passed on"), tmp_path / "uploads", {own})

    async def fetch() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            return await client.get(f"/gradio_api/file={own}/cat.json")

    assert asyncio.run(fetch()).text == "passed on"


def test_the_running_demo_serves_the_scenes_of_its_samples_without_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path
) -> None:
    made: list[Path] = []
    monkeypatch.setattr(preview, "preview", lambda path: made.append(path) or b"")
    with running_demo(load(tiny_checkpoint, device="cpu")) as (url, jobs):
        scene = jobs.folder / "samples" / "cat.json"
        assert httpx.get(f"{url}gradio_api/file={scene}").status_code == 200
    assert made == []
