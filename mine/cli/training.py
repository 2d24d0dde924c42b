"""The commands around training: colmap, train and eval. Docstrings are the options' help."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from mine.cli import options
from mine.cli.checks import check_capture, check_checkpoint, check_data, check_ending, find_config
from mine.data.sfm.layout import model_folder
from mine.errors import InputError
from mine.files import check_writable

Config = Annotated[Path, arg(metavar="CONFIG")]
Overrides = Annotated[tuple[str, ...], arg(metavar="[KEY=VALUE ...]", help_behavior_hint="(default: none)")]


def colmap(
    images: Positional[Annotated[Path, arg(metavar="IMAGES")]],
    output: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER")],
    poses: Annotated[
        Path | None, arg(metavar="FILE", help_behavior_hint="(default: cameras are computed as well)")
    ] = None,
    fps: Annotated[float | None, options.VIDEO_FPS, arg(help_behavior_hint="(default: 3)")] = None,
    dense: bool = False,
    progress: bool = True,
) -> None:
    """Turns photos or a video of one static scene into a capture: images, cameras and 3D points.

    Args:
        images: Folder of photos, or a video file.
        output: Folder to make, in COLMAP's layout: images/ and sparse/0/. Name it as `root` in a training config.
        poses: Camera file in RealEstate10K's format, for cameras that are known: only 3D points are then computed.
        fps: Frames per second to take from a video.
        dense: Also compute dense depth, of every pixel that several photos confirm, in the capture's folder dense/,
            which a training config reads as kind: rgbd. If IMAGES is a capture already, FOLDER is that folder alone.
        progress: Show the progress on the terminal.
    """
    check_capture(images, output, poses, fps, dense)
    if dense and model_folder(images):
        from mine.data.base.dense_photographs import write_dense

        print(f"{output}: {write_dense(images, output, progress)}")
        return
    from mine.data.sfm.reconstruct import RATE, reconstruct
    from mine.data.sfm.triangulate import triangulate

    rate = RATE if fps is None else fps
    account = triangulate(images, poses, output, progress) if poses else reconstruct(images, output, progress, rate)
    print(f"{output}: {account}")
    if dense:
        from mine.data.base.dense_photographs import write_dense

        print(f"{output / 'dense'}: {write_dense(output, output / 'dense', progress)}")


def train(config: Positional[Config], overrides: Positional[Overrides] = (), resume: bool = True) -> None:
    """Trains what a config file describes and prints the checkpoint's name.

    Args:
        config: YAML file of the run, such as configs/own.yaml.
        overrides: Settings that replace the file's, as key=value; dots reach into sections. Example: batch=2
            architecture.encoder=resnet18.
        resume: Go on from the last saved step of a run with the same output folder, if there is one.
    """
    config = find_config(config)
    from mine.config import TrainConfig, load_config

    settings = load_config(config, list(overrides), TrainConfig)
    if not settings.data:
        raise InputError(f"{config} has no training data: give at least one source in `data`")
    held_out = {} if settings.held_out is None else {"held_out.data": settings.held_out.data}
    state = Path(settings.output) / "state.pt"
    if settings.start not in (None, "shipped") and not (resume and state.is_file()):  # a state holds the network
        check_checkpoint(Path(settings.start))
    check_writable(state)
    check_data(config, {f"data.{i}": source for i, source in enumerate(settings.data)} | held_out)
    from mine.training.distributed import is_rank_zero
    from mine.training.train import train as run

    checkpoint = run(settings, resume)
    if is_rank_zero():
        print(checkpoint)


def evaluate(
    config: Positional[Config],
    overrides: Positional[Overrides] = (),
    checkpoint: Annotated[
        Path | None, arg(metavar="FILE", help_behavior_hint="(default: the one that comes with MINE)")
    ] = None,
    output: Annotated[
        Path | None, arg(aliases=["-o"], metavar="FILE", help_behavior_hint="(default: the table is printed alone)")
    ] = None,
) -> None:
    """Measures a checkpoint by a config file's protocol and prints a table of metrics.

    Args:
        config: YAML file of the evaluation, such as configs/eval-kitti.yaml.
        overrides: Settings that replace the file's, as key=value; dots reach into sections. Example: planes=64.
        checkpoint: Network weights: ours (.safetensors) or published MINE ones (.pth).
        output: Also write the metrics to this file: .json or .md.
    """
    config = find_config(config)
    check_checkpoint(checkpoint)
    if output is not None:
        check_ending(output, (".json", ".md"))
    from mine.config import EvalConfig, load_config

    settings = load_config(config, list(overrides), EvalConfig)
    check_data(config, {"data": settings.data})
    from mine.evaluation.protocol import evaluate_config
    from mine.evaluation.report import write_report
    from mine.model import load

    report = evaluate_config(load(checkpoint), settings)
    print(report.markdown())
    if output:
        write_report(report, output)
