"""What visitors send to the API by hand: files in every place, values of other kinds, and requests that are none."""

import html
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from demo_server import make_photo

from mine.demo.jobs import JobRunner

DRAFT = (4, "Draft")
META = {"meta": {"_type": "gradio.FileData"}}
HTTP = httpx.Client(timeout=60)

App = tuple[str, JobRunner]


def upload(url: str, folder: Path, name: str = "a.png") -> str:
    """Uploads a photo; returns its path on the server."""
    photo = make_photo(folder / "photo.png").read_bytes()
    path: str = HTTP.post(f"{url}gradio_api/upload", files={"files": (name, photo)}).json()[0]
    return path


def call(url: str, name: str, data: list[Any]) -> tuple[str, Any]:
    """What a call of an endpoint ends with: "complete" and its results, or "error" and what it says."""
    event = HTTP.post(f"{url}gradio_api/call/{name}", json={"data": data}).json()["event_id"]
    lines = HTTP.get(f"{url}gradio_api/call/{name}/{event}").text.strip().splitlines()
    return lines[-2].removeprefix("event: "), json.loads(lines[-1].removeprefix("data: "))


def test_no_input_has_a_file_fetched_or_moved(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Gradio looks for files at any depth of any input, and fetches those that have an address."""
    url, jobs = app
    moved: list[Any] = []

    async def note(source: Any, *args: Any, **kwargs: Any) -> None:
        moved.append(source)

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", note)
    monkeypatch.setattr("gradio.blocks.Block.async_move_resource_to_block_cache", lambda self, source: note(source))
    secret = {"path": str(make_photo(tmp_path / "secret.png")), **META}
    file = {"path": "http://example.com/a.png", **META}
    capfd.readouterr()
    places = [("video", place) for place in range(16)] + [("stereo", 3), ("export", 3), ("motions", 6)]
    for name, place in places:
        assert call(url, name, [*[None] * place, file])[0] == "error", (name, place)
    for nested in (secret, [file], {"a": [{"b": file}]}, {"path": "x", "orig_name": file}, {**file, "url": file}):
        for data in ([nested], [None, nested], [None, *DRAFT, 0, 1, False, nested]):
            assert call(url, "predict", data)[0] == "error", data
    assert HTTP.post(f"{url}gradio_api/run/stop", json={"data": [file]}).status_code >= 400
    assert moved == []
    assert "Traceback" not in capfd.readouterr().err
    assert not list(jobs.folder.glob("*/secret.png"))


@pytest.mark.parametrize("photo", [{"path": 1}, {"path": None}, {"url": "data:,"}, {}, "text", [], 1, True])
def test_a_photo_of_another_kind_is_told_in_one_line(app: App, photo: Any) -> None:
    how, told = call(app[0], "predict", [photo])
    assert (how, told["error"]) == ("error", "This is not a photo you uploaded.")


def test_no_job_is_done_outside_the_queue(app: App, tmp_path: Path) -> None:
    """Gradio goes by the number of an endpoint, whatever name the address has."""
    url, jobs = app
    body = {"data": [{"path": upload(url, tmp_path), **META}, *DRAFT], "fn_index": 0}
    scenes = len(jobs.scenes)
    assert HTTP.post(f"{url}gradio_api/run/stop", json=body).status_code == 404
    assert len(jobs.scenes) == scenes
    assert HTTP.post(f"{url}gradio_api/run/stop", json={"data": []}).status_code == 200


@pytest.mark.parametrize("name", ["a#b c.jpg", "50%23 x?.jpg", '"><b>.jpg'])
def test_the_frame_shows_the_scene_whatever_the_photo_is_called(app: App, tmp_path: Path, name: str) -> None:
    url = app[0]
    how, results = call(url, "predict", [{"path": upload(url, tmp_path, name)}, *DRAFT])
    assert how == "complete"
    source = re.findall('src="([^"]*)"></iframe>$', results[0])[0]
    page = HTTP.get(urljoin(url, html.unescape(source)))
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
