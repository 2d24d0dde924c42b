"""The commands that start something else: the web demo and the benchmark. Docstrings are the options' help."""

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from mine.cli import options
from mine.cli.checks import check_checkpoint
from mine.errors import InputError


def demo(
    host: str = "127.0.0.1",
    port: Annotated[int, options.PORT] = 7860,
    share: bool = False,
    auth: Annotated[str | None, arg(metavar="NAME:PASSWORD", help_behavior_hint="(default: nobody is asked)")] = None,
    checkpoint: Annotated[
        Path | None, arg(metavar="FILE", help_behavior_hint="(default: the one that comes with MINE)")
    ] = None,
) -> None:
    """Serves the web demo until it is stopped.

    Args:
        host: Address to listen on; 0.0.0.0 lets other machines connect.
        port: Port to listen on: the page is then at http://HOST:PORT.
        share: Also make a public link, through Gradio's servers.
        auth: Ask visitors for this name and password, given as NAME:PASSWORD.
        checkpoint: Network weights: ours (.safetensors) or published MINE ones (.pth).
    """
    check_checkpoint(checkpoint)
    if auth is not None and ":" not in auth:
        raise InputError(f"auth {auth!r} has no colon: give name:password")
    from mine.demo.app import launch

    launch(host, port, share, auth, checkpoint)


def bench(json: bool = False) -> None:
    """Prints median seconds, and how many times faster than the reference implementation each is.

    Args:
        json: Print JSON instead of a table.
    """
    from json import dumps

    from mine.cli.bench import as_dict, table
    from mine.cli.bench import bench as run

    rows = run()
    print(dumps(as_dict(rows), indent=2) if json else table(rows))
