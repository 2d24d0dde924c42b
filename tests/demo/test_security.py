"""Who may ask the demo for what: hosts, other sites, passwords, headers, routes."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from demo_server import echo, make_photo, running_demo, wait_until
from gradio import Blocks, Error
from gradio_client import Client, handle_file
from ports import free_port
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from mine.demo.access import OnlyNeededRoutes, Ranged, UploadedPath
from mine.demo.app import _middleware
from mine.demo.jobs import JobRunner
from mine.demo.security import CheckHost, Login, own_hosts
from mine.demo.worker import Workers
from mine.model import load

# --- hosts and other sites


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("[::1]:7860", 200),
        ("192.168.1.5:7860", 200),
        ("photos.example.com", 200),
        ("evil.example", 421),
        ("photos.example.com.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("a:b:c", 421),
        ("127.0.0.1:b", 421),
        ("127.0.0.1/photos", 421),
        ("you@127.0.0.1", 421),
    ],
)
def test_a_server_goes_by_its_own_names_and_by_numbers(host: str, status: int) -> None:
    app = CheckHost(echo(), own_hosts("https://photos.example.com/mine", share=False, space=None))
    assert TestClient(app).get("/", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:7860", 200),
        ("http://localhost:7860", 200),
        ("https://evil.example", 403),
        ("http://10.0.0.9", 403),
        ("null", 403),
    ],
)
def test_other_sites_may_not_send(origin: str, status: int) -> None:
    app = CheckHost(echo(), own_hosts(None, share=False, space=None))
    headers = {"Host": "127.0.0.1:7860", "Origin": origin}
    assert TestClient(app).post("/gradio_api/upload", headers=headers).status_code == status
    assert TestClient(app).get("/", headers=headers).status_code == 200


@pytest.mark.parametrize("name", ["evil.example", "a:b:c", "[::1", "localhost:b", "localhost, evil.example", '"><b>'])
def test_no_request_says_where_the_page_is(app: tuple[str, JobRunner], name: str) -> None:
    """Gradio would answer with such an address, fail at it, or give later visitors of the API page the first one's."""
    headers = {"X-Forwarded-Host": name, "X-Gradio-Server": f"http://{name}"}
    assert httpx.get(f"{app[0]}config", headers=headers).json()["root"] == app[0].rstrip("/")
    event = httpx.post(f"{app[0]}gradio_api/call/estimate", json={"data": []}, headers=headers).json()["event_id"]
    assert "event: complete" in httpx.get(f"{app[0]}gradio_api/call/estimate/{event}").text


def test_the_api_is_described_to_all_by_the_address_they_ask(app: tuple[str, JobRunner]) -> None:
    first = httpx.get(f"{app[0]}gradio_api/info", headers={"Host": "6.6.6.6"})
    assert "6.6.6.6" in first.text
    later = httpx.get(f"{app[0]}gradio_api/info")
    assert "6.6.6.6" not in later.text
    assert "/predict" in later.json()["named_endpoints"]


def test_the_running_demo_answers_no_other_host_and_allows_no_other_origin(app: tuple[str, JobRunner]) -> None:
    evil = {"Host": "evil.example", "Origin": "http://evil.example"}
    answer = httpx.get(app[0], headers=evil)
    assert answer.status_code == 421
    assert "access-control-allow-origin" not in answer.headers


def test_answers_carry_headers_that_keep_browsers_safe(app: tuple[str, JobRunner]) -> None:
    headers = httpx.get(app[0]).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert "default-src 'self'" in headers["content-security-policy"]


@pytest.mark.parametrize("space", [None, "you-mine.hf.space"])
def test_whoever_may_frame_the_page_may_frame_its_viewer(
    space: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A browser asks the rule of a frame for every page around it: of a Space, these are two sites."""
    if space is None:
        monkeypatch.delenv("SPACE_HOST", raising=False)
    else:
        monkeypatch.setenv("SPACE_HOST", space)
    behind: Any = echo()
    for layer in reversed(_middleware(Blocks(), JobRunner(cast(Workers, None), tmp_path), False, None, False, False)):
        behind = layer.cls(behind, *layer.args, **layer.kwargs)
    client = TestClient(behind, headers={"Host": "localhost"})
    for path in ("/", "/scene/viewer.html", "/scene/scenes/token/name.html"):
        policy = client.get(path).headers["content-security-policy"]
        allowed = policy.partition("frame-ancestors ")[2]
        assert allowed == ("'self'" if space is None else "'self' https://huggingface.co"), path


def test_bad_values_are_told_and_not_traced(
    app: tuple[str, JobRunner], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    client = Client(app[0], verbose=False, analytics_enabled=False)
    photo = handle_file(make_photo(tmp_path / "a.png"))
    capfd.readouterr()
    for values in [("many", "Draft"), (True, "Draft"), (float("nan"), "Draft"), (8, 7), (8, ["Draft"]), (8, "Huge")]:
        with pytest.raises(Exception, match=r"is not a number|not in the list|Out of range|JSON"):
            client.predict(photo, *values, api_name="/predict")
    client.close()
    errors = capfd.readouterr().err
    assert "Traceback" not in errors


@pytest.mark.parametrize("value", [10**400, -(10**400), 65.0, -1, 1e308, float("inf"), float("nan"), True, "8", None])
def test_a_number_out_of_range_is_told_however_large_it_is(value: Any) -> None:
    planes = Ranged(2, 64, value=8, label="Planes")
    assert planes.check(8) == 8
    with pytest.raises(Error, match=r"^'Planes is not a number|^'Planes.* is (greater|less) than"):
        planes.check(value)


@pytest.mark.parametrize("name", ["\ud800", "a" * 300, "a" * 5000, "\0", "../../a.png", "missing.png"])
def test_no_path_but_that_of_an_upload_is_taken(name: str, tmp_path: Path) -> None:
    depth = UploadedPath(label="Depth map")
    depth.GRADIO_CACHE = str(tmp_path)
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "a.png").touch()
    assert depth.check(f"{tmp_path}/1/a.png") == str((tmp_path / "1" / "a.png").resolve())
    with pytest.raises(Error, match=r"not a photo you uploaded|no longer here"):
        depth.check(f"{tmp_path}/1/{name}")


# --- routes

PAGES = ["", "config", "login", "logout", "theme.css", "manifest.json", "assets/index.js", "static/img/logo.svg"]
PAGES += ["scene/viewer.html", "scene/scenes/token/a.html"]
API = ["info", "queue/join", "queue/data", "cancel", "reset/", "upload", "heartbeat/a", "run/stop"]
API += ["call/predict", "call/predict/event", "file=/tmp/folder/a b.jpg"]
HIDDEN = ["process_recording", "component_server", "dev/reload", "vibe-edit", "vibe-code/", "undo-vibe-edit", "token"]
HIDDEN += ["runs", "run-history/connect", "stream/event", "stream/a/b/1/playlist.m3u8", "profiling/clear", "mcp/sse"]
HIDDEN += ["custom_component/a/b/c/index.js", "proxy=http://localhost:1/", "file=HTTPS://example.com/a.png", "file/a"]
HIDDEN += ["upload_progress", "deep_link", "queue/status", "file=", "run/predict", "api/predict", "api/stop"]


def test_only_the_routes_that_the_page_needs_are_there() -> None:
    """Of Gradio's: some let anybody make the server work, or fetch other URLs."""
    client = TestClient(OnlyNeededRoutes(echo()))
    for path in PAGES + [f"gradio_api/{name}" for name in API]:
        assert client.get(f"/{path}").status_code == 200, path
    others = ["docs", "openapi.json", "monitoring", "monitoring/summary", "pwa_icon/9999", "gradio_api", "mcp"]
    for path in others + [f"gradio_api/{name}" for name in HIDDEN]:
        assert client.post(f"/{path}").status_code == 404, path


def test_the_running_demo_edits_no_screen_recordings(app: tuple[str, JobRunner]) -> None:
    assert httpx.post(f"{app[0]}gradio_api/process_recording", files={"video": b"film"}).status_code == 404


# --- passwords


@pytest.fixture(scope="module")
def locked(tiny_checkpoint: Path) -> Iterator[str]:
    with running_demo(load(tiny_checkpoint, device="cpu"), auth="guest:pass:word") as (url, _):
        yield url


def test_without_login_nothing_is_open_but_what_login_needs(locked: str) -> None:
    routes = ["config", "gradio_api/info", "gradio_api/app_id", "gradio_api/token", "gradio_api/user", "openapi.json"]
    routes += ["gradio_api/heartbeat/abc", "gradio_api/openapi.json", "gradio_api/startup-events", "monitoring/x"]
    routes += ["gradio_api/stream/a/b/1/playlist.m3u8", "scene/viewer.html", "docs", "gradio_api/vibe-code"]
    for route in routes:
        assert httpx.get(locked + route).status_code == 401, route
    for route in ["gradio_api/cancel", "gradio_api/reset", "gradio_api/upload", "gradio_api/queue/join"]:
        assert httpx.post(locked + route, json={}).status_code == 401, route
    assert httpx.get(locked).status_code == 200
    for cookies in [{"access-token-x": "y"}, {"access-token": ""}]:
        assert httpx.get(locked + "config", cookies=cookies).status_code == 401


def test_the_right_password_opens_everything(locked: str) -> None:
    with httpx.Client(base_url=locked) as visitor:
        assert visitor.post("login", data={"username": "guest", "password": "pass:word"}).status_code == 200
        assert visitor.get("config").status_code == 200
        assert visitor.get("scene/viewer.html").status_code == 200


def test_guessing_is_slowed_down_and_then_refused() -> None:
    """The first wrong passwords take their time; after eight in a minute an address is refused."""
    app = Login(echo(401), user=lambda cookies: None, delay=0.05)
    client = TestClient(app)
    start = time.monotonic()
    answers = [client.post("/login", data={"username": "a", "password": str(i)}).status_code for i in range(12)]
    assert answers == [401] * 8 + [429] * 4
    assert time.monotonic() - start >= 8 * 0.05


def test_many_guesses_at_once_count_as_many() -> None:
    client = TestClient(Login(echo(401), user=lambda cookies: None, delay=0.2))
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: client.post("/login").status_code, range(32)))
    assert answers.count(401) <= 8
    assert set(answers) == {401, 429}


def test_whoever_goes_on_guessing_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Although others come and go meanwhile, of whom so many are remembered."""
    monkeypatch.setattr("mine.demo.security.REMEMBERED", 3)
    app = Login(echo(401), user=lambda cookies: None, delay=0)
    answers = []
    for number in range(10):
        answers.append(TestClient(app, client=("10.0.0.1", 1)).post("/login").status_code)
        TestClient(app, client=(f"10.0.1.{number}", 1)).post("/login")
    assert answers == [401] * 8 + [429] * 2


def test_a_right_password_starts_the_count_again() -> None:
    app = Login(echo(200), user=lambda cookies: None, delay=0)
    client = TestClient(app)
    assert all(client.post("/login").status_code == 200 for _ in range(20))


# --- behind a reverse proxy


def test_a_proxy_with_a_prefix_serves_the_whole_page(tiny_checkpoint: Path) -> None:
    """A proxy that takes a prefix off: the page's address is that of --url, and everything it needs lies under it."""
    import threading

    import uvicorn

    inner_url = ""

    async def forward(request: Request) -> PlainTextResponse:
        path = request.url.path.removeprefix("/photos/mine")
        async with httpx.AsyncClient() as client:
            sent = {name: value for name, value in request.headers.items() if name != "accept-encoding"}
            answer = await client.request(
                request.method, inner_url.rstrip("/") + path, headers=sent, content=await request.body()
            )
        kept = {name: answer.headers[name] for name in ("content-type",) if name in answer.headers}
        return PlainTextResponse(answer.content, answer.status_code, kept)

    port = free_port()
    proxy = Starlette(routes=[Route("/photos/mine/{path:path}", forward, methods=["GET", "POST"])])
    server = uvicorn.Server(uvicorn.Config(proxy, port=port, log_level="error"))
    outer = f"http://127.0.0.1:{port}/photos/mine"
    with running_demo(load(tiny_checkpoint, device="cpu"), url=outer) as (url, _):
        inner_url = url
        thread = threading.Thread(target=server.run)
        thread.start()
        assert wait_until(lambda: server.started)
        try:
            page = httpx.get(f"{outer}/").text
            assert httpx.get(f"{outer}/config").json()["root"] == outer
            assert "/photos/mine/" in page
            assert httpx.get(f"{outer}/scene/viewer.html").status_code == 200
            assert httpx.get(f"{outer}/gradio_api/info").status_code == 200
        finally:
            server.should_exit = True
            thread.join()
