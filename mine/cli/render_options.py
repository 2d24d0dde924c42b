"""Groups of options of `mine render`. The comment under each field is the option's help."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from mine.cli import options
from mine.cli.checks import check_maker
from mine.errors import InputError, choose
from mine.files import check_writable
from mine.output.foreign_paths import is_path_file, read_path_file
from mine.output.key_poses import MAX_FRAMES
from mine.output.lens_options import APERTURE, parse_focus
from mine.output.path_names import EASINGS, OPEN, split_names
from mine.output.stereo_options import DEFAULT_QUILT, LAYOUTS, check_layout, is_still, parse_quilt

if TYPE_CHECKING:
    from torch import Tensor

    from mine.output.camera_path import CameraPath
    from mine.output.lens import Lens
    from mine.scene.mpi import MPI

DENSER = 8
"""Poses that a path is made of for each that is kept, where its speed is changed."""

OWN_SIZES = ("quilt", "vr180")
"""Layouts whose size is not the photo's."""

OF_PATHS = ("path", "amount", "frames", "easing", "loop", "save-path")
"""Options of a camera path, which wigglegrams do not have."""

IMAGES = (".jpg", ".jpeg", ".png")
"""Endings that are images alone; WebP files are videos as well."""

STEREO_FPS = {"wigglegram": 9.0}
"""Frames per second by layout, where it is not 30."""


@dataclass(frozen=True)
@options.with_joined_help
class CameraOptions:
    """How the camera moves along its path, and its lens."""

    easing: Annotated[str, arg(metavar="linear|in|out|in-out")] = "linear"
    """Start the motion from rest (in), end it at rest (out), or both (in-out)."""

    loop: bool = False
    """Close a path that does not loop, such as line or a file: there and back again."""

    focus: Annotated[str | None, arg(metavar="PLACE", help_behavior_hint="(default: all is sharp)")] = None
    """Blur what is out of focus, as a lens does. PLACE is in focus: near, middle, far, or a number from 0 (nearest) to
    1 (farthest); near:far pulls the focus during the clip."""

    aperture: Annotated[float | None, options.APERTURE, arg(help_behavior_hint="(default: 1.5 with --focus)")] = None
    """Width of the blur in per cent of the image's: that of the nearest things when the farthest are in focus."""

    save_path: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: not saved)")] = None
    """Also write the camera path, for nerfstudio (.json), Blender (transforms.json) or COLMAP (.txt)."""

    def check(self, stereo: str | None) -> None:
        """Checks the options.

        Args:
            stereo: The stereo layout, if any.

        Raises:
            InputError: A value is not possible, or options do not go together.
        """
        if self.easing not in EASINGS:
            raise InputError(f"unknown easing {self.easing!r}: {choose(self.easing, EASINGS)}")
        if self.aperture is not None and self.focus is None:
            raise InputError("--aperture applies only with --focus: give --focus near, middle or far")
        if self.focus is not None:
            parse_focus(self.focus)
            if stereo is not None:
                raise InputError("--focus does not go with --stereo: what the eyes look at must be sharp")
        if self.save_path is not None:
            if self.save_path.suffix.lower() not in (".json", ".txt"):
                raise InputError(f"cannot write the camera path {self.save_path}: give a name in .json or .txt")
            check_writable(self.save_path)

    def of_motion(self) -> dict[str, object]:
        """The options that change how the camera moves, by name; None where not given."""
        easing = None if self.easing == "linear" else self.easing
        return {"easing": easing, "loop": self.loop or None, "save-path": self.save_path}

    def make_path(self, names: str, scene: "MPI", frames: int | None, amount: float | None, fps: float) -> "CameraPath":
        """Makes the path of these names, scaled to the scene, and saves it if asked to."""
        from mine.output.camera_paths import ease, join, save_path
        from mine.output.path_edits import is_closed

        parts = split_names(names)
        counts: list[int | None] = [None] * len(parts)
        if frames is not None:
            counts = [max(1, (frames * (i + 1)) // len(parts) - (frames * i) // len(parts)) for i in range(len(parts))]
        path = join([self._one(name, scene, count, amount) for name, count in zip(parts, counts, strict=True)])
        if frames is not None and len(path.poses) != frames:  # joints were inserted
            path = ease(path, "linear", frames, is_closed(path))
        if self.save_path is not None:
            save_path(path, scene, self.save_path, fps)
        return path

    def _one(self, name: str, scene: "MPI", frames: int | None, amount: float | None) -> "CameraPath":
        """One of the paths that are joined, with its easing, closed if asked to."""
        from mine.output.camera_paths import ease, load, loop, scene_path

        amount = 1.0 if amount is None else amount

        def make(count: int | None) -> "CameraPath":
            return load(name, count, amount) if is_path_file(name) else scene_path(scene, name, count, amount)

        path = make(frames)
        if self.easing == "linear" and not self.loop:
            return path
        closed = read_path_file(name, frames, amount).loop if is_path_file(name) else name not in OPEN
        if self.easing == "linear" and closed:
            return path
        count = len(path.poses)
        dense = make(min(DENSER * count, MAX_FRAMES))
        if self.easing != "linear":
            dense = ease(dense, self.easing, len(dense.poses) if self.loop and not closed else count, closed)
        return loop(dense, count) if self.loop and not closed else dense

    def make_lens(self, scene: "MPI", frames: int) -> "Lens | None":
        """The lens, or None where all is sharp."""
        if self.focus is None:
            return None
        from mine.output.lens import make_lens

        aperture = APERTURE if self.aperture is None else self.aperture
        return make_lens(scene, aperture, parse_focus(self.focus), frames)


@dataclass(frozen=True)
@options.with_joined_help
class StereoOptions:
    """Two eyes, headsets and 3D displays."""

    stereo: Annotated[str | None, arg(metavar="LAYOUT", help_behavior_hint="(default: one view)")] = None
    """Render for two eyes: sbs (side by side), half-sbs (squeezed), over-under, cross-eyed, anaglyph or dubois (for
    red-cyan glasses), wigglegram (moves between the eyes: .gif, .webp, .apng or a video), vr180 (for headsets), or
    quilt (for Looking Glass displays). A .jpg, .png or .webp holds the photo's own view, a video moves along --path."""

    eye_distance: Annotated[float | None, options.EYE_DISTANCE, arg(help_behavior_hint="(default: about 3)")] = None
    """How far the nearest things move between the eyes, compared with the farthest, in per cent of the width: 1 to 4
    are comfortable."""

    quilt: Annotated[str | None, arg(metavar="CxR", help_behavior_hint="(default: 8x6)")] = None
    """Columns and rows of a quilt."""

    def check(self, output: Path, **of_videos: object) -> None:
        """Checks the options.

        Args:
            output: The file to write.
            of_videos: Options by name that have a meaning for videos alone; None where they were not given.

        Raises:
            InputError: A value is not possible, or options do not go together.
        """
        given = {"--eye-distance": self.eye_distance, "--quilt": self.quilt}
        if self.stereo is None:
            alone = [name for name, value in given.items() if value is not None]
            if alone:
                raise InputError(f"{alone[0]} applies only to two eyes: give --stereo, such as --stereo sbs")
            if output.suffix.lower() in IMAGES:
                raise InputError(f"{output} is one image: give --stereo, or for single frames a name without extension")
            check_maker(output, "render")
            return
        check_layout(output, self.stereo)
        if self.quilt is not None:
            if self.stereo != "quilt":
                raise InputError(f"--quilt does not apply to --stereo {self.stereo}: leave it out")
            parse_quilt(self.quilt)
        used = [name for name, value in of_videos.items() if value is not None]
        if is_still(output, self.stereo) and used:
            raise InputError(f"{output} is one image: --{used[0]} is for videos, leave it out or name a video")
        of_path = [name for name in used if name in OF_PATHS]
        if self.stereo == "wigglegram" and of_path:
            raise InputError(f"a wigglegram moves between the eyes alone: leave out --{of_path[0]}")

    def is_still(self, output: Path) -> bool:
        """Whether one image is written."""
        return self.stereo is not None and is_still(output, self.stereo)

    def render(
        self,
        scene: "MPI",
        path: "CameraPath | Tensor",
        output: Path,
        fps: float | None,
        size: int | None,
        codec: str | None,
    ) -> Path:
        """Renders and returns the file that was written."""
        from mine.output.stereo import render_stereo

        assert self.stereo in LAYOUTS
        return render_stereo(
            scene,
            output,
            self.stereo,
            eye_distance=self.eye_distance,
            path=path,
            fps=fps or STEREO_FPS.get(self.stereo, 30),
            size=size,
            codec=codec,
            quilt=DEFAULT_QUILT if self.quilt is None else parse_quilt(self.quilt),
        )


ONE_VIEW = StereoOptions()
PLAIN_CAMERA = CameraOptions()
"""The defaults."""
