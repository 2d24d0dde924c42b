"""What visitors send to the API by hand: files in every place, values of other kinds, and requests that are none."""

import errno
import html
import io
import json
import logging
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from demo_server import make_photo
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from mine.demo.jobs import JobRunner
from mine.demo.requests import PlainRequests

DRAFT = (4, "Draft")
META = {"meta": {"_type": "gradio.FileData"}}
HTTP = httpx.Client(timeout=60)

App = tuple[str, JobRunner]


@pytest.fixture
def console(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """Tells what was printed, also by the server's log, which keeps the stream that it found."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger("uvicorn").addHandler(handler)
    capfd.readouterr()
    yield lambda: "".join(capfd.readouterr()) + log.getvalue()
    logging.getLogger("uvicorn").removeHandler(handler)


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
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Callable[[], str]
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
    places = [("video", place) for place in range(16)] + [("stereo", 3), ("export", 3), ("motions", 6)]
    for name, place in places:
        assert call(url, name, [*[None] * place, file])[0] == "error", (name, place)
    for nested in (secret, [file], {"a": [{"b": file}]}, {"path": "x", "orig_name": file}, {**file, "url": file}):
        for data in ([nested], [None, nested], [None, *DRAFT, 0, 1, False, nested]):
            assert call(url, "predict", data)[0] == "error", data
    assert HTTP.post(f"{url}gradio_api/run/stop", json={"data": [file]}).status_code >= 400
    assert moved == []
    assert console() == ""
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


def part(head: str, body: str = "abc") -> dict[str, Any]:
    """A request to upload a part with a head of its own."""
    content = f"--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n--x--\r\n"
    return {"content": content, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}


MALFORMED: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "gradio_api/upload", part('name="files"')),
    ("POST", "gradio_api/upload", {"content": b"abc", "headers": {"Content-Type": "multipart/form-data"}}),
    ("GET", "assets/" + "a" * 3000, {}),
    ("GET", "static/" + "a" * 3000, {}),
    ("GET", "scene/scenes/a/" + "b" * 3000 + ".html", {}),
    ("GET", "gradio_api/file=SAMPLE", {"headers": {"Range": "bytes=1-2-3"}}),
    ("GET", "gradio_api/file=SAMPLE", {"headers": {"Range": b"bytes=\xb2-\xb2"}}),
    ("POST", "gradio_api/call/nothing", {"json": {"data": []}}),
    ("POST", "gradio_api/call/v2/nothing", {"json": {}}),
    ("POST", "gradio_api/call/v2/predict", {"json": {"no_such_input": 1}}),
    ("POST", "gradio_api/run/stop", {"json": {"data": [], "fn_index": 99}}),
    ("POST", "gradio_api/run/stop", {"json": {"data": [], "fn_index": -1}}),
    ("POST", "gradio_api/run/stop", {"json": {"data": [1]}}),
    ("POST", "gradio_api/queue/join", {"json": {"data": [], "fn_index": 0, "session_hash": "a" * 65}}),
    *[
        ("POST", f"gradio_api/{route}", {"content": content, "headers": {"Content-Type": "application/json"}})
        for route in ("cancel", "reset", "call/predict", "call/v2/predict", "queue/join", "run/stop")
        for content in (
            '{"data": [NaN], "event_id": NaN}',
            '{"data": [1e400], "event_id": 1e400}',
            '{"data": ["\\ud800"], "event_id": "\\ud800"}',
            "[" * 100_000,
            b"\xff",
            "",
            "[]",
            '"data"',
        )
    ],
]


def test_what_is_no_request_gets_a_line_and_leaves_the_console_empty(app: App, console: Callable[[], str]) -> None:
    url, jobs = app
    sample = str(next(jobs.folder.glob("samples/*.jpg")))
    for method, path, request in MALFORMED:
        answer = HTTP.request(method, url + path.replace("SAMPLE", sample), **request)
        assert 400 <= answer.status_code < 500, (path, request)
        assert len(answer.text.splitlines()) == 1 and "Traceback" not in answer.text
    for stream in ("queue/data?session_hash=nobody", "call/predict/nothing"):
        assert "Not Found" in HTTP.get(f"{url}gradio_api/{stream}").text
    assert console() == ""


@pytest.mark.parametrize(
    "start", [b"no HTTP\r\n\r\n", b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"]
)
def test_what_is_no_http_leaves_the_console_empty(app: App, console: Callable[[], str], start: bytes) -> None:
    port = int(app[0].rsplit(":", 1)[1].strip("/"))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(start + b"Connection: Upgrade\r\n\r\n")
        assert connection.recv(13).startswith(b"HTTP/1.1 4")
    assert console() == ""


def test_no_statistics_are_made_of_calls(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio would go through the last 10,000 calls after each."""
    made: list[Any] = []
    monkeypatch.setattr("gradio.queueing.Queue._get_df", made.append)
    assert call(app[0], "estimate", [])[0] == "complete"
    assert HTTP.get(f"{app[0]}gradio_api/app_id").status_code == 200
    assert made == []


def test_calls_are_passed_on_without_what_the_page_does_not_send() -> None:
    told: list[Any] = []

    async def keep(request: Request) -> PlainTextResponse:
        told.append((request.url.query, await request.body()))
        return PlainTextResponse("fine")

    client = TestClient(PlainRequests(Starlette(routes=[Route("/{path:path}", keep, methods=["POST"])])))
    call = {"data": ["\u00e9", 10**400], "fn_index": 0, "session_hash": "a" * 64}
    client.post("/gradio_api/queue/join", json={**call, "batched": True, "trigger_id": 3, "event_data": [[]]})
    client.post("/gradio_api/call/v2/predict", json={"photo": None, "planes": 8})
    client.post("/gradio_api/upload?session=a&upload_id=b", content=b"as it is")
    assert [json.loads(body) for _, body in told[:2]] == [call, {"photo": None, "planes": 8}]
    assert told[2] == ("", b"as it is")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no space"), MemoryError()])
def test_what_the_machine_lacks_is_told_on_the_console(error: Exception) -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise error

    with pytest.raises(type(error)):
        TestClient(PlainRequests(fail)).get("/")
