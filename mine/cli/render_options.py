"""Groups of options of `mine render`. The comment under each field is the option's help."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from mine.cli import options
from mine.errors import InputError
from mine.output.stereo_options import DEFAULT_QUILT, LAYOUTS, check_layout, is_still, parse_quilt

if TYPE_CHECKING:
    from torch import Tensor

    from mine.output.camera_paths import CameraPath
    from mine.scene.mpi import MPI

OWN_SIZES = ("quilt", "vr180")
"""Layouts whose size is not the photo's."""

STEREO_FPS = {"wigglegram": 9.0}
"""Frames per second by layout, where it is not 30."""


@dataclass(frozen=True)
class StereoOptions:
    """Two eyes, headsets and 3D displays."""

    stereo: Annotated[str | None, arg(metavar="LAYOUT", help_behavior_hint="(default: one view)")] = None
    """Render for two eyes: sbs (side by side), half-sbs (squeezed), over-under, cross-eyed, anaglyph or dubois (for
    red-cyan glasses), wigglegram (a GIF, WebP or APNG that moves between the eyes), vr180 (for headsets), or quilt (for
    Looking Glass displays). A .jpg or .png holds the photo's own view, a video moves along --path."""

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
                raise InputError(f"{alone[0]} has a meaning for two eyes alone: give --stereo, such as --stereo sbs")
            return
        check_layout(output, self.stereo)
        if self.quilt is not None:
            if self.stereo != "quilt":
                raise InputError(f"--quilt has no meaning for --stereo {self.stereo}: leave it out")
            parse_quilt(self.quilt)
        if is_still(output, self.stereo):
            moving = [f"--{name}" for name, value in of_videos.items() if value is not None]
            if moving:
                raise InputError(f"{output} is one image: {moving[0]} is for videos, leave it out or name a video")

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
"""The default."""
