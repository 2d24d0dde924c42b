"""Scenes with one subject that fills much of the image: a trunk, a rock, a statue or a shrub."""

import numpy as np

from mine.data.synthetic.outdoors import Viewpoint, street, weighted_choice, yard
from mine.data.synthetic.rooms import room, table
from mine.data.synthetic.scene import UP, Scene, cross, euler
from mine.data.synthetic.shapes import Array


def subject(scene: Scene) -> Viewpoint:
    """A rough trunk or rock, a statue or a bush, a step or two away."""
    rng = scene.rng
    kind = weighted_choice(rng, {"trunk": 2, "rock": 2, "statue": 3, "shrub": 2})
    backgrounds = {"yard": 4, "street": 1} | ({"room": 1, "table": 1} if kind == "statue" else {})
    view = {"yard": yard, "street": street, "room": room, "table": table}[weighted_choice(rng, backgrounds)](scene)
    far = rng.uniform(0.8, 3) if kind != "statue" else rng.uniform(1, 6)
    view.rotation = euler(rng.normal(0, 0.3), rng.normal(0, 0.15), rng.normal(0, 0.03))
    middle = view.origin + view.rotation @ np.array([rng.normal(0, 0.2) * far, rng.normal(0, 0.1) * far, far])
    {"trunk": _add_trunk, "rock": _add_rock, "statue": add_statue, "shrub": _add_shrub}[kind](scene, middle, far)
    return view


def _add_trunk(scene: Scene, middle: Array, far: float) -> None:
    """Adds a thick trunk with bulges and roots."""
    rng = scene.rng
    radius = far * rng.uniform(0.15, 0.45)
    bark = scene.texture("wall")
    axis = euler(rng.uniform(-np.pi, np.pi), *rng.normal(0, 0.08, 2))
    tall = np.array([radius, 4 * far, 0])
    middle = middle + np.array([0, 0, radius])
    scene.add_cylinder(middle, tall, axis, bark, rng.uniform(0, 0.1), rng.uniform(1, 3))
    _add_bulges(scene, middle, radius, 2.5 * far, bark)
    foot = min(0.0, middle[1] + far)
    for _ in range(int(rng.integers(0, 6))):
        turn = rng.uniform(-np.pi, np.pi)
        root = np.array(
            [radius * rng.uniform(0.2, 0.4), radius * rng.uniform(0.2, 0.5), radius * rng.uniform(0.6, 1.2)]
        )
        reach = euler(turn)
        scene.add_ellipsoid(np.array([middle[0], foot, middle[2]]) + reach[:, 2] * radius, root, reach, bark)


def _add_bulges(scene: Scene, middle: Array, radius: float, tall: float, texture: int) -> None:
    rng = scene.rng
    for _ in range(int(rng.integers(10, 90))):
        turn = rng.uniform(np.pi / 2, 3 * np.pi / 2)  # toward the camera
        half = radius * rng.uniform(0.05, 0.35) * rng.uniform(0.5, 1.5, 3)
        out = radius * rng.uniform(0.75, 1.0)
        spot = middle + np.array([np.sin(turn) * out, rng.uniform(-0.5, 0.5) * tall, np.cos(turn) * out])
        scene.add_ellipsoid(
            spot, half, euler(turn, rng.normal(0, 0.4), rng.normal(0, 0.5)), texture, rng.uniform(0.5, 2)
        )


def _add_rock(scene: Scene, middle: Array, far: float) -> None:
    """Adds overlapping, tilted boulders."""
    rng = scene.rng
    texture = scene.texture(weighted_choice(rng, {"ground": 1, "wall": 2}))
    for _ in range(int(rng.integers(3, 25))):
        half = far * rng.uniform(0.08, 0.4) * rng.uniform(0.4, 1.2, 3)
        spot = middle + rng.normal(0, [0.35, 0.3, 0.3]) * far + [0, 0, 0.3 * far]
        if rng.random() < 0.35:
            scene.add_box(
                spot,
                half,
                euler(*rng.normal(0, [2, 0.4, 0.4])),
                [texture] * 6,
                float(far * rng.uniform(0.2, 0.8)),
            )
        else:
            scene.add_ellipsoid(spot, half, euler(*rng.normal(0, [2, 0.4, 0.4])), texture, rng.uniform(0.5, 2))


def add_statue(scene: Scene, middle: Array, far: float) -> None:
    """Adds a figure of one material with head, limbs or robe, on a pedestal."""
    rng = scene.rng
    stuff = scene.texture(weighted_choice(rng, {"wall": 3, "photo": 1, "object": 1}))
    size = far * rng.uniform(0.15, 0.35)  # half its height
    turn = euler(rng.uniform(-np.pi, np.pi))
    top = middle + 0.4 * size * UP

    def limb(start: Array, end: Array, radius: float, taper: float = 0.0) -> None:
        way = (end - start) * size
        long = float(np.linalg.norm(way))
        down = way / long
        side = cross(down, np.array([0.3, 0.2, 1.0]))
        side /= np.linalg.norm(side)
        axes = turn @ np.stack([side, down, cross(side, down)], axis=1)
        scene.add_cylinder(
            top + turn @ (start * size + way / 2), np.array([radius * size, long / 2, 0]), axes, stuff, taper
        )
        scene.add_ellipsoid(top + turn @ (end * size), np.full(3, radius * size * (1 + taper)), axes, stuff)

    def part(at: tuple[float, float, float], half: Array) -> None:
        scene.add_ellipsoid(top + turn @ (np.array(at) * size), half * size, turn, stuff)

    part((0, -0.75, 0), rng.uniform(0.1, 0.16, 3))
    part((0, -0.35, 0), np.array([rng.uniform(0.2, 0.3), 0.32, rng.uniform(0.14, 0.22)]))
    if rng.random() < 0.5:
        limb(np.array([0, -0.35, 0]), np.array([0, 1.0, 0]), 0.22, rng.uniform(0.1, 0.4))
    else:
        for sign in (-1, 1):
            limb(np.array([sign * 0.1, 0, 0]), np.array([sign * rng.uniform(0.08, 0.3), 1.0, rng.normal(0, 0.2)]), 0.09)
    for sign in (-1, 1):
        elbow = np.array([sign * rng.uniform(0.28, 0.5), rng.uniform(-0.5, 0.0), rng.normal(0, 0.15)])
        limb(np.array([sign * 0.22, -0.5, 0]), elbow, 0.07)
        limb(elbow, elbow + rng.normal(0, 0.25, 3), 0.06)
    _add_pedestal(scene, top + size * np.array([0, 1.0, 0]), size)


def _add_pedestal(scene: Scene, foot: Array, size: float) -> None:
    """Adds a pedestal of blocks, each wider than the one above, down to the ground."""
    rng = scene.rng
    texture = scene.texture("wall")
    turn = euler(rng.uniform(-np.pi, np.pi))
    wide, height = 0.45 * size, foot[1]
    for _ in range(6):
        if height > -0.02:
            break
        tall = min(size * rng.uniform(0.08, 1.2), -height)
        half = np.array([wide, tall / 2, wide * rng.uniform(0.8, 1.2)])
        center = np.array([foot[0], height + tall / 2, foot[2]])
        if rng.random() < 0.2:
            scene.add_cylinder(center, half, turn, texture)
        else:
            scene.add_box(center, half, turn, [texture] * 6, float(rng.uniform(0.5, 2) * size))
        wide, height = wide * rng.uniform(1.0, 1.4), height + tall


def _add_shrub(scene: Scene, middle: Array, far: float) -> None:
    """Adds stems with leaves at all depths."""
    rng = scene.rng
    kinds = [scene.cutout(role) for role in ("leaf", "leaf", "plant")]
    stems = int(rng.integers(3, 12))
    for _ in range(stems):
        tip = middle + rng.normal(0, [0.35, 0.2, 0.3]) * far
        root = np.array([middle[0], 0, middle[2]]) + rng.normal(0, [0.2, 0, 0.2]) * far
        for along in rng.uniform(0.2, 1.0, int(rng.integers(6, 30))):
            spot = root + along * (tip - root) + rng.normal(0, 0.06, 3) * far
            if spot[2] < 0.35 * far or spot[1] > -0.02:
                continue
            long = far * rng.uniform(0.02, 0.1)
            wide = long * rng.uniform(0.3, 1.0)
            scene.add_billboard(spot, (wide, long), euler(*rng.normal(0, [0.8, 0.8, 1.5])), kinds[rng.integers(3)])
