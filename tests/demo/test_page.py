"""The demo's page in a real browser: what it shows at first, from a photo to its scene and video, errors, phones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import pytest
from browser import new_page
from demo_server import files_left, make_photo, running_demo, wait_until
from PIL import Image
from playwright.sync_api import Browser, FrameLocator, Page

from mine.demo.jobs import JobRunner
from mine.demo.samples import TITLES, samples
from mine.model import load
from mine.output.camera_paths import PATHS

SHARING = (Path(__file__).parents[1] / "support" / "fake_sharing.js").read_text()
DESKTOP = {"viewport": {"width": 1200, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def app(tiny_checkpoint: Path) -> Iterator[tuple[str, JobRunner]]:
    with running_demo(load(tiny_checkpoint, device="cpu")) as running:
        yield running


class Tab:
    """A tab with the demo, the URLs that it requested, and what it logged."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.page = new_page(browser, **options)
        self.context = self.page.context
        self.page.add_init_script(SHARING)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        self.page.locator("#studio[data-state=scene]").wait_for()

    @property
    def view(self) -> FrameLocator:
        return self.page.frame_locator("#viewer iframe")

    def settings(self, **values: str) -> None:
        """Sets inputs by their ids; the scene's settings are folded away."""
        for name, value in values.items():
            self.page.evaluate(
                "([id, value]) => { const e = document.getElementById(id); e.value = value;"
                " e.dispatchEvent(new Event('input', { bubbles: true })); }",
                [name, value],
            )

    def bring(self, photo: Path) -> None:
        """Brings a photo and waits for its scene in 3D."""
        self.page.set_input_files("#photo input[type=file]", photo)
        self.page.locator(f"#viewer[data-ready='{photo.stem}'].shown").wait_for()


@pytest.fixture(scope="module")
def desk(browser: Browser, app: tuple[str, JobRunner]) -> Iterator[Tab]:
    """One tab for most tests, with small settings."""
    tab = Tab(browser, app[0], **DESKTOP)
    tab.settings(planes="4", detail="Draft", seconds="1", longest="480")
    yield tab
    assert tab.errors == []
    own = (app[0], "data:", "blob:")
    assert [url for url in tab.requests if not url.startswith(own)] == []
    tab.context.close()


def image_size(page: Page, selector: str) -> int:
    return page.evaluate("selector => document.querySelector(selector)?.naturalWidth", selector)


# --- at first sight


def test_eight_samples_are_packed_as_the_viewer_reads_them() -> None:
    from small_scene import make_photo as small_photo
    from small_scene import make_scene

    from mine.demo.samples import read_scene
    from mine.output.web.pack import pack

    assert [sample.name for sample in samples()] == list(TITLES)
    assert len(TITLES) == 8
    today = pack(make_scene(small_photo()))
    for sample in samples():
        packed = read_scene(sample)
        assert packed.keys() == today.keys(), "run scripts/pack_samples.py"
        assert packed["strips"][0].keys() == today["strips"][0].keys()
        with Image.open(sample.photo) as photo, Image.open(sample.depth) as depth, Image.open(sample.motions) as sheet:
            assert photo.width / photo.height == pytest.approx(packed["aspect"], rel=0.01)
            assert depth.width / depth.height == pytest.approx(packed["aspect"], rel=0.01)
            assert sheet.size == (12 * 144, len(PATHS) * 96)
        assert iio.improps(sample.video, plugin="pyav").shape[0] >= 48


def test_a_sample_moves_before_anything_is_asked(browser: Browser, app: tuple[str, JobRunner]) -> None:
    """A film of it plays at once; the scene takes its place, when it is taken hold of at the latest."""
    tab = Tab(browser, app[0], **DESKTOP, reduced_motion="no-preference")
    tab.page.wait_for_function("document.getElementById('hero').currentTime > 0.1")
    tab.view.locator("body.ready").wait_for()
    tab.view.locator("#view").click()
    tab.page.locator("#viewer.shown").wait_for()
    assert tab.page.locator("#play").inner_text() == "Play"
    assert app[1].scenes.root.exists() is False or list(app[1].scenes.root.iterdir()) == []
    tab.context.close()


def test_a_click_on_a_sample_shows_its_scene_and_asks_the_server_for_no_work(desk: Tab) -> None:
    page = desk.page
    before = len(desk.requests)
    page.get_by_role("button", name="Cat", exact=True).click()
    page.locator("#viewer[data-ready='Cat']").wait_for()
    assert not any("queue/join" in url for url in desk.requests[before:])
    assert page.get_by_role("button", name="Cat", exact=True).get_attribute("aria-pressed") == "true"
    assert "cat-motions" in page.evaluate("document.getElementById('motions').style.getPropertyValue('--sheet')")


# --- from a photo to its scene and video


@pytest.mark.parametrize("name", ["IMG_0001.HEIC", "no_ending"])
def test_photos_of_phones_are_accepted_and_shown(desk: Tab, tmp_path: Path, name: str) -> None:
    """Browsers have no type for these names, and do not show such files."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="writes the HEIC photo")
    pillow_heif.from_pillow(Image.open(make_photo(tmp_path / "a.png"))).save(tmp_path / name, quality=90)
    desk.bring(tmp_path / name)
    assert wait_until(lambda: image_size(desk.page, "#still") == 64)


def test_a_photo_becomes_a_scene_a_video_and_files_to_take(
    desk: Tab, app: tuple[str, JobRunner], tmp_path: Path
) -> None:
    page = desk.page
    desk.bring(make_photo(tmp_path / "photo.png"))
    assert list(app[1].scenes.root.glob("*/photo.mpi"))
    page.wait_for_function("document.getElementById('motions').style.getPropertyValue('--sheet').includes('url')")

    canvas = desk.view.locator("#view")
    before = canvas.screenshot()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
    page.mouse.up()
    assert wait_until(lambda: canvas.screenshot() != before)

    page.locator("#gif").check()
    page.locator("#make").click()
    page.locator("#video video").wait_for()
    assert page.locator("#tab-video").get_attribute("aria-selected") == "true"
    video = page.locator("#video video")
    assert video.get_attribute("playsinline") is not None
    assert video.get_attribute("muted") is not None
    with page.expect_download() as download:
        page.locator("#files a[download='photo-swing.mp4']").click()
    assert iio.imread(download.value.path(), extension=".mp4").shape == (30, 48, 64, 3)
    kinds = page.locator("#files .kind").all_inner_texts()
    assert sorted(kinds[:5]) == ["GIF", "HTML", "MP4", "MPI", "PNG"]
    page.locator("#gif").uncheck()


def test_earlier_videos_stay_in_the_list_and_shapes_are_kept(desk: Tab) -> None:
    page = desk.page
    page.get_by_role("radio", name="Push in").check(force=True)
    page.get_by_role("radio", name="1:1").check(force=True)
    page.locator("#make").click()
    page.locator("#files a[download='photo-zoom.mp4']").wait_for()
    assert page.locator("#files a[download='photo-swing.mp4']").count() == 1
    for name, shape in [("photo-zoom.mp4", (48, 48)), ("photo-swing.mp4", (48, 64))]:
        with page.expect_download() as download:
            page.locator(f"#files a[download='{name}']").click()
        assert iio.imread(download.value.path(), extension=".mp4").shape[1:3] == shape
    page.get_by_role("radio", name="As the photo").check(force=True)


def test_motions_strength_and_speed_act_in_the_3d_view(desk: Tab) -> None:
    page = desk.page
    page.locator("#tab-3d").click()
    page.get_by_role("radio", name="Circle").check(force=True)
    desk.view.locator("body.ready").wait_for()
    frame = page.frames[-1]
    radius = "Math.hypot(mineViewer.view().T[3], mineViewer.view().T[7])"  # the same all along a circle
    assert wait_until(lambda: frame.evaluate(radius) > 0.001)
    assert page.locator("#play").inner_text() == "Pause"
    normal = frame.evaluate(radius)
    desk.settings(amount="3", speed="3")
    assert wait_until(lambda: frame.evaluate(radius) == pytest.approx(3 * normal, rel=0.01))
    desk.settings(amount="0.2")
    assert wait_until(lambda: frame.evaluate(radius) == pytest.approx(0.2 * normal, rel=0.01))
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Play"
    desk.settings(amount="1", speed="1")


def test_tabs_show_depth_and_photo_beside_depth(desk: Tab) -> None:
    page = desk.page
    page.locator("#tab-3d").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#tab-depth").get_attribute("aria-selected") == "true"
    assert wait_until(
        lambda: page.frames[-1].evaluate("getComputedStyle(document.getElementById('range')).opacity") == "1"
    )
    page.keyboard.press("ArrowRight")
    page.locator("#compare").wait_for()
    slider = page.get_by_label("Photo on the left, depth on the right")
    slider.focus()
    before = page.locator("#compare-depth").screenshot()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert page.locator("#compare-depth").screenshot() != before
    assert image_size(page, "#compare-depth") == 64
    page.locator("#tab-3d").click()


def test_stereo_pictures_and_models_join_the_list(desk: Tab) -> None:
    page = desk.page
    for form, name in [("stereo:side-by-side", "photo-side-by-side.jpg"), ("model", "photo-model.glb")]:
        page.select_option("#form", form)
        page.locator("#make-form").click()
        with page.expect_download() as download:
            page.locator(f"#files a[download='{name}']").click()
        if name.endswith("jpg"):
            assert iio.imread(download.value.path()).shape == (48, 128, 3)
        else:
            assert Path(download.value.path()).read_bytes()[:4] == b"glTF"


def test_a_video_is_shared_as_a_file(desk: Tab) -> None:
    page = desk.page
    button = page.get_by_role("button", name="Share photo-swing.mp4")
    button.click()
    page.wait_for_function("shared.length === 1")
    title, (name, kind, size) = page.evaluate("shared[0]")
    assert (title, name, kind, size > 1000) == ("photo-swing.mp4", "photo-swing.mp4", "video/mp4", True)
    before = len(desk.requests)
    page.evaluate("window.refusal = 'NotAllowedError'")  # the tap is long ago
    button.click()
    page.get_by_text("tap Share once more").wait_for()
    assert desk.requests[before:] == [], "the file is at hand"
    page.evaluate("window.refusal = 'AbortError'")  # the visitor thought better of it
    button.click()
    page.wait_for_function("shared.length === 3")
    page.evaluate("window.unshared = 'video/mp4'")
    button.click()
    page.get_by_text("cannot share such files").wait_for()
    assert page.evaluate("shared.length") == 3


def test_the_link_of_a_scene_opens_it_shut_off_from_this_site(desk: Tab, browser: Browser) -> None:
    page = desk.page
    desk.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the link of photo.html").click()
    page.get_by_text("Link copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    other = new_page(browser)
    answer = other.goto(link)
    assert "sandbox" in answer.headers["content-security-policy"]
    other.locator("body.ready").wait_for()
    assert other.evaluate("origin") == "null"
    other.close()
    page.get_by_role("button", name="Copy the embed code of photo.html").click()
    assert wait_until(lambda: page.evaluate("navigator.clipboard.readText()").startswith('<iframe src="photo.html"'))


# --- waiting and errors


def test_waiting_is_told_in_words_and_can_be_stopped(desk: Tab, app: tuple[str, JobRunner], tmp_path: Path) -> None:
    """Stop is there while something runs, and only then."""
    page, jobs = desk.page, app[1]
    assert page.locator("#stop").is_hidden()
    with jobs.workers._lock:  # the worker is busy, so that the job waits
        page.set_input_files("#photo input[type=file]", make_photo(tmp_path / "stopped.png", (10, 200, 10)))
        page.locator("#waiting").wait_for()
        assert page.locator("#make").is_disabled()
        assert wait_until(lambda: any(photo.stem == "stopped" for photo in list(jobs._uploads)))
        page.locator("#stop").click()
        page.locator("#problem").get_by_text("Stopped").wait_for()
        # The page says so at once; the server may hear of it later, and the worker is busy until then.
        assert wait_until(lambda: all(control.stopped.is_set() for control in list(jobs._running)))
    assert page.locator("#waiting").is_hidden()
    assert page.locator("#stop").is_hidden()
    assert wait_until(lambda: not jobs._running)
    assert files_left(jobs.scenes.root, "*/stopped*") == []


def test_an_error_is_told_once_in_the_photos_place_until_the_next(desk: Tab, tmp_path: Path) -> None:
    page = desk.page
    text = tmp_path / "notes.jpg"
    text.write_text("no photo")
    page.set_input_files("#photo input[type=file]", text)
    page.locator("#problem").get_by_text("notes.jpg is not an image").wait_for()
    assert page.get_by_text("is not an image").count() == 1
    assert page.locator("#make").is_disabled()
    assert page.locator("#waiting").is_hidden()
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(41 * 1024 * 1024))
    page.set_input_files("#photo input[type=file]", large)
    page.locator("#problem").get_by_text("too large").wait_for()
    page.get_by_role("button", name="Coffee", exact=True).click()
    page.locator("#problem").wait_for(state="hidden")
    assert page.locator("#make").is_enabled()


def test_files_can_be_dropped_and_pasted(desk: Tab, tmp_path: Path) -> None:
    send = """([kind, bytes]) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], `${kind}.png`, { type: "image/png" }));
      const event = kind === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
        : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
      document.body.dispatchEvent(event);
    }"""
    for kind in ("drop", "paste"):
        photo = make_photo(tmp_path / f"{kind}.png", (50, 60, 20 if kind == "drop" else 200))
        desk.page.evaluate(send, [kind, list(photo.read_bytes())])
        desk.page.locator(f"#files a[download='{kind}.html']").wait_for()


def test_a_closed_page_leaves_nothing(browser: Browser, app: tuple[str, JobRunner], tmp_path: Path) -> None:
    tab = Tab(browser, app[0], **DESKTOP)
    tab.settings(planes="4", detail="Draft")
    tab.bring(make_photo(tmp_path / "leaving.png", (7, 7, 99)))
    assert list(app[1].scenes.root.glob("*/leaving.mpi"))
    tab.context.close()
    assert wait_until(lambda: files_left(app[1].scenes.root, "*/leaving*") == [], 30)


# --- phones and access


@pytest.mark.parametrize("width", [360, 430])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_phones_see_no_sideways_scroll_and_large_targets(
    browser: Browser, app: tuple[str, JobRunner], width: int, theme: str
) -> None:
    tab = Tab(browser, app[0], **{**PHONE, "viewport": {"width": width, "height": 800}, "color_scheme": theme})
    page = tab.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#camera").bounding_box()["x"] < page.locator("#choose").bounding_box()["x"]
    action = page.locator(".action").bounding_box()
    assert action["y"] + action["height"] <= 800
    page.locator("#depth-settings summary").click()
    small = page.evaluate(
        """() => [...document.querySelectorAll("#studio :is(button, select, summary, a, input[type=range], label)")]
          .filter((e) => e.offsetParent && !e.closest("label label") && !(e.matches("input") && e.closest("#compare")))
          .map((e) => [e.id || e.textContent.trim(), e.getBoundingClientRect()])
          .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
          .map(([name, box]) => `${name} ${box.width}x${box.height}`)"""
    )
    assert small == []
    tab.context.close()


def test_a_phone_goes_to_the_scene_after_the_photo(
    browser: Browser, app: tuple[str, JobRunner], tmp_path: Path
) -> None:
    tab = Tab(browser, app[0], **PHONE)
    tab.settings(planes="4", detail="Draft")
    tab.page.evaluate("scrollTo(0, 600)")
    tab.bring(make_photo(tmp_path / "phone.png"))
    assert wait_until(lambda: abs(tab.page.locator("#stage").bounding_box()["y"]) < 60)
    assert tab.view.locator("#tilt").is_visible()
    tab.context.close()


def test_everything_is_reached_by_keyboard(desk: Tab) -> None:
    page = desk.page
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(150):  # all of the page, from wherever it was clicked last
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.name || ''"))
    assert {"tab-3d", "play", "motion", "choose", "amount", "speed", "seconds", "longest", "gif", "make"} <= reached


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, app: tuple[str, JobRunner], theme: str) -> None:
    """In each state of the page: a scene, its depth, photo beside depth, an error; axe-core's own rules for WCAG AA."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    tab = Tab(browser, app[0], **DESKTOP, color_scheme=theme)
    page = tab.page
    page.locator("#depth-settings summary").click()
    found = set()
    options = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}
    for tab_id in ("tab-3d", "tab-video", "tab-compare"):
        page.locator(f"#{tab_id}").click()
        page.wait_for_timeout(300)
        for violation in axe.run(page, context="#studio", options=options).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found |= {(violation["id"], node["html"][:120]) for node in violation["nodes"]}
    assert found == set()
    tab.context.close()
