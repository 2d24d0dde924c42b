"""RealEstate10K (Zhou et al., "Stereo Magnification", 2018): camera paths through videos of houses."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from mine.data.base.image_pairs import MIN_POINTS, MIN_ZOOM, ImagePairs, Pair, further, shared_points
from mine.data.registry import register
from mine.data.sfm.capture import NO_IDS, NO_POINTS, Picture, Size, model_folder, read_capture
from mine.data.sfm.trajectory import Shot, read_trajectory
from mine.errors import InputError

REACH = 30
"""Frames between a source and its target, at most."""

PROTOCOL = ("t=5", "t=10", "random")
"""Targets of each evaluated source: 5 and 10 frames later, and any of the 30 before and after."""

DRAWS = 50
"""Pairs tried in a sequence before it counts as unusable."""

CACHED = 4
"""Sequences whose cameras each process keeps in memory."""

log = logging.getLogger(__name__)


@register("realestate10k")
class RealEstate10K(ImagePairs):
    """Pairs of frames of one sequence, at most 30 frames apart.

    root: folder with the published camera files `train/SEQ.txt` and `test/SEQ.txt`, frames `frames/SEQ/TIMESTAMP.jpg`
    (or .png) for as many of them as there are, and captures `captures/SEQ/` made of both by `mine colmap --poses`.

    When the split has captures, their sequences are used, with their points, and `metric` is 0. When it has none,
    `metric` is 1: the published unit, in which near surfaces are about 1.25 away, is the network's own.

    Training draws source and target (or `targets` of them); index i and i + n (n sequences) are the same sequence
    drawn anew, `epochs` times over, and a sample depends on (seed, index) alone. Evaluation takes one random source of
    each sequence, with three targets (`PROTOCOL`, which are the rows of the report).

    Raises InputError when no sequence can be used.
    """

    def __init__(
        self,
        root: str | Path,
        size: Size = (256, 384),
        training: bool = True,
        points: int = 256,
        seed: int = 0,
        epochs: int = 100,
        targets: int = 1,
    ) -> None:
        self.root, self.split, self.seed = Path(root), "train" if training else "test", seed
        names = sorted(path.stem for path in (self.root / self.split).glob("*.txt"))
        if not names:
            raise InputError(f"no camera files {self.root / self.split}/*.txt: unpack RealEstate10K there")
        posed = [name for name in names if model_folder(self.root / "captures" / name)]
        super().__init__(size, training, points, metric=not posed, targets=targets)
        self.names = posed or [name for name in names if (self.root / "frames" / name).is_dir()]
        if not self.names:
            raise InputError(
                f"no frames of {len(names)} sequences in {self.root / 'frames'}: put them in folders there"
            )
        log.info("%d of %d sequences have %s", len(self.names), len(names), "points" if posed else "frames")
        self._read: dict[str, dict[int, Picture]] = {}
        if not training:
            # Another pair of the same row stands in for one that cannot be decoded.
            self.stride = len(PROTOCOL)
            self.names = [name for name in self.names if self._usable(name)]
            if not self.names:
                raise InputError(f"no sequence in {self.root} has frames 5 and 10 after another: extract more frames")
        self.length = len(self.names) * (epochs if training else self.stride)

    def __len__(self) -> int:
        return self.length

    def pair(self, index: int) -> Pair:
        if self.training:
            rng = np.random.default_rng([self.seed, index])
            name = self.names[index % len(self.names)]
            source, target = next(self._pairs(name, rng), (None, None))
            others = self._others(name, source, target, rng) if source and target else []
        else:
            others = []
            rng = np.random.default_rng(self.seed)
            number, protocol = divmod(index, self.stride)
            name = self.names[number]
            source, *targets = self._tuple(name) or (None,)
            target = targets[protocol] if targets else None
        if source is None or target is None:
            raise OSError(f"sequence {name} has no two frames that share {MIN_POINTS} points")
        return Pair(source, target, rng, tuple(others))

    def row(self, index: int) -> str:
        return PROTOCOL[index % self.stride]

    def source_of(self, index: int) -> object:
        return index // self.stride

    def _pairs(self, name: str, rng: np.random.Generator) -> Iterator[tuple[Picture, Picture]]:
        """Random usable pairs of the sequence."""
        frames = self._frames(name)
        numbers = np.array(sorted(frames))
        for _ in range(DRAWS if len(numbers) > 1 else 0):
            number = rng.choice(numbers)
            near = numbers[(np.abs(numbers - number) <= REACH) & (numbers != number)]
            if len(near) and self._go_together(source := frames[number], target := frames[rng.choice(near)]):
                yield source, target

    def _others(self, name: str, source: Picture, target: Picture, rng: np.random.Generator) -> list[Picture]:
        """As many further targets of the source as samples shall have."""
        if self.targets == 1:
            return []
        frames = self._frames(name)
        place = next(number for number, frame in frames.items() if frame is source)
        near = [frame for number, frame in sorted(frames.items()) if 0 < abs(number - place) <= REACH]
        return further(target, [f for f in near if self._go_together(source, f)], self.targets - 1, rng)

    def _tuple(self, name: str) -> tuple[Picture, Picture, Picture, Picture] | None:
        """A source and its three targets, the same at every call; None when the sequence has none."""
        frames = self._frames(name)
        rng = np.random.default_rng([self.seed, len(frames)])
        numbers = {frame: number for number, frame in frames.items()}
        for source, any_target in self._pairs(name, rng):
            later = [frames.get(numbers[source] + step) for step in (5, 10)]
            if later[0] and later[1] and all(self._go_together(source, frame) for frame in later if frame):
                return source, later[0], later[1], any_target
        return None

    def _usable(self, name: str) -> bool:
        try:
            return self._tuple(name) is not None
        except OSError as error:
            log.warning("left out: %s", error)
            return False

    def _go_together(self, source: Picture, target: Picture) -> bool:
        if self.metric:
            return True
        enough = self.points_in(source, self.widest(source)) >= MIN_POINTS
        return enough and shared_points(source, target).shape[1] >= MIN_POINTS

    def _frames(self, name: str) -> dict[int, Picture]:
        """Pictures of a sequence by their line in the camera file. Raises OSError when it cannot be read."""
        frames = self._read.pop(name, None)
        if frames is None:
            try:
                shots = read_trajectory(self.root / self.split / f"{name}.txt")
                pictures = self._unposed(name, shots) if self.metric else self._posed(name)
            except InputError as error:
                raise OSError(str(error)) from error
            frames = {i: pictures[shot.name] for i, shot in enumerate(shots) if shot.name in pictures}
        self._read[name] = frames  # dicts keep their order: the first is the one unused for longest
        if len(self._read) > CACHED:
            del self._read[next(iter(self._read))]
        return frames

    @property
    def _cover(self) -> Size:
        zoom = MIN_ZOOM if self.training else 1.0
        return round(self.size[0] / zoom), round(self.size[1] / zoom)

    def _posed(self, name: str) -> dict[str, Picture]:
        pictures = read_capture(self.root / "captures" / name, self._cover)
        return {picture.path.stem: picture for picture in pictures}

    def _unposed(self, name: str, shots: list[Shot]) -> dict[str, Picture]:
        """Pictures without points. All of a sequence have the same size."""
        files = {path.stem: path for path in sorted((self.root / "frames" / name).iterdir())}
        known = [shot for shot in shots if shot.name in files]
        width, height = _size_of([files[shot.name] for shot in known])
        shrink = min(1.0, max(self._cover[0] / height, self._cover[1] / width))
        lens = {shot.name: shot.camera(round(width * shrink), round(height * shrink)) for shot in known}
        return {
            shot.name: Picture(name, files[shot.name], lens[shot.name], shot.pose, NO_POINTS, NO_IDS) for shot in known
        }


def _size_of(paths: list[Path]) -> tuple[int, int]:
    """Width and height of the first readable picture. Raises OSError when there is none."""
    for path in paths:
        with suppress(OSError), Image.open(path) as picture:
            return picture.size
    raise OSError(f"none of {len(paths)} frames can be decoded" + (f", first {paths[0]}" if paths else ""))
