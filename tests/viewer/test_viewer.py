"""The exported page in a real browser: it shows what the reference renders, moves by input and needs no network."""

from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from browser import WINDOW, Opened, open_scene
from playwright.sync_api import Browser
from torch import Tensor

from mine.evaluation.silhouettes import SHAPES, disparity_of_photo, edge_errors, generate_photo
from mine.network.disparity.lift import lift_to_mpi, plane_disparities
from mine.output.camera_paths import swing
from mine.output.depth_image import write_depth_image
from mine.output.export import export
from mine.output.web.html import SCENE_SLOT
from mine.render.reference import blend_source
from mine.scene.camera import intrinsics, off_axis_shift, pose, shift_principal_point
from mine.scene.mpi import MPI
from mine.scene.resize import resize

PLANES = (64, 96)


def build_photo() -> Tensor:
    """(3, 2 H, 2 W): a coloured gradient with texture, twice as fine as the planes."""
    size = (2 * PLANES[0], 2 * PLANES[1])
    noise = torch.rand(1, 1, size[0] // 4, size[1] // 4, generator=torch.Generator().manual_seed(3))
    texture = F.interpolate(noise, size, mode="bicubic")[0].clamp(0, 1)
    y, x = torch.meshgrid(torch.linspace(0, 1, size[0]), torch.linspace(0, 1, size[1]), indexing="ij")
    return 0.6 * torch.stack([x, y, 1 - x]) + 0.4 * texture


def build_disparities() -> tuple[Tensor, Tensor]:
    """Disparities (H, W) of a tilted ground, and of a ball in front of it: 0 where it is not."""
    y, x = torch.meshgrid(torch.linspace(0, 1, PLANES[0]), torch.linspace(0, 1, PLANES[1]), indexing="ij")
    ball = ((x - 0.4) / 0.25) ** 2 + ((y - 0.5) / 0.35) ** 2 < 1
    return 0.15 + 0.4 * y, torch.where(ball, 0.8, 0.0)


def build_soft() -> MPI:
    """Eight planes with soft edges, as plane networks predict them."""
    photo, disparity = build_photo(), torch.linspace(1, 0.1, 8)
    q = sum(
        8 * (1 - (disparity[:, None, None] - disparity_map).abs() / 0.13).clamp(min=0)
        for disparity_map in build_disparities()
    )
    intervals = F.pad((1 / disparity).diff(), (0, 1), value=1e3)
    sigma = (F.avg_pool2d(q[:, None], 3, 1, 1) + 1e-3) / intervals[:, None, None, None]
    small = resize(photo, PLANES)
    rgb = F.avg_pool2d(small[None], 17, 1, 8).expand(8, -1, -1, -1)
    K = intrinsics(PLANES, 60)
    planes = blend_source(torch.cat([rgb, sigma], dim=1)[None], disparity[None], K[None], small[None])[0]
    return MPI(planes[:, :3], planes[:, 3:], disparity, K, photo)


def build_hard() -> MPI:
    """Eight planes with the hard edges of a disparity map lifted to planes."""
    photo, disparity = build_photo(), torch.linspace(1, 0.1, 8)
    disparity_map = torch.maximum(*build_disparities())
    planes = lift_to_mpi(resize(photo, PLANES)[None], disparity_map[None, None], disparity[None])[0]
    return MPI(planes[:, :3], planes[:, 3:], disparity, intrinsics(PLANES, 60), photo)


@pytest.fixture(scope="module")
def scene() -> MPI:
    return build_soft()


@pytest.fixture(scope="module")
def shared(browser: Browser, page_file: Path) -> Iterator[Opened]:
    opened = open_scene(browser, page_file)
    yield opened
    opened.close()


@pytest.fixture
def opened(shared: Opened) -> Opened:
    shared.page.evaluate("mineViewer.showDepth(false)")
    shared.page.keyboard.press("r")
    shared.rest()
    return shared


def turn(angle: float) -> torch.Tensor:
    """Rotation by `angle` about the vertical axis."""
    sine, cosine = np.sin(angle), np.cos(angle)
    return torch.tensor([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]], dtype=torch.float32)


POSES = {
    "source": pose(torch.eye(3)),
    "sideways and closer": pose(turn(-0.05), torch.tensor([0.15, -0.05, -0.2])),
    "back, so that borders show": pose(turn(0.1), torch.tensor([-0.3, 0.1, 0.4])),
}


@pytest.mark.parametrize("arguments", ["[1, 2]", "Array(16).fill(NaN)", "null", "Array(16).fill(1), [1, 2]"])
def test_a_pose_of_other_numbers_is_refused(opened: Opened, arguments: str) -> None:
    told = opened.page.evaluate(
        f"(() => {{ try {{ mineViewer.setPose({arguments}) }} catch (e) {{ return `${{e}}` }} }})()"
    )
    assert told == "TypeError: setPose takes a pose of 16 finite numbers, and optionally intrinsics of 9"


def assert_shows(opened: Opened, scene: MPI, T: Tensor) -> None:
    opened.page.evaluate("T => mineViewer.setPose(T)", T.flatten().tolist())
    shown = opened.pixels()
    K = torch.tensor(opened.page.evaluate("mineViewer.view().K")).reshape(3, 3)
    view = scene.render(T, K=K, size=shown.shape[:2], backend="reference", fine=False)
    expected = view.rgb[0].clamp(0, 1).permute(1, 2, 0).numpy() * 255
    assert shown.shape[:2] == (WINDOW["height"], WINDOW["width"])
    # About 1 from the images' compression. Half a pixel or densities off by 30% would make it 1.5 or more.
    assert np.abs(shown - expected).mean() < 1.4


@pytest.mark.parametrize("name", POSES)
def test_canvas_shows_what_the_reference_renders(opened: Opened, scene: MPI, name: str) -> None:
    assert_shows(opened, scene, POSES[name])


def test_canvas_shows_hard_planes_as_the_reference_does(browser: Browser, tmp_path: Path) -> None:
    scene = build_hard()
    export(scene, tmp_path / "hard.html")
    hard = open_scene(browser, tmp_path / "hard.html")
    for T in POSES.values():
        assert_shows(hard, scene, T)
    assert hard.messages == []
    hard.close()


def test_silhouettes_are_drawn_where_they_are_without_stairs_or_fringes(browser: Browser, tmp_path: Path) -> None:
    """Planes of 120x80, a photo of 600x400, a window of half its size: the planes' stairs would be 2.5 pixels high."""
    size, window, small = (400, 600), (200, 300), (80, 120)
    photo, surface = generate_photo(size), disparity_of_photo(size, small)
    disparity = plane_disparities(surface[None], 32)
    planes = lift_to_mpi(resize(photo, small)[None], surface[None], disparity[None])[0]
    scene = MPI.from_planes(planes, disparity, intrinsics(small, 65.0, aspect=1.5), photo, surface)
    export(scene, tmp_path / "silhouettes.html")
    opened = open_scene(browser, tmp_path / "silhouettes.html", viewport={"width": window[1], "height": window[0]})
    poses = swing(4, depth=1.0)[[1, 3]]
    targets = shift_principal_point(scene.intrinsics(window).expand(2, 3, 3), off_axis_shift(poses))
    for T, K in zip(poses.as_subclass(Tensor), targets, strict=True):
        show = "([T, K]) => mineViewer.setPose(T, K)"
        opened.page.evaluate(show, [T.flatten().tolist(), K.flatten().tolist()])
        shown = torch.from_numpy(opened.pixels()).permute(2, 0, 1).float() / 255
        assert shown.shape[1:] == window
        for shape in SHAPES:
            errors = edge_errors(shape, shown, scene.intrinsics(size), K, T, size)
            assert errors.rms < 0.5
            assert errors.step < 1
            assert errors.fringe < 0.08
    assert opened.messages == []
    opened.close()


def test_fine_stripes_are_sharp_close_up_and_vanish_from_afar(browser: Browser, tmp_path: Path) -> None:
    """Stripes of contrast 0.25, 3 photo pixels apart: bilinear samples would halve or alias them."""
    size = (320, 480)
    photo = (0.5 + 0.25 * torch.sin(2 * torch.pi * torch.arange(size[1]) / 3)).expand(3, *size)
    planes = torch.full((2, 1, *PLANES), 1e5)
    scene = MPI(
        resize(photo, PLANES).expand(2, -1, -1, -1),
        planes,
        torch.tensor([0.5, 0.1]),
        intrinsics(PLANES, 60),
        photo,
    )
    export(scene, tmp_path / "stripes.html")
    opened = open_scene(browser, tmp_path / "stripes.html")
    height, width = opened.pixels().shape[:2]
    for photo_pixels, least, most in ((0.97, 0.2, 0.28), (3.3, 0.0, 0.05)):
        focal = float(scene.intrinsics(size)[0, 0]) / photo_pixels
        K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
        show = "([T, K]) => mineViewer.setPose(T, K)"
        opened.page.evaluate(show, [torch.eye(4).flatten().tolist(), K.flatten().tolist()])
        row = opened.pixels()[height // 2 - 1, width // 4 : 3 * width // 4, 1] / 255
        assert least <= row.std() * 2**0.5 <= most
    opened.close()


def test_given_intrinsics_are_used(opened: Opened) -> None:
    K = [250.0, 0, 105, 0, 250, 70, 0, 0, 1]
    opened.page.evaluate("([T, K]) => mineViewer.setPose(T, K)", [POSES["source"].flatten().tolist(), K])
    assert opened.page.evaluate("mineViewer.view().K") == K


def test_depth_view_shows_what_is_near_brighter(opened: Opened) -> None:
    opened.page.evaluate("mineViewer.showDepth(true)")
    shown = opened.pixels().sum(-1)
    ball, sky = shown[63:77, 77:91].mean(), shown[:10].mean()
    assert ball > sky + 200


def test_depth_has_the_colours_of_the_depth_picture(opened: Opened, scene: MPI, tmp_path: Path) -> None:
    write_depth_image(scene, tmp_path / "depth.png")
    opened.page.evaluate("mineViewer.showDepth(true)")
    shown = opened.pixels()
    picture = torch.from_numpy(iio.imread(tmp_path / "depth.png")).permute(2, 0, 1).float()
    expected = resize(picture, shown.shape[:2]).permute(1, 2, 0).numpy()
    assert np.abs(shown - expected).mean() < 12  # densities of 8 bits move soft depths; another colour map is 50 off


def test_near_things_follow_a_drag_and_reset_undoes_it(opened: Opened) -> None:
    before = opened.pixels()
    opened.page.mouse.move(80, 30)
    opened.page.mouse.down()
    opened.page.mouse.move(120, 30, steps=2)
    opened.page.mouse.up()
    opened.rest()
    assert opened.pose()[3] > 0.01
    assert opened.page.locator("#hint.gone").count() == 1
    assert np.abs(opened.pixels() - before).mean() > 2
    opened.page.keyboard.press("r")
    opened.rest()
    assert np.array_equal(opened.pixels(), before)


def test_movement_stops_where_the_scene_ends(opened: Opened, scene: MPI) -> None:
    for _ in range(3):
        opened.page.mouse.move(5, 30)
        opened.page.mouse.down()
        opened.page.mouse.move(205, 30)
        opened.page.mouse.up()
    opened.rest()
    nearest = 1 / float(scene.disparity[0])
    assert 0.05 * nearest < opened.pose()[3] < 0.6 * nearest


def test_wheel_zooms(opened: Opened) -> None:
    before = opened.focal()
    opened.page.mouse.move(100, 30)
    opened.page.mouse.wheel(0, -300)
    opened.rest()
    assert opened.focal() > 1.2 * before
    assert opened.pose()[11] < 0


@pytest.mark.parametrize(("key", "entry", "sign"), [("ArrowRight", 3, -1), ("ArrowUp", 7, 1), ("w", 11, -1)])
def test_keys_move_the_camera(opened: Opened, key: str, entry: int, sign: int) -> None:
    opened.page.keyboard.down(key)
    opened.until(f"Math.abs(mineViewer.view().T[{entry}]) > 0.005")
    opened.page.keyboard.up(key)
    opened.rest()
    assert sign * opened.pose()[entry] > 0


def test_an_image_can_be_saved(opened: Opened) -> None:
    with opened.page.expect_download() as download:
        opened.page.keyboard.press("p")
    assert download.value.suggested_filename == "scene.png"
    saved = iio.imread(download.value.path(), extension=".png", mode="RGB").astype(float)
    assert np.abs(saved - opened.pixels()).max() <= 1


def test_slow_frames_lower_the_resolution_until_the_camera_rests(opened: Opened) -> None:
    width = "document.getElementById('view').width"
    opened.page.evaluate("""() => {
      let late = 0;
      window.onTime = requestAnimationFrame;
      window.requestAnimationFrame = (callback) => onTime((now) => callback(now + (late += 30)));
    }""")
    opened.page.keyboard.down("d")
    opened.until(f"{width} < {0.4 * WINDOW['width']}")
    opened.page.keyboard.up("d")
    opened.until(f"{width} > {0.45 * WINDOW['width']}")  # the resolution that renders in a second
    opened.page.evaluate("window.requestAnimationFrame = onTime; null")
    assert opened.page.locator("#view").bounding_box()["width"] == WINDOW["width"]


def test_full_screen_and_back(opened: Opened) -> None:
    for on in ("true", "false"):
        opened.page.keyboard.press("f")
        opened.until(f"(document.fullscreenElement !== null) === {on}")
        opened.until(f"document.getElementById('full').ariaPressed === '{on}'")


def test_buttons_are_named(opened: Opened) -> None:
    buttons = opened.page.get_by_role("button").all()
    assert len(buttons) >= 4
    assert all(button.get_attribute("aria-label") for button in buttons)


def test_page_requests_nothing_and_logs_no_errors(opened: Opened, page_file: Path) -> None:
    assert set(url for url in opened.requests if not url.startswith("blob:")) == {page_file.as_uri()}
    assert opened.messages == []


def test_the_page_has_a_title_and_no_tags_that_cannot_work(opened: Opened) -> None:
    """A share picture must have an address of its own, which one file has not."""
    assert opened.page.title() == "scene"
    assert opened.page.locator("meta[property^='og:'], meta[name^='twitter:']").count() == 0


def test_scene_moves_by_itself_until_touched(browser: Browser, page_file: Path) -> None:
    moving = open_scene(browser, page_file, reduced_motion="no-preference")
    moving.until("Math.abs(mineViewer.view().T[3]) > 0.005")
    moving.page.mouse.click(100, 30)
    moving.rest()
    moving.close()


@pytest.fixture(scope="module")
def phone(browser: Browser, page_file: Path) -> Iterator[Opened]:
    phone = open_scene(browser, page_file, viewport={"width": 130, "height": 280}, has_touch=True, is_mobile=True)
    yield phone
    phone.close()


def test_phone_shows_the_whole_photo(phone: Opened) -> None:
    box = phone.page.locator("#view").bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, 130)
    assert box["width"] / box["height"] == pytest.approx(PLANES[1] / PLANES[0], rel=0.02)


def test_one_finger_moves_and_two_zoom(phone: Opened) -> None:
    fingers = phone.page.context.new_cdp_session(phone.page)

    def slide(*tracks: list[tuple[int, int]]) -> None:
        """Moves each finger along its points."""
        for number, points in enumerate(zip(*tracks, strict=True)):
            touch = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(points)]
            kind = "touchMove" if number else "touchStart"
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touch})
        fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        phone.rest()

    slide([(50, 140), (70, 140), (90, 140)])
    moved, focal = phone.pose()[3], phone.focal()
    assert moved > 0.01
    slide([(60, 140), (50, 140), (30, 140)], [(70, 140), (80, 140), (100, 140)])
    assert phone.focal() > 1.5 * focal


def tilt(phone: Opened, beta: float, gamma: float) -> None:
    """The phone is held at these angles."""
    event = f"new DeviceOrientationEvent('deviceorientation', {{ beta: {beta}, gamma: {gamma} }})"
    phone.page.evaluate(f"void dispatchEvent({event})")


def test_tilting_the_phone_moves_the_camera(phone: Opened) -> None:
    phone.page.keyboard.press("r")
    phone.rest()
    phone.page.locator("#tilt").focus()  # so that the toolbar stays, however slow the machine is
    phone.page.locator("#tilt").tap()
    phone.until("document.getElementById('tilt').ariaPressed === 'true'")
    for beta, gamma, entry in ((40, 9, 3), (49, 0, 7)):
        phone.page.keyboard.press("r")  # what comes next is the tilt at rest
        tilt(phone, 40, 0)
        tilt(phone, beta, gamma)
        phone.rest()
        assert phone.pose()[entry] > 0.01
        assert abs(phone.pose()[10 - entry]) < 0.1 * phone.pose()[entry]


def test_an_upright_phone_is_tilted_as_gravity_says_and_playing_ends_it(phone: Opened) -> None:
    """Held upright, it may report angles that are far apart for directions that are all but the same."""
    phone.page.keyboard.press("r")
    tilt(phone, 89, 89)
    tilt(phone, 91, -89)
    phone.rest()
    assert phone.pose()[3::4][:2] == pytest.approx([0, 0], abs=1e-3)
    phone.page.evaluate("mineViewer.play('zoom', { seconds: 1000 }), null")
    assert phone.page.locator("#tilt").get_attribute("aria-pressed") == "false"
    tilt(phone, 40, 30)
    phone.until("mineViewer.view().T[11] !== 0")  # it still plays
    phone.page.evaluate("mineViewer.stop()")
    phone.rest()
    assert phone.pose()[3] == 0


def test_a_tap_where_the_toolbar_hides_only_shows_it(phone: Opened) -> None:
    page, box = phone.page, phone.page.locator("#depth").bounding_box()
    assert box is not None
    page.evaluate("document.activeElement.blur()")
    page.locator("body.idle").wait_for()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.locator("body:not(.idle)").wait_for()
    page.locator("body:not(.waking)").wait_for()
    assert page.locator("#depth").get_attribute("aria-pressed") == "false"
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    phone.until("document.getElementById('depth').ariaPressed === 'true'")


def test_page_without_a_scene_says_so(browser: Browser, page_file: Path, tmp_path: Path) -> None:
    page = page_file.read_text()
    start = page.index(SCENE_SLOT) + len(SCENE_SLOT)
    (tmp_path / "empty.html").write_text(page[:start] + page[page.index("</script>", start) :])
    empty = open_scene(browser, tmp_path / "empty.html", ready=False)
    empty.page.get_by_text("holds no scene").wait_for()
    empty.close()
