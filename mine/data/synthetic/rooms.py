"""Rooms seen from inside, and things on tables and floors seen from above."""

import numpy as np

from mine.data.synthetic.outdoors import View, choose, yard
from mine.data.synthetic.shapes import Array
from mine.data.synthetic.sky import indoor_light
from mine.data.synthetic.world import UP, World, turned


def room(world: World) -> View:
    """A room with furniture along its walls and some in the middle."""
    rng = world.rng
    indoor_light(world)
    half = np.array([rng.uniform(1.5, 4), rng.uniform(1.2, 1.7), rng.uniform(2, 5)])
    _walls(world, half)
    for _ in range(int(rng.integers(4, 12))):
        _furniture(world, half)
    for _ in range(int(rng.integers(0, 5))):
        _picture(world, half)
    eye = np.array([rng.uniform(-0.7, 0.7) * half[0], -rng.uniform(1.0, 1.7), rng.uniform(-0.9, -0.4) * half[2]])
    look = turned(rng.normal(0, 0.4) - 0.3 * eye[0] / half[0], rng.normal(-0.15, 0.15), rng.normal(0, 0.02))
    return View(eye, look, rng.uniform(50, 85))


def _walls(world: World, half: Array) -> None:
    wall = world.texture("wall", 2)
    faces = [wall, wall, world.texture("floor"), world.texture("wall"), world.texture("wall", 2), wall]
    center = np.array([0, -half[1], 0])
    world.box(center, half, np.eye(3), faces, world.rng.uniform(0.8, 2.5), inside=True)


def _furniture(world: World, half: Array) -> None:
    """A box, cylinder or figure standing on the floor, mostly against a wall, maybe with things on it."""
    rng = world.rng
    size = np.array([rng.uniform(0.2, 0.8), rng.uniform(0.2, 1.0), rng.uniform(0.15, 0.5)])
    yaw, place = _place(rng, half, size)
    rotation = turned(yaw)
    kind = rng.random()
    if kind < 0.12:
        world.card(place + 0.85 * UP, (0.4, 0.85), turned(rng.normal(0, 0.5)), world.cutout("figure"))
        return
    if kind < 0.25:
        world.cylinder(place + size[1] * UP, np.array([size[2], size[1], 0]), rotation, world.texture("object"))
    else:
        texture = world.texture("object")
        whole = rng.random() < 0.5
        world.box(place + size[1] * UP, size, rotation, [texture] * 6, None if whole else rng.uniform(0.4, 1.5))
    for _ in range(int(rng.integers(0, 3))):
        spot = rotation @ np.array([rng.uniform(-0.6, 0.6) * size[0], 0, rng.uniform(-0.5, 0.5) * size[2]])
        thing(world, place + spot - [0, 2 * size[1], 0], rng.uniform(0.06, 0.2))


def _place(rng: np.random.Generator, half: Array, size: Array) -> tuple[float, Array]:
    side = rng.integers(4)
    if side == 0:
        return 0.0, np.array([rng.uniform(-1, 1) * half[0] * 0.9, 0, half[2] - size[2] - 0.02])
    if side in (1, 2):
        sign = 1 if side == 1 else -1
        return np.pi / 2, np.array([sign * (half[0] - size[2] - 0.02), 0, rng.uniform(-0.4, 0.9) * half[2]])
    return rng.uniform(-np.pi, np.pi), np.array([rng.uniform(-0.7, 0.7) * half[0], 0, rng.uniform(-0.1, 0.8) * half[2]])


def _picture(world: World, half: Array) -> None:
    """A picture (or window, or door) on the far or a side wall."""
    rng = world.rng
    size = np.array([rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.6), 0.02])
    height = -rng.uniform(1.2, 1.7) * half[1]
    texture = world.texture("photo")
    if rng.random() < 0.5:
        center, yaw = np.array([rng.uniform(-0.8, 0.8) * half[0], height, half[2] - 0.02]), 0.0
    else:
        sign = rng.choice([-1, 1])
        center, yaw = np.array([sign * (half[0] - 0.02), height, rng.uniform(-0.3, 0.8) * half[2]]), np.pi / 2
    world.box(center, size, turned(yaw), [texture] * 6, None)


def table(world: World) -> View:
    """Several things on a table or the floor, seen from above at 20 to 60 degrees."""
    rng = world.rng
    indoor_light(world)
    if rng.random() < 0.5:
        half = np.array([rng.uniform(1.5, 4), rng.uniform(1.2, 1.5), rng.uniform(2, 4)])
        height = rng.uniform(0.6, 0.9)
        world.box(
            np.array([0, height - half[1], half[2] * 0.6]),
            half,
            np.eye(3),
            [world.texture("wall"), world.texture("wall"), world.texture("floor"), *[world.texture("wall")] * 3],
            rng.uniform(0.8, 2),
            inside=True,
        )
        top = np.array([rng.uniform(0.5, 1.2), 0.02, rng.uniform(0.35, 0.7)])
        world.box(
            np.array([0, 0.02, 0]), top, turned(rng.normal(0, 0.3)), [world.texture("floor")] * 6, rng.uniform(0.5, 1.5)
        )
    else:
        world.ground(world.texture(choose(rng, {"floor": 3, "ground": 1})), rng.uniform(0.5, 2))
    for _ in range(int(rng.integers(2, 12))):
        spot = np.array([rng.normal(0, 0.25), 0, rng.normal(0, 0.2)])
        thing(world, spot, rng.uniform(0.04, 0.16))
    pitch, far = -np.radians(rng.uniform(18, 60)), rng.uniform(0.7, 1.5)
    look = turned(rng.normal(0, 0.15), pitch, rng.normal(0, 0.03))
    return View(look @ np.array([rng.normal(0, 0.05), 0.03, -far]) - [0, 0.08, 0], look, rng.uniform(40, 70))


def portrait(world: World) -> View:
    """One large object or figure close to the camera, before a room or a garden."""
    rng = world.rng
    view = room(world) if rng.random() < 0.5 else yard(world)
    far = rng.uniform(0.5, 1.4)
    size = rng.uniform(0.12, 0.35) * far
    ahead = view.rotation @ np.array([rng.normal(0, 0.15) * far, 0, far])
    foot = view.origin + ahead + size * rng.uniform(0.8, 1.8) * -UP
    stand = np.array([size * rng.uniform(1.0, 2.5), -foot[1] / 2, size * rng.uniform(1.0, 2.0)])
    if stand[1] > 0.05:  # it stands on a pedestal, a trunk, a chair
        world.box(foot - stand[1] * UP, stand, turned(rng.normal(0, 0.6)), [world.texture("object")] * 6, None)
    for _ in range(int(rng.integers(1, 4))):
        thing(world, foot + np.array([rng.normal(0, 0.5), 0, rng.normal(0, 0.3)]) * size, size * rng.uniform(0.4, 1))
    lump(world, foot, size, world.texture("photo"))
    return view


def thing(world: World, foot: Array, size: float) -> None:
    """A small object standing at `foot`, about 2 `size` wide: box, ball, lump, bottle, book, cut-out."""
    rng = world.rng
    rotation = turned(rng.uniform(-np.pi, np.pi))
    half = size * rng.uniform(0.5, 1.3, 3)
    kind = choose(rng, {"box": 3, "ball": 2, "lump": 2, "bottle": 2, "book": 1, "card": 2})
    texture = world.texture(choose(rng, {"object": 3, "photo": 2}), 5)
    if kind == "box":
        world.box(foot + UP * half[1], half, rotation, [texture] * 6, None)
    elif kind == "book":
        flat = half * [1.2, 0.2, 0.9]
        world.box(foot + UP * flat[1], flat, rotation, [texture] * 6, None)
    elif kind == "ball":
        world.ellipsoid(foot + UP * half[1], half, rotation, texture)
    elif kind == "lump":
        lump(world, foot, size, texture)
    elif kind == "bottle":
        body = half * [0.5, 1.2, 0.5]
        world.cylinder(foot + UP * body[1], body, rotation, texture, rng.choice([0.0, rng.uniform(-0.3, 0.5)]))
        if rng.random() < 0.6:
            neck = body * [0.4, 0.35, 0.4]
            world.cylinder(foot + UP * (2 * body[1] + neck[1]), neck, rotation, texture)
    else:
        texture = world.cutout("thing")
        wide, high = world.images[texture].shape[2], world.images[texture].shape[1]
        world.card(foot + UP * size, (size * wide / high, size), turned(rng.normal(0, 0.5)), texture)


def lump(world: World, foot: Array, size: float, texture: int) -> None:
    """Overlapping ellipsoids: toys, fruit, statues, stones."""
    rng = world.rng
    top = 0.0
    for index in range(int(rng.integers(2, 6))):
        half = size * rng.uniform(0.35, 0.8, 3)
        height = half[1] if index == 0 else min(top, rng.uniform(0.4, 2.2) * size)
        spread = 0.0 if index == 0 else 0.5 * size
        center = foot + np.array([rng.normal(0, 1) * spread, -max(height, half[1]), rng.normal(0, 1) * spread])
        world.ellipsoid(center, half, turned(*rng.uniform(-0.5, 0.5, 3)) if index else np.eye(3), texture)
        top = max(top, max(height, half[1]) + half[1])
