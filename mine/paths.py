"""The public name of `mine.output.camera_paths`: `mine.paths.swing(frames=90)`."""

from mine.output.camera_paths import *  # noqa: F403
