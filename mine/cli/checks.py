"""What can be refused before torch is imported, which takes seconds: names of files and how options go together."""

import os
import socket
import sys
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from mine.data.sfm.layout import captures_in, check_capture_at, model_folder
from mine.data.sources import ColmapSource, Source, SyntheticSource
from mine.errors import InputError, choose, extras_required
from mine.files import check_writable
from mine.inputs.weights import check_header, tensor_format
from mine.output.foreign_paths import is_path_file, read_path_file
from mine.output.formats import FORMATS, PACKAGES, choose_kind
from mine.output.key_poses import PATH_NAMES, KeyPoses
from mine.output.path_names import split_names
from mine.output.writers import ENCODERS

CONFIGS = Path(__file__).parents[1] / "configs"
"""The configurations that come with MINE."""

CHECKPOINTS = ("mine.safetensors", "checkpoint.pth")
"""Names of checkpoints in the folders of our runs and of published ones."""


def is_scene(source: Path) -> bool:
    """Whether a name is that of a scene file."""
    return source.suffix.lower() == ".mpi"


def check_photo(path: Path) -> None:
    """Checks that there is a file to read a photo from.

    Raises:
        InputError: It is an address, standard input, a folder, or missing.
    """
    if str(path) == "-":
        raise InputError("photos are not read from standard input (-): give the name of a file")
    scheme, _, rest = str(path).partition(":/")
    if scheme.lower() == "file" and rest:
        raise InputError(f"{path} is an address of a file: give its name alone, /{rest.lstrip('/')}")
    if scheme.lower() in ("http", "https", "ftp") and rest:
        raise InputError(f"{scheme}://{rest.lstrip('/')} is an address: download the photo, then give its file")
    if os.path.isdir(path):
        raise InputError(f"{path} is a folder: give the file of one photo")
    if not os.path.lexists(path):
        raise InputError(f"no photo at {path}: check the name")
    if not os.path.exists(path):
        raise InputError(f"no photo at {path}: it is a link to {os.readlink(path)}, which does not exist")
    _check_header(path)


def _check_header(path: Path) -> None:
    """Checks that a file begins as a picture. Raises InputError otherwise."""
    from mine.inputs.images import RawPhotoError, open_image, unreadable
    from mine.inputs.raw import open_raw

    try:
        with open_image(path):
            pass
    except RawPhotoError as refused:
        with open_raw(path, refused):
            pass
    except OSError as error:
        raise unreadable(path, error) from error


def check_source(source: Path, **of_photos: object) -> None:
    """Checks that there is a photo or a scene file to read.

    Args:
        source: The file.
        of_photos: Options by name that have a meaning for photos alone; None where they were not given.

    Raises:
        InputError: There is none, or an option for photos was given with a scene file.
    """
    if not is_scene(source):
        check_photo(source)
        return
    check_scene(source)
    given = [f"--{name}" for name, value in of_photos.items() if value is not None]
    if given:
        raise InputError(f"{source} is a scene already: {', '.join(given)} can only be given with a photo")


def check_scene(scene: Path) -> None:
    """Checks that there is a scene file. Raises InputError otherwise."""
    if not os.path.isfile(scene):
        raise InputError(f"no scene file at {scene}: make one with `mine predict PHOTO -o {scene}`")
    remedy = f"make one with `mine predict PHOTO -o {scene}`"
    if tensor_format(scene, "scene file", remedy) == "safetensors":
        check_header(scene, "scene file", remedy)
    else:
        raise InputError(f"{scene} is not a readable scene file: it is in torch's format; {remedy}")


def check_checkpoint(path: Path | None) -> None:
    """Checks that a checkpoint's file is there, if one is named, and of tensors. Raises InputError otherwise."""
    if path is None:
        return
    if os.path.isdir(path):
        inside = next((file for file in CHECKPOINTS if os.path.isfile(path / file)), None)
        advice = f"give the file in it, {path / inside}" if inside else "give the file of one checkpoint"
        raise InputError(f"no checkpoint at {path}: it is a folder; {advice}")
    if not os.path.isfile(path):
        raise InputError(f"no checkpoint at {path}: check the path")
    remedy = "give a .safetensors file of `mine train`, or a published checkpoint.pth"
    if tensor_format(path, "checkpoint", remedy) == "safetensors":
        check_header(path, "checkpoint", remedy)
        return
    from mine.network.planes.plain_weights import check_plain_weights

    check_plain_weights(path)


def check_apart(outputs: list[Path | None], inputs: dict[str, Path | None]) -> None:
    """Checks that no file is written twice, and that none takes the place of one that is read.

    Args:
        outputs: Files and folders to write; None for what is not written.
        inputs: What is read, by what it is.

    Raises:
        InputError: Two outputs are one file, by links too, or an output is an input, or a folder that it lies in.
    """
    written = [output for output in outputs if output is not None]
    for index, output in enumerate(written):
        for other in written[:index]:
            if _is_same(output, other):
                raise InputError(f"{other} and {output} are one file: give another name")
        for what, path in inputs.items():
            if path is None:
                continue
            if _is_same(output, path):
                raise InputError(f"cannot write {output}: it is the {what} that is read; give another name")
            if os.path.realpath(output) in map(str, Path(os.path.realpath(path)).parents):
                raise InputError(f"cannot write folder {output}: the {what} {path} is in it; give another name")


def _is_same(first: Path, second: Path) -> bool:
    """Whether two names lead to one file or folder, which need not exist."""
    try:
        return os.path.samefile(first, second)
    except (OSError, ValueError):
        return os.path.realpath(first) == os.path.realpath(second)


def check_maker(output: Path, command: str) -> None:
    """Checks that a file to write is not one that another command writes.

    Args:
        output: The file.
        command: The command that was given: render, predict or export.

    Raises:
        InputError: It is; the message names the command to use.
    """
    ending = output.suffix.lower()
    endings = {"predict": (".mpi",), "export": tuple(FORMATS), "render": tuple(ENCODERS)}
    others = [maker for maker, known in endings.items() if ending in known]
    if others and command not in others:
        raise InputError(f"mine {command} writes no {ending} files: mine {others[0]} PHOTO -o {output.name} does")


def check_ending(output: Path, endings: tuple[str, ...]) -> None:
    """Checks that a file to write has one of these endings and can be written.

    Raises:
        InputError: The ending is another one, it is a folder, or its folder is not writable.
    """
    check_writable(output)
    if output.suffix.lower() not in endings:
        raise InputError(f"cannot write {output}: give a name that ends in {' or '.join(endings)}")


def check_export(output: Path, kind: str | None, size: int | None) -> None:
    """Checks what `mine export` is to write.

    Raises:
        InputError: There is no such format, it does not hold that kind, its package is not installed, or the file
            cannot be written.
    """
    check_writable(output)
    check_maker(output, "export")
    choose_kind(output, kind, size)
    package = PACKAGES.get(output.suffix.lower())
    if package is not None and find_spec(package) is None:
        with extras_required():
            raise ModuleNotFoundError(name=package)


def path_files(names: str) -> dict[str, Path | None]:
    """The files among the names of joined camera paths, as `check_apart` takes them."""
    return {f"camera path {name}": Path(name) for name in split_names(names) if is_path_file(name)}


def check_path(name: str, frames: int | None, amount: float | None) -> None:
    """Checks a camera path.

    Args:
        name: Name of a path, or of a file of key poses or of another program; several are joined by +.
        frames: Number of frames, if given.
        amount: Factor on its motion, if given.

    Raises:
        InputError: There is no such path, the file is not of its form, or the amount does not fit it.
    """
    for part in split_names(name):
        _check_one_path(part, frames, amount)


def _check_one_path(name: str, frames: int | None, amount: float | None) -> None:
    """Checks one of the paths that are joined."""
    if is_path_file(name):
        keys = isinstance(read_path_file(name, frames, 1.0 if amount is None else amount), KeyPoses)
        if keys and amount is not None:
            raise InputError(f"--amount does not apply to the key poses of {name}: leave it out, or change the poses")
        return
    loaded = sys.modules.get("mine.output.camera_paths")  # where a program of one's own may have added to PATHS
    names = tuple(loaded.PATHS) if loaded else PATH_NAMES
    if name not in names:
        raise InputError(f"no camera path {name!r}: {choose(name, names)}, a .json file or COLMAP's images.txt")
    if name == "dolly-zoom" and amount is not None and amount <= -2:
        raise InputError(f"amount {amount:g} takes the dolly zoom into its subject: give more than -2")


def check_capture(images: Path, output: Path, poses: Path | None, fps: float | None, dense: bool = False) -> None:
    """Checks the arguments of `mine colmap`.

    Raises:
        InputError: There are no images, the output exists, or options do not go together.
    """
    if dense and model_folder(images) and not (poses is None and fps is None):
        option = "--fps" if poses is None else "--poses"
        raise InputError(f"{option} is for making a capture, and {images} is one already: leave it out")
    if not os.path.exists(images):
        raise InputError(f"no folder {images}: give a folder of pictures of one scene, or a video file")
    if os.path.exists(output):
        raise InputError(f"{output} exists: choose another output folder")
    if os.path.isfile(images) and _is_picture(images):
        raise InputError(f"{images} is one picture: give a folder of pictures of one scene, or a video file")
    if poses is not None and not os.path.isfile(poses):
        raise InputError(f"{poses} cannot be read (no such file): give a camera file in RealEstate10K's format")
    if fps is not None and os.path.isdir(images):
        raise InputError(f"--fps is for videos, and {images} is a folder: leave it out")
    check_writable(output)


def _is_picture(path: Path) -> bool:
    """Whether a file begins as a picture."""
    from mine.inputs.images import RawPhotoError, open_image

    try:
        with open_image(path):
            return True
    except RawPhotoError:
        return True
    except OSError:
        return False


def check_address(host: str, port: int) -> None:
    """Checks that a server can listen on a port of an address.

    Raises:
        InputError: The address is none of this machine's, or the port is taken or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"cannot listen on {host}: it is no address of this machine, such as 127.0.0.1") from error
    with socket.socket(family, kind, protocol) as probe:
        if os.name == "posix":  # else a port counts as taken for a minute after a server on it has ended
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            reason = f"cannot listen on port {port} of {host} ({error.strerror})"
            raise InputError(f"{reason}: choose another with --port or --host") from error


def find_config(config: Path) -> Path:
    """The configuration file of that name: in the working folder, or of those that come with MINE.

    Raises:
        InputError: There is none.
    """
    if os.path.isdir(config):
        raise InputError(f"{config} is a folder: give a YAML file, such as those in {CONFIGS}")
    if os.path.exists(config):
        return config
    shipped = CONFIGS / config.name
    if config.parent in (Path(), Path("configs")) and shipped.is_file():
        return shipped
    close = get_close_matches(config.stem, sorted(file.stem for file in CONFIGS.glob("*.yaml")), 1, 0.7)
    hint = f"did you mean configs/{close[0]}.yaml? See" if close else "see"
    raise InputError(f"no configuration at {config}: {hint} the YAML files in {CONFIGS}")


def check_data(config: Path, sources: dict[str, Source]) -> None:
    """Checks that the folders of data that a configuration names are there.

    Args:
        config: YAML file of a run or an evaluation.
        sources: Its sources of data, by their place in it.

    Raises:
        InputError: One of these folders is missing, or a folder of captures holds none, or lacks one that is named.
    """
    for name, source in sources.items():
        root = getattr(source, "root", None)
        if root and not os.path.exists(root):
            makes = "`mine colmap` makes captures, docs/datasets/ says where data sets are to be had"
            raise InputError(f"no data at {root} ({name}.root of {config}): give {name}.root=FOLDER; {makes}")
        if isinstance(source, ColmapSource):
            for folder in [Path(source.root) / scene for scene in source.scenes] or captures_in(source.root):
                check_capture_at(folder)
        textures = source.textures if isinstance(source, SyntheticSource) else None
        if textures and not os.path.isdir(textures):
            raise InputError(f"no folder of textures at {textures} ({name}.textures of {config}): check the path")
