"""Indoor scenes: rooms, objects on tables and floors, and portraits."""

import numpy as np

from mine.data.synthetic.outdoors import Viewpoint, weighted_choice, yard
from mine.data.synthetic.scene import UP, Scene, euler
from mine.data.synthetic.shapes import Array
from mine.data.synthetic.sky import indoor_light


def room(scene: Scene) -> Viewpoint:
    """A room with furniture along its walls and some in the middle."""
    rng = scene.rng
    indoor_light(scene)
    half = np.array([rng.uniform(1.5, 4), rng.uniform(1.2, 1.7), rng.uniform(2, 5)])
    _add_walls(scene, half)
    for _ in range(int(rng.integers(4, 12))):
        _add_furniture(scene, half)
    for _ in range(int(rng.integers(0, 5))):
        _add_wall_picture(scene, half)
    eye = np.array([rng.uniform(-0.7, 0.7) * half[0], -rng.uniform(1.0, 1.7), rng.uniform(-0.9, -0.4) * half[2]])
    look = euler(rng.normal(0, 0.4) - 0.3 * eye[0] / half[0], rng.normal(-0.15, 0.15), rng.normal(0, 0.02))
    return Viewpoint(eye, look, rng.uniform(50, 85))


def _add_walls(scene: Scene, half: Array) -> None:
    wall = scene.texture("wall", 2)
    faces = [wall, wall, scene.texture("floor"), scene.texture("wall"), scene.texture("wall", 2), wall]
    center = np.array([0, -half[1], 0])
    scene.add_box(center, half, np.eye(3), faces, scene.rng.uniform(0.8, 2.5), inside=True)


def _add_furniture(scene: Scene, half: Array) -> None:
    """Adds a box, cylinder or figure on the floor, in most cases against a wall, perhaps with objects on it."""
    rng = scene.rng
    size = np.array([rng.uniform(0.2, 0.8), rng.uniform(0.2, 1.0), rng.uniform(0.15, 0.5)])
    yaw, position = _furniture_pose(rng, half, size)
    rotation = euler(yaw)
    kind = rng.random()
    if kind < 0.12:
        scene.add_billboard(position + 0.85 * UP, (0.4, 0.85), euler(rng.normal(0, 0.5)), scene.cutout("figure"))
        return
    if kind < 0.25:
        scene.add_cylinder(position + size[1] * UP, np.array([size[2], size[1], 0]), rotation, scene.texture("object"))
    else:
        texture = scene.texture("object")
        whole = rng.random() < 0.5
        scene.add_box(position + size[1] * UP, size, rotation, [texture] * 6, None if whole else rng.uniform(0.4, 1.5))
    for _ in range(int(rng.integers(0, 3))):
        spot = rotation @ np.array([rng.uniform(-0.6, 0.6) * size[0], 0, rng.uniform(-0.5, 0.5) * size[2]])
        add_object(scene, position + spot - [0, 2 * size[1], 0], rng.uniform(0.06, 0.2))


def _furniture_pose(rng: np.random.Generator, half: Array, size: Array) -> tuple[float, Array]:
    side = rng.integers(4)
    if side == 0:
        return 0.0, np.array([rng.uniform(-1, 1) * half[0] * 0.9, 0, half[2] - size[2] - 0.02])
    if side in (1, 2):
        sign = 1 if side == 1 else -1
        return np.pi / 2, np.array([sign * (half[0] - size[2] - 0.02), 0, rng.uniform(-0.4, 0.9) * half[2]])
    return rng.uniform(-np.pi, np.pi), np.array([rng.uniform(-0.7, 0.7) * half[0], 0, rng.uniform(-0.1, 0.8) * half[2]])


def _add_wall_picture(scene: Scene, half: Array) -> None:
    """Adds a picture (or window, or door) on the far wall or a side wall."""
    rng = scene.rng
    size = np.array([rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.6), 0.02])
    height = -rng.uniform(1.2, 1.7) * half[1]
    texture = scene.texture("photo")
    if rng.random() < 0.5:
        center, yaw = np.array([rng.uniform(-0.8, 0.8) * half[0], height, half[2] - 0.02]), 0.0
    else:
        sign = rng.choice([-1, 1])
        center, yaw = np.array([sign * (half[0] - 0.02), height, rng.uniform(-0.3, 0.8) * half[2]]), np.pi / 2
    scene.add_box(center, size, euler(yaw), [texture] * 6, None)


def table(scene: Scene) -> Viewpoint:
    """Objects on a table or the floor, seen from above at 20 to 60 degrees."""
    rng = scene.rng
    indoor_light(scene)
    if rng.random() < 0.5:
        half = np.array([rng.uniform(1.5, 4), rng.uniform(1.2, 1.5), rng.uniform(2, 4)])
        height = rng.uniform(0.6, 0.9)
        scene.add_box(
            np.array([0, height - half[1], half[2] * 0.6]),
            half,
            np.eye(3),
            [scene.texture("wall"), scene.texture("wall"), scene.texture("floor"), *[scene.texture("wall")] * 3],
            rng.uniform(0.8, 2),
            inside=True,
        )
        top = np.array([rng.uniform(0.5, 1.2), 0.02, rng.uniform(0.35, 0.7)])
        scene.add_box(
            np.array([0, 0.02, 0]),
            top,
            euler(rng.normal(0, 0.3)),
            [scene.texture("floor")] * 6,
            rng.uniform(0.5, 1.5),
        )
    else:
        scene.add_ground(scene.texture(weighted_choice(rng, {"floor": 3, "ground": 1})), rng.uniform(0.5, 2))
    for _ in range(int(rng.integers(2, 12))):
        spot = np.array([rng.normal(0, 0.25), 0, rng.normal(0, 0.2)])
        add_object(scene, spot, rng.uniform(0.04, 0.16))
    pitch, far = -np.radians(rng.uniform(18, 60)), rng.uniform(0.7, 1.5)
    look = euler(rng.normal(0, 0.15), pitch, rng.normal(0, 0.03))
    return Viewpoint(look @ np.array([rng.normal(0, 0.05), 0.03, -far]) - [0, 0.08, 0], look, rng.uniform(40, 70))


def portrait(scene: Scene) -> Viewpoint:
    """One large object or figure close to the camera, before a room or a garden."""
    rng = scene.rng
    view = room(scene) if rng.random() < 0.5 else yard(scene)
    far = rng.uniform(0.5, 1.4)
    size = rng.uniform(0.12, 0.35) * far
    ahead = view.rotation @ np.array([rng.normal(0, 0.15) * far, 0, far])
    foot = view.origin + ahead + size * rng.uniform(0.8, 1.8) * -UP
    stand = np.array([size * rng.uniform(1.0, 2.5), -foot[1] / 2, size * rng.uniform(1.0, 2.0)])
    if stand[1] > 0.05:  # it stands on a pedestal, a trunk, a chair
        scene.add_box(foot - stand[1] * UP, stand, euler(rng.normal(0, 0.6)), [scene.texture("object")] * 6, None)
    for _ in range(int(rng.integers(1, 4))):
        add_object(
            scene, foot + np.array([rng.normal(0, 0.5), 0, rng.normal(0, 0.3)]) * size, size * rng.uniform(0.4, 1)
        )
    add_lump(scene, foot, size, scene.texture("photo"))
    return view


def add_object(scene: Scene, foot: Array, size: float) -> None:
    """Adds an object at `foot`, about 2 `size` wide: box, ball, lump, bottle, book or cut-out."""
    rng = scene.rng
    rotation = euler(rng.uniform(-np.pi, np.pi))
    half = size * rng.uniform(0.5, 1.3, 3)
    kind = weighted_choice(rng, {"box": 3, "ball": 2, "lump": 2, "bottle": 2, "book": 1, "card": 2})
    texture = scene.texture(weighted_choice(rng, {"object": 3, "photo": 2}), 5)
    if kind == "box":
        scene.add_box(foot + UP * half[1], half, rotation, [texture] * 6, None)
    elif kind == "book":
        flat = half * [1.2, 0.2, 0.9]
        scene.add_box(foot + UP * flat[1], flat, rotation, [texture] * 6, None)
    elif kind == "ball":
        scene.add_ellipsoid(foot + UP * half[1], half, rotation, texture)
    elif kind == "lump":
        add_lump(scene, foot, size, texture)
    elif kind == "bottle":
        body = half * [0.5, 1.2, 0.5]
        scene.add_cylinder(foot + UP * body[1], body, rotation, texture, rng.choice([0.0, rng.uniform(-0.3, 0.5)]))
        if rng.random() < 0.6:
            neck = body * [0.4, 0.35, 0.4]
            scene.add_cylinder(foot + UP * (2 * body[1] + neck[1]), neck, rotation, texture)
    else:
        texture = scene.cutout("thing")
        wide, high = scene.images[texture].shape[2], scene.images[texture].shape[1]
        scene.add_billboard(foot + UP * size, (size * wide / high, size), euler(rng.normal(0, 0.5)), texture)


def add_lump(scene: Scene, foot: Array, size: float, texture: int) -> None:
    """Adds overlapping ellipsoids at `foot`, as toys, fruit and stones are."""
    rng = scene.rng
    top = 0.0
    for index in range(int(rng.integers(2, 6))):
        half = size * rng.uniform(0.35, 0.8, 3)
        height = half[1] if index == 0 else min(top, rng.uniform(0.4, 2.2) * size)
        spread = 0.0 if index == 0 else 0.5 * size
        center = foot + np.array([rng.normal(0, 1) * spread, -max(height, half[1]), rng.normal(0, 1) * spread])
        scene.add_ellipsoid(center, half, euler(*rng.uniform(-0.5, 0.5, 3)) if index else np.eye(3), texture)
        top = max(top, max(height, half[1]) + half[1])
