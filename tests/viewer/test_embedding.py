"""The viewer as a part of other pages: camera paths that play in it, messages in a frame, what it shows at rest."""

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import Opened, new_page, open_scene
from playwright.sync_api import Browser, Page
from small_scene import make_photo, make_scene

from mine.output.camera_paths import PATHS, near_depth, scene_path
from mine.output.export import export
from mine.output.web.html import viewer_page
from mine.output.web.pack import pack
from mine.scene.camera import intrinsics
from mine.scene.mpi import MPI

ROOT = Path(__file__).parents[2]
COUNT = """
  window.textures = window.bitmaps = 0;
  const { createTexture, deleteTexture } = WebGL2RenderingContext.prototype;
  Object.assign(WebGL2RenderingContext.prototype, {
    createTexture() { textures++; return createTexture.call(this); },
    deleteTexture(texture) { textures -= texture ? 1 : 0; return deleteTexture.call(this, texture); },
  });
  const { createImageBitmap } = window, { close } = ImageBitmap.prototype;
  window.createImageBitmap = async (...how) => {
    const bitmap = await createImageBitmap(...how);
    bitmaps++;
    return bitmap;
  };
  ImageBitmap.prototype.close = function () { bitmaps -= this.width ? 1 : 0; close.call(this); };
"""
HEADSET = (ROOT / "tests" / "support" / "fake_headset.js").read_text()
WINDOW = {"width": 240, "height": 240}


@pytest.fixture(scope="module")
def scene() -> MPI:
    return make_scene(make_photo())


@pytest.fixture(scope="module")
def page(browser: Browser, page_file: Path) -> Page:
    """The viewer alone, standing still."""
    return open_scene(browser, page_file, viewport=WINDOW).page


@pytest.fixture(scope="module")
def around(browser: Browser, page_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """A page with the viewer in a sandboxed frame; `heard` collects the viewer's messages."""
    file = tmp_path_factory.mktemp("around") / "around.html"
    file.write_text(
        "<script>const heard = []; addEventListener('message', ({ data }) => heard.push(data))</script>"
        f'<iframe sandbox="allow-scripts" src="{page_file.as_uri()}" width="230" height="200"></iframe>'
    )
    page = new_page(browser, viewport=WINDOW)
    page.goto(file.as_uri())
    hear(page, "ready")
    return page


def hear(page: Page, kind: str) -> None:
    """Waits for a message of the viewer."""
    page.wait_for_function("kind => heard.some(message => message.mine === kind)", arg=kind)
    page.evaluate("heard.length = 0")


def test_the_whole_photo_is_shown_at_rest(page: Page, scene: MPI) -> None:
    """Also in a window of another aspect: nothing is cut off."""
    view = page.evaluate("mineViewer.view()")
    box = page.locator("#view").bounding_box()
    assert box is not None
    assert box["width"] == WINDOW["width"]
    assert box["width"] / box["height"] == pytest.approx(scene.size[1] / scene.size[0], rel=0.02)
    K = scene.intrinsics((view["height"], view["width"]))
    torch.testing.assert_close(torch.tensor(view["K"]).reshape(3, 3), K, atol=0.6, rtol=0.01)


def test_asking_for_the_view_leaves_the_canvas_as_it_is(page: Page) -> None:
    size = "(() => { const c = document.getElementById('view'); return [c.width, c.height]; })()"
    page.evaluate("document.getElementById('view').width = 7")
    page.evaluate("mineViewer.view()")
    assert page.evaluate(size)[0] == 7
    page.evaluate("mineViewer.readPixels(), null")
    assert page.evaluate(size)[0] == WINDOW["width"]


def views_along(page: Page, name: str, amount: float, frames: int) -> list[dict[str, Any]]:
    """Plays a path, and returns the views at phases of a round at which time is stopped."""
    views: list[dict[str, Any]] = page.evaluate(
        """async ([name, amount, frames]) => {
          const real = requestAnimationFrame, views = [];
          let tick = null, now = 1e9;
          window.requestAnimationFrame = (callback) => { tick = callback; return 1; };
          await new Promise(real);  // a frame that the viewer has asked for already comes before this one
          mineViewer.stop();
          for (let i = 0; i < 200 && tick; i++) { const t = tick; tick = null; t(now += 100); }
          mineViewer.play(name, { amount, seconds: 2 });
          for (let i = 0; i < frames; i++) {
            views.push(mineViewer.view());
            const t = tick; tick = null; t(now += 250);
          }
          mineViewer.stop();
          window.requestAnimationFrame = real;
          if (tick) real(tick);
          return views;
        }""",
        [name, amount, frames],
    )
    return views


@pytest.mark.parametrize("name", [name for name in PATHS if name != "line"])
@pytest.mark.parametrize("amount", [0.5, 2.0])
def test_paths_in_the_viewer_are_those_of_python(page: Page, scene: MPI, name: str, amount: float) -> None:
    frames = 8
    path = scene_path(scene, name, frames, amount)
    shown = views_along(page, name, amount, frames)
    poses = torch.tensor([view["T"] for view in shown]).reshape(-1, 4, 4)
    torch.testing.assert_close(poses, path.poses, atol=1e-5, rtol=1e-4)
    K = torch.tensor([view["K"] for view in shown]).reshape(-1, 3, 3)
    torch.testing.assert_close(K[:, 0, 0] / K[0, 0, 0], path.focal / path.focal[0], atol=1e-4, rtol=1e-4)
    shift = torch.zeros(frames, 2) if path.shift is None else path.shift
    own = (scene.K[:2, 2] + 0.5 - torch.tensor(scene.plane_size[::-1]) / 2) / scene.K[[0, 1], [0, 1]]
    middle = (torch.tensor([shown[0]["width"], shown[0]["height"]]) - 1) / 2
    torch.testing.assert_close((K[:, :2, 2] - middle) / K[:, [0, 1], [0, 1]], shift + own, atol=2e-3, rtol=1e-3)


def test_a_long_lens_moves_less_in_the_viewer_as_in_python(browser: Browser, scene: MPI, tmp_path: Path) -> None:
    far = MPI.from_planes(scene.planes, scene.disparity, scene.K * torch.tensor([8.0, 8, 1])[:, None], scene.photo)
    far.K[:2, 2] = scene.K[:2, 2]
    export(far, tmp_path / "far.html")
    page = open_scene(browser, tmp_path / "far.html", viewport=WINDOW).page
    for name in ("swing", "orbit", "zoom"):
        poses = torch.tensor([view["T"] for view in views_along(page, name, 1.0, 8)]).reshape(-1, 4, 4)
        torch.testing.assert_close(poses, scene_path(far, name, 8).poses, atol=1e-5, rtol=1e-4)
    page.context.close()


def test_an_unknown_path_does_not_play(page: Page) -> None:
    assert page.evaluate("mineViewer.play('toString')") is False
    assert page.evaluate("mineViewer.play('swing', { seconds: 0 })") is False


def test_a_frame_obeys_and_answers_the_page_around_it(around: Page) -> None:
    frame = around.frames[1]
    post = "message => document.querySelector('iframe').contentWindow.postMessage(message, '*')"
    around.evaluate(post, {"mine": "play", "path": "swing", "amount": 1, "seconds": 2})
    frame.wait_for_selector("#hint.gone", state="attached")
    moved = "Math.abs(mineViewer.view().T[3])"
    assert any(frame.evaluate(moved) > 0.001 or around.wait_for_timeout(50) for _ in range(100))
    around.evaluate(post, {"mine": "depth", "on": True})
    around.wait_for_function("() => heard.some((one) => one.mine === 'depth' && one.on && !one.byHand)")
    assert frame.locator("#depth").get_attribute("aria-pressed") == "true"
    frame.locator("#view").click()
    hear(around, "touched")
    around.evaluate(post, {"mine": "depth", "on": False})
    hear(around, "depth")
    frame.evaluate("document.getElementById('depth').click()")
    around.wait_for_function("() => heard.some((one) => one.mine === 'depth' && one.on && one.byHand)")
    frame.evaluate("document.getElementById('depth').click()")
    for nonsense in ["play", None, {"mine": "play", "path": "nowhere"}, {"mine": "constructor"}]:
        around.evaluate(post, nonsense)
    assert frame.evaluate("document.body.className").split()[0] == "ready"


# --- one scene after another


@pytest.fixture(scope="module")
def empty(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """A page with the viewer without a scene in a sandboxed frame; `show` sends a scene, or clears it without one."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "viewer.html").write_text(viewer_page())
    (folder / "around.html").write_text(
        "<script>const heard = []; addEventListener('message', ({ data }) => heard.push(data));"
        "const post = (message) => document.querySelector('iframe').contentWindow.postMessage(message, '*');"
        "const show = (scene, number) => post(scene ? { mine: 'scene', text: JSON.stringify(scene),"
        " name: `scene ${number}`, number } : { mine: 'clear' });</script>"
        '<iframe sandbox="allow-scripts" src="viewer.html" width="230" height="200"></iframe>'
    )
    page = new_page(browser, viewport=WINDOW)
    page.add_init_script(COUNT)
    page.goto((folder / "around.html").as_uri())
    hear(page, "empty")
    return page


def coloured_scene(colour: tuple[float, float, float], planes: int = 3) -> dict[str, Any]:
    """A packed scene of one colour."""
    size = (32, 48)
    rgb = torch.tensor(colour, dtype=torch.float32)[None, :, None, None].expand(planes, 3, *size)
    sigma = torch.ones(planes, 1, *size)
    return pack(MPI(rgb, sigma, torch.linspace(1, 0.1, planes), intrinsics(size, 60), rgb[0].repeat(1, 2, 2)))


def middle(page: Page) -> tuple[int, int, int]:
    """The colour in the middle of the view."""
    script = """() => {
      const { width, height, data } = mineViewer.readPixels();
      const first = 4 * (width * (height >> 1) + (width >> 1));
      return [...data.slice(first, first + 3)];
    }"""
    return tuple(page.frames[1].evaluate(script))


def test_a_frame_shows_one_scene_after_another_and_frees_those_before(empty: Page) -> None:
    red, green = coloured_scene((1, 0, 0)), coloured_scene((0, 1, 0), planes=5)
    left = []
    for number in range(6):
        empty.evaluate("([scene, number]) => show(scene, number)", [(red, green)[number % 2], number])
        empty.wait_for_function("n => heard.some((one) => one.mine === 'ready' && one.number === n)", arg=number)
        assert np.argmax(middle(empty)) == number % 2
        assert empty.frames[1].evaluate("document.title") == f"scene {number}"
        left.append(empty.frames[1].evaluate("textures"))
    assert left[2:4] == left[4:6], "scenes left behind take no memory"
    empty.evaluate("show(null)")
    empty.frames[1].wait_for_selector("body:not(.ready)")
    assert empty.frames[1].evaluate("textures") < min(left[2:])


def test_files_dropped_or_pasted_on_a_viewer_without_a_scene_reach_the_page_around(empty: Page) -> None:
    """The browser, which would show a dropped file in place of the viewer, is told not to."""
    empty.evaluate("heard.length = 0")
    kept = empty.frames[1].evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["a photo"], "a.jpg", { type: "image/jpeg" }));
          const options = { dataTransfer: data, clipboardData: data, bubbles: true, cancelable: true };
          const kinds = [new DragEvent("dragover", options), new DragEvent("drop", options)];
          document.body.dispatchEvent(new ClipboardEvent("paste", options));
          return kinds.map((event) => document.body.dispatchEvent(event));
        }"""
    )
    assert kept == [False, False]
    empty.wait_for_function("() => heard.filter((one) => one.mine === 'files').length === 2")
    texts = "Promise.all(heard.flatMap(({ files }) => files.map(async (file) => [file.name, await file.text()])))"
    assert empty.evaluate(texts) == [["a.jpg", "a photo"]] * 2


def test_only_the_last_of_scenes_sent_at_once_is_shown(empty: Page) -> None:
    scenes = [coloured_scene(colour) for colour in [(1, 0, 0), (0, 1, 0), (0, 0, 1)]]
    empty.evaluate("scenes => scenes.forEach((scene, number) => show(scene, 10 + number))", scenes)
    empty.wait_for_function("() => heard.some((one) => one.mine === 'ready' && one.number === 12)")
    empty.evaluate("heard.length = 0")
    assert np.argmax(middle(empty)) == 2
    empty.wait_for_timeout(300)
    assert [one for one in empty.evaluate("heard") if one["mine"] in ("ready", "failed")] == []
    assert empty.frames[1].evaluate("bitmaps") == 1, "its photo"


def test_a_scene_that_cannot_be_read_is_told_and_the_next_one_shown(empty: Page) -> None:
    errors: list[str] = []
    empty.on("pageerror", lambda error: errors.append(str(error)))
    good = coloured_scene((1, 0, 0))
    cut = {**good["strips"][0], "colour": "AAAA"}
    for broken in ({}, {**good, "photo": "AAAA"}, {**good, "strips": [good["strips"][0], cut, cut]}):
        empty.evaluate("scene => show(scene, 20)", broken)
        hear(empty, "failed")
        assert empty.frames[1].locator("#message").inner_text() != ""
        empty.wait_for_timeout(50)
        assert empty.frames[1].evaluate("bitmaps") == 0, "nothing is left of it"
    assert errors == []
    empty.evaluate("scene => show(scene, 21)", coloured_scene((0, 1, 0)))
    hear(empty, "ready")
    assert np.argmax(middle(empty)) == 1
    assert empty.frames[1].locator("#message").is_hidden()


def test_the_toolbar_hides_when_idle_and_comes_back(page: Page) -> None:
    page.mouse.move(20, 20)
    opacity = "Number(getComputedStyle(document.getElementById('bar')).opacity)"
    assert page.evaluate(opacity) > 0.5
    page.locator("body.idle").wait_for()
    assert page.evaluate(opacity) == 0
    page.keyboard.press("Tab")
    assert page.evaluate(opacity) > 0.5


def test_the_hint_goes_by_itself(page: Page) -> None:
    page.locator("#hint.gone").wait_for(state="attached")


def test_lost_graphics_are_told(browser: Browser, page_file: Path) -> None:
    opened = open_scene(browser, page_file)
    lose = "document.getElementById('view').getContext('webgl2').getExtension('WEBGL_lose_context').loseContext()"
    opened.page.evaluate(lose)
    opened.page.get_by_text("graphics were interrupted").wait_for()
    opened.close()


def test_the_embed_code_of_the_documentation_shows_the_scene(browser: Browser, page_file: Path, tmp_path: Path) -> None:
    """As it stands there, in a page beside the scene's file."""
    code = re.search(r"```html\n(<iframe.*?)```", (ROOT / "viewer" / "README.md").read_text(), re.DOTALL)
    assert code is not None
    shutil.copy(page_file, tmp_path / "scene.html")
    (tmp_path / "around.html").write_text(code[1])
    page = new_page(browser)
    page.goto((tmp_path / "around.html").as_uri())
    page.frame_locator("iframe").locator("body.ready").wait_for()
    assert page.locator("iframe").bounding_box()["width"] == 720
    page.context.close()


# --- headsets


def test_no_headset_is_offered_without_one(page: Page) -> None:
    assert page.locator("#xr").is_hidden()


def test_each_eye_sees_the_scene_from_its_own_place(browser: Browser, tmp_path: Path) -> None:
    """A bright bar before the window, on a dark plane behind it: the left eye sees it more to the right."""
    size = (40, 60)
    planes = torch.zeros(2, 4, *size)
    planes[0, :, :, 24:36] = torch.tensor([1.0, 1.0, 1.0, 1e4])[:, None, None]
    planes[1] = torch.tensor([0.2, 0.0, 0.0, 1e4])[:, None, None]
    scene = MPI(planes[:, :3], planes[:, 3:], torch.tensor([1.0, 0.1]), intrinsics(size, 60))
    export(scene, tmp_path / "bar.html")
    opened = open_scene(browser, tmp_path / "bar.html", script=HEADSET)
    opened.page.locator("#xr").focus()  # so that the toolbar stays, however slow the machine is
    opened.page.locator("#xr").click()
    opened.until("headset.frames > 2")
    assert opened.page.locator("#xr").get_attribute("aria-pressed") == "true"
    middles, windows = [], []
    for half in eyes(opened):
        # The window is dark red, and what is around it is not: a white room would blind.
        red, blue = half[40, :, 0] > 40, half[40, :, 2] > 128
        assert half[5].max() < 40
        windows.append(np.flatnonzero(red | blue).mean())
        middles.append(np.flatnonzero(blue).mean())
    assert windows[0] > windows[1] + 2, "the window is two metres away"
    assert middles[0] > middles[1] + 1.5 * (windows[0] - windows[1]), "the bar is nearer"
    opened.page.evaluate("headset.session.end()")
    opened.until("document.getElementById('xr').ariaPressed === 'false'")
    assert opened.pixels().shape[:2] == (140, 210), "the page is as large as before"
    assert opened.messages == []
    opened.close()


@pytest.mark.parametrize("what", ["throw Error('no')", "await null; await headset.session.end()"])
def test_a_headset_that_does_not_start_leaves_the_page_as_it_was(browser: Browser, page_file: Path, what: str) -> None:
    """It refuses, or is taken off at once."""
    opened = open_scene(browser, page_file, script=HEADSET)
    start = "WebGL2RenderingContext.prototype.makeXRCompatible"
    opened.page.evaluate(f"{start} = async () => {{ window.tried = true; {what}; }}, null")
    before = opened.pixels()
    button = opened.page.locator("#xr")
    button.focus()  # so that the toolbar stays, however slow the machine is
    button.click()
    opened.until("window.tried")
    opened.page.keyboard.down("ArrowRight")
    opened.until("mineViewer.view().T[3] !== 0")
    opened.page.keyboard.up("ArrowRight")
    opened.page.keyboard.press("r")
    opened.rest()
    assert np.array_equal(opened.pixels(), before)
    assert button.get_attribute("aria-pressed") == "false"
    opened.page.evaluate(f"{start} = async () => {{}}, null")
    button.click()
    opened.until("headset.frames > 2")
    assert button.get_attribute("aria-pressed") == "true"
    opened.close()


def eyes(opened: Opened) -> tuple[np.ndarray, np.ndarray]:
    """What both eyes see (80, 80, 3), left first."""
    canvas = opened.page.evaluate(
        """() => new Promise((done) => headset.session.requestAnimationFrame(() => {
          const { width, height } = document.getElementById("view");
          const copy = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
          copy.drawImage(document.getElementById("view"), 0, 0);
          done([...copy.getImageData(0, 0, width, height).data]);
        }))"""
    )
    both = np.array(canvas).reshape(80, 160, 4)[..., :3]
    return both[:, :80], both[:, 80:]


def test_an_eye_sees_the_windows_edges_where_they_are(page: Page, scene: MPI) -> None:
    """From wherever it looks, the corners of the photo at the pivot are the corners of the picture."""
    height, width = 40, 60
    pivot = 2 * near_depth(scene)
    rest = scene.intrinsics((height, width)).double()
    corners = torch.tensor([[-0.5, -0.5, 1], [width - 0.5, height - 0.5, 1]], dtype=torch.float64)
    there = pivot * torch.linalg.solve(rest, corners.T)
    for eye in ([0, 0, 0], [0.03, 0, 0], [-0.3, 0.2, 0.5], [0.1, -0.1, -1.0]):
        view = page.evaluate("([eye, w, h]) => mineViewer.windowView(eye, 2, w, h)", [eye, width, height])
        T = torch.tensor(view["T"], dtype=torch.float64).reshape(4, 4)
        seen = torch.tensor(view["K"], dtype=torch.float64).reshape(3, 3) @ (T[:3, :3] @ there + T[:3, 3:])
        torch.testing.assert_close((seen[:2] / seen[2]).T, corners[:, :2], atol=1e-3, rtol=0)
