"""Buildings that are more than a box: wings and middle parts that stand out, hipped roofs, dormers, ledges."""

import numpy as np

from mine.data.synthetic.outdoors import View, house, roof_corners, scatter, standing
from mine.data.synthetic.shapes import Array
from mine.data.synthetic.sky import outdoor_light
from mine.data.synthetic.world import UP, World, turned


def mansion(world: World) -> View:
    """A large building across its lawn or square, from in front or obliquely, perhaps under the branches of a tree."""
    rng = world.rng
    outdoor_light(world)
    world.ground(world.texture("ground"), rng.uniform(1, 5))
    half = np.array([rng.uniform(8, 25), rng.uniform(3, 8), rng.uniform(4, 8)])
    distance, turn = rng.uniform(0.8, 2.2) * half[0], rng.normal(0, 0.5)
    place = np.array([rng.normal(0, 0.3) * half[0], 0, distance])
    rotation = turned(turn)
    _parts(world, place, rotation, half)
    _lawn(world, place, rotation, half, distance)
    look = turned(rng.normal(0, 0.12), rng.uniform(0, 0.2))
    view = View(np.array([0, -rng.uniform(1.2, 3), 0]), look, rng.uniform(40, 75))
    for _ in range(int(rng.integers(0, 10))):
        standing(world, scatter(rng, view, 3, distance))
    for _ in range(int(rng.integers(0, 4))):
        back = rotation @ np.array([rng.normal(0, 2) * half[0], 0, rng.uniform(2, 6) * half[2]])
        house(world, place + back, turn + rng.choice([0, np.pi / 2]))
    if rng.random() < 0.35:
        _branches(world, view)
    return view


def _parts(world: World, place: Array, rotation: Array, half: Array) -> None:
    """The body, whose front is at `place`, and parts that stand out from it, on both sides alike."""
    rng = world.rng
    walls = world.texture("bay"), world.texture("wall"), world.texture("wall")
    tile = (rng.uniform(1.8, 4), rng.uniform(2.8, 4.5))
    roofed = rng.random() < 0.8
    _part(world, place + rotation @ np.array([0, 0, half[2]]), rotation, half, walls, tile, roofed)
    for at in rng.permutation([0.0, 0.4, 0.85])[: int(rng.integers(1, 4))]:
        size = half * [rng.uniform(0.08, 0.22), rng.uniform(0.8, 1.3), 1.0]
        out = rng.uniform(0.3, 6)
        for side in (-1, 1) if at else (1,):
            size[2] = half[2]
            offset = np.array([side * at * half[0], 0, half[2] - out])
            _part(world, place + rotation @ offset, rotation, size, walls, tile, roofed)
    for level in range(1, int(rng.integers(1, 4))):
        band = np.array([half[0] * 1.01, rng.uniform(0.1, 0.25), 0.3])
        world.box(place + UP * 2 * half[1] * level / 3, band, rotation, [walls[1]] * 6, rng.uniform(1, 3))
    for _ in range(int(rng.integers(0, 8))):
        top = rotation @ np.array([rng.uniform(-0.9, 0.9) * half[0], -2 * half[1], rng.uniform(0.2, 1.2) * half[2]])
        dormer = np.array([rng.uniform(0.4, 0.9), rng.uniform(0.8, 0.5 * half[1]), rng.uniform(0.4, 1.5)])
        world.box(place + top - [0, dormer[1] * 0.8, 0], dormer, rotation, [walls[int(rng.integers(2))]] * 6, None)


def _part(
    world: World,
    center: Array,
    rotation: Array,
    half: Array,
    walls: tuple[int, int, int],
    tile: tuple[float, float],
    roofed: bool,
) -> None:
    front, wall, roof = walls
    world.box(center - [0, half[1], 0], half, rotation, [front] * 6, tile)
    if roofed:
        hipped(world, center - [0, 2 * half[1], 0], half * [1.04, 1, 1.04], rotation, roof)
    else:
        edge = np.array([half[0] * 1.02, world.rng.uniform(0.2, 0.8), half[2] * 1.02])
        world.box(center - [0, 2 * half[1], 0], edge, rotation, [wall] * 6, 2.0)


def hipped(world: World, foot: Array, half: Array, rotation: Array, roof: int) -> None:
    """A roof that rises from all four sides of the rectangle with half sizes half[0] and half[2] at `foot`."""
    rng = world.rng
    pitch = rng.uniform(0.6, 1.6)
    rise = min(pitch * min(half[0], half[2]), 1.5 * half[1])
    normals = np.array([[pitch, -1, 0], [-pitch, -1, 0], [0, -1, pitch], [0, -1, -pitch], [0, -1, 0], [0, 1, 0]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    edges = np.array([[half[0], 0, 0], [-half[0], 0, 0], [0, 0, half[2]], [0, 0, -half[2]], [0, -rise, 0], [0, 0, 0]])
    offsets = (normals * edges).sum(1)
    turned_normals = normals @ rotation.T
    corners = roof_corners(foot, half, rise, rotation)
    world.convex(turned_normals, offsets + turned_normals @ foot, corners, [roof] * 6, rng.uniform(1.5, 5))


def _lawn(world: World, place: Array, rotation: Array, half: Array, distance: float) -> None:
    """Flat beds, paths and hedges before the building."""
    rng = world.rng
    for _ in range(int(rng.integers(0, 5))):
        size = np.array(
            [rng.uniform(0.1, 1) * half[0], rng.choice([0.01, 0.02, 0.5]), rng.uniform(0.05, 0.4) * distance]
        )
        if size[1] > 0.1:  # a hedge is as narrow as a lawn is wide
            size[2] = min(size[2], 0.6)
        before = rotation @ np.array([rng.normal(0, 0.6) * half[0], 0, -rng.uniform(0.2, 0.8) * distance])
        world.box(place + before - [0, size[1], 0], size, rotation, [world.texture("ground")] * 6, rng.uniform(1, 4))


def _branches(world: World, view: View) -> None:
    """Leaves that hang into the picture from one of its upper corners."""
    rng = world.rng
    leaves = [world.cutout(role) for role in ("leaf", "leaf", "plant")]
    side = rng.choice([-1, 1])
    far = rng.uniform(2, 7)
    for _ in range(int(rng.integers(30, 90))):
        z = far * rng.uniform(0.8, 1.3)
        x, y = side * rng.uniform(0.2, 0.9) * z, -rng.uniform(0.15, 0.8) * z
        half = far * rng.uniform(0.02, 0.06)
        spot = view.origin + view.rotation @ np.array([x, y, z])
        world.card(spot, (half, half), turned(*rng.normal(0, [0.6, 0.6, 1.5])), leaves[rng.integers(3)])
    trunk = np.array([rng.uniform(0.02, 0.08) * far, 3.0, 0])
    foot = view.origin + view.rotation @ np.array([side * rng.uniform(0.7, 1.1) * far, 0, far])
    world.cylinder(foot * [1, 0, 1] + 3 * UP, trunk, np.eye(3), world.texture("wall"), 0.1)
