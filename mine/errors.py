"""`InputError`, the one exception for bad input, how a program ends on it, and the report of a missing extra."""

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches

EXTRAS = {
    "train": (
        "pydantic",
        "lightning_fabric",
        "tensorboard",
        "torchmetrics",
        "lpips",
        "kornia",
        "timm",
        "h5py",
    ),
    "sfm": ("pycolmap",),
    "demo": ("gradio",),
    "photos": ("rawpy", "pillow_jxl"),
    "formats": ("OpenEXR", "gsply"),
    "hub": ("transformers",),
}
"""By extra (pyproject.toml), the modules that only its packages provide."""


class InputError(ValueError):
    """Bad input, reported in one line: what it is, the value found, and the remedy.

    Names and values come from files: line breaks and control characters in them are shown as Python writes them.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in message))


class PackageError(InputError):
    """A package that is missing or does not fit: no input is wrong, and what reads files does not blame them for it."""


class InputWarning(UserWarning):
    """Input that is used although something is wrong with it, in one line: what it is, and what is done about it."""


def warn(problem: str) -> None:
    """Gives an `InputWarning` at the line of the program that called this package, however deep inside that was."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("mine", "torch"):
        frame, level = frame.f_back, level + 1
    warnings.warn(problem, InputWarning, stacklevel=level)


def choose(value: object, names: Iterable[str], words: str = "choose") -> str:
    """What to do about a name that is none of those known: take the one that is nearly it, or another of them.

    Not for names such as h264 and cpu, where the nearest to h265 and gpu is another thing.

    Args:
        value: What was given in place of a name.
        names: The names that are known.
        words: What is said before them.
    """
    known = list(names)
    close = get_close_matches(str(value), known, 1)
    listed = f"{words} {', '.join(known)}"
    return f"did you mean {close[0]}? {listed[:1].upper()}{listed[1:]}" if close else listed


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory does not suffice: of Python, the system, its loader, or torch."""
    texts = "allocate memory", "out of memory", "failed to map segment"
    told = isinstance(error, (RuntimeError, OSError, ImportError)) and any(text in str(error) for text in texts)
    return isinstance(error, MemoryError) or told


@contextmanager
def exit_on_input_error(program: str) -> Iterator[None]:
    """Ends the program with status 2 and the single line `program: error` when an `InputError` is raised inside."""
    try:
        yield
    except InputError as error:
        print(f"{program}: {error}", file=sys.stderr)
        sys.exit(2)


@contextmanager
def extras_required() -> Iterator[None]:
    """Context in which packages that are missing, or do not fit together, are reported with what to install.

    Raises:
        PackageError: An import inside the context lacks a module of `EXTRAS`, or a torchvision that fits torch.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        extra = next((extra for extra, modules in EXTRAS.items() if module in modules), None)
        if extra is None:
            raise
        raise PackageError(f'{module} is not installed: pip install "mine[{extra}]"') from error
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        # Binaries of another version: "operator torchvision::nms does not exist", an undefined symbol, and so on.
        if "torchvision" not in str(error):
            raise
        remedy = "install both in one command, pip install --force-reinstall torch torchvision"
        raise PackageError(f"torchvision does not fit torch ({str(error).partition(chr(10))[0]}): {remedy}") from error
