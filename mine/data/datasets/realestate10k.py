"""RealEstate10K (Zhou et al., "Stereo Magnification", 2018): camera trajectories of videos of houses."""

import logging
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from mine.data.arrays import Size
from mine.data.base.image_pairs import MIN_POINTS, MIN_ZOOM, ImagePairs, Pair, other_targets, shared_points
from mine.data.sfm.capture import NO_IDS, NO_POINTS, PosedImage, read_capture
from mine.data.sfm.layout import model_folder
from mine.data.sfm.trajectory import Frame, read_trajectory
from mine.errors import InputError
from mine.inputs.folders import entries, is_folder, matching
from mine.inputs.images import open_image

MAX_GAP = 30
"""Largest distance of source and target, in frames."""

PROTOCOL = ("t=5", "t=10", "random")
"""Targets of each evaluated source: 5 and 10 frames later, and any of the 30 before and after."""

TRIES = 50
"""Random pairs tried in a sequence before it counts as unusable."""

CACHED = 4
"""Sequences whose cameras each process keeps in memory."""

log = logging.getLogger(__name__)


class RealEstate10K(ImagePairs):
    """Pairs of frames of one sequence, at most `MAX_GAP` frames apart.

    If the split has captures, their sequences are used, with their points, and `metric` is 0. If it has none, `metric`
    is 1, in the published unit, in which near surfaces are at about 1.25. Training takes a random source and target
    (or `targets` of them) of a sequence; evaluation takes one random source of each sequence, with the three targets
    of `PROTOCOL`, which are the rows of a report.

    Args:
        root: Folder with the published camera files `train/SEQ.txt` and `test/SEQ.txt`, frames
            `frames/SEQ/TIMESTAMP.jpg` (or .png), and captures `captures/SEQ/`, made of both by `mine colmap --poses`.
        size: (H, W) of the samples, in pixels.
        training: Whether this is the training split.
        points: Number of sparse points in a sample.
        seed: Seed of the samples; a sample depends on (seed, index) alone.
        epochs: Different samples of each sequence.
        targets: Target views of each source view.

    Raises:
        InputError: No sequence can be used.
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
        names = [path.stem for path in matching(self.root / self.split, "*.txt")]
        if not names:
            raise InputError(f"no camera files {self.root / self.split}/*.txt: unpack RealEstate10K there")
        posed = [name for name in names if model_folder(self.root / "captures" / name)]
        super().__init__(size, training, points, metric=not posed, targets=targets)
        self.names = posed or [name for name in names if is_folder(self.root / "frames" / name)]
        if not self.names:
            raise InputError(
                f"no frames of {len(names)} sequences in {self.root / 'frames'}: put them in folders there"
            )
        log.info("%d of %d sequences have %s", len(self.names), len(names), "points" if posed else "frames")
        self._read: dict[str, dict[int, PosedImage]] = {}
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

    def _pairs(self, name: str, rng: np.random.Generator) -> Iterator[tuple[PosedImage, PosedImage]]:
        """Random usable pairs of a sequence."""
        frames = self._frames(name)
        numbers = np.array(sorted(frames))
        for _ in range(TRIES if len(numbers) > 1 else 0):
            number = rng.choice(numbers)
            near = numbers[(np.abs(numbers - number) <= MAX_GAP) & (numbers != number)]
            if len(near) and self._compatible(source := frames[number], target := frames[rng.choice(near)]):
                yield source, target

    def _others(self, name: str, source: PosedImage, target: PosedImage, rng: np.random.Generator) -> list[PosedImage]:
        """The further targets of a source, if several are requested."""
        if self.targets == 1:
            return []
        frames = self._frames(name)
        position = next(number for number, frame in frames.items() if frame is source)
        near = [frame for number, frame in sorted(frames.items()) if 0 < abs(number - position) <= MAX_GAP]
        return other_targets(target, [f for f in near if self._compatible(source, f)], self.targets - 1, rng)

    def _tuple(self, name: str) -> tuple[PosedImage, PosedImage, PosedImage, PosedImage] | None:
        """The evaluated source of a sequence and its three targets, the same at every call; None if it has none."""
        frames = self._frames(name)
        rng = np.random.default_rng([self.seed, len(frames)])
        numbers = {frame: number for number, frame in frames.items()}
        for source, any_target in self._pairs(name, rng):
            later = [frames.get(numbers[source] + step) for step in (5, 10)]
            if later[0] and later[1] and all(self._compatible(source, frame) for frame in later if frame):
                return source, later[0], later[1], any_target
        return None

    def _usable(self, name: str) -> bool:
        try:
            return self._tuple(name) is not None
        except OSError as error:
            log.warning("left out: %s", error)
            return False

    def _compatible(self, source: PosedImage, target: PosedImage) -> bool:
        if self.metric:
            return True
        enough = self.count_points(source, self.largest_window(source)) >= MIN_POINTS
        return enough and shared_points(source, target).shape[1] >= MIN_POINTS

    def _frames(self, name: str) -> dict[int, PosedImage]:
        """The images of a sequence by their line in the camera file. Raises OSError if it cannot be read."""
        frames = self._read.pop(name, None)
        if frames is None:
            try:
                listed = read_trajectory(self.root / self.split / f"{name}.txt")
                views = self._unposed(name, listed) if self.metric else self._posed(name)
            except InputError as error:
                raise OSError(str(error)) from error
            frames = {i: views[frame.name] for i, frame in enumerate(listed) if frame.name in views}
        self._read[name] = frames  # dicts keep their order: the first is the one unused for longest
        if len(self._read) > CACHED:
            del self._read[next(iter(self._read))]
        return frames

    @property
    def _cover(self) -> Size:
        zoom = MIN_ZOOM if self.training else 1.0
        return round(self.size[0] / zoom), round(self.size[1] / zoom)

    def _posed(self, name: str) -> dict[str, PosedImage]:
        views = read_capture(self.root / "captures" / name, self._cover)
        return {view.path.stem: view for view in views}

    def _unposed(self, name: str, listed: list[Frame]) -> dict[str, PosedImage]:
        """The images of a sequence without points, by name. All of a sequence have the same size."""
        files = {path.stem: path for path in entries(self.root / "frames" / name)}
        known = [frame for frame in listed if frame.name in files]
        width, height = _size_of([files[frame.name] for frame in known])
        shrink = min(1.0, max(self._cover[0] / height, self._cover[1] / width))
        lens = {frame.name: frame.camera(round(width * shrink), round(height * shrink)) for frame in known}
        return {
            frame.name: PosedImage(name, files[frame.name], lens[frame.name], frame.pose, NO_POINTS, NO_IDS)
            for frame in known
        }


def _size_of(paths: list[Path]) -> tuple[int, int]:
    """Width and height of the first readable image. Raises OSError if there is none."""
    for path in paths:
        with suppress(OSError), open_image(path) as image:
            return image.size
    raise OSError(f"none of {len(paths)} frames can be decoded" + (f", first {paths[0]}" if paths else ""))
