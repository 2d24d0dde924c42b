"""The commands that start something else: the web demo and the benchmark. Docstrings are the options' help."""

import os
import re
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from mine.cli import options
from mine.cli.checks import check_address, check_checkpoint
from mine.errors import InputError
from mine.inputs.files import read_text

MAX_AUTH = 4096
"""Most bytes of a file with a name and password."""


def demo(
    host: Annotated[str, arg(metavar="ADDRESS")] = "127.0.0.1",
    port: Annotated[int, options.PORT] = 7860,
    share: bool = False,
    auth: Annotated[str | None, arg(metavar="NAME:PASSWORD", help_behavior_hint="(default: nobody is asked)")] = None,
    auth_file: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: none)")] = None,
    url: Annotated[str | None, arg(metavar="https://NAME/PREFIX", help_behavior_hint="(default: no proxy)")] = None,
    workers: Annotated[int, options.WORKERS] = 1,
    checkpoint: Annotated[
        Path | None, arg(metavar="FILE", help_behavior_hint="(default: the one that comes with MINE)")
    ] = None,
) -> None:
    """Serves the web demo until it is stopped.

    Args:
        host: Address to listen on; 0.0.0.0 lets other machines connect.
        port: Port to listen on: the page is then at http://HOST:PORT.
        share: Also make a public link, through Gradio's servers.
        auth: Ask visitors for this name and password. Other users of this machine can see it in the list of
            processes; the environment variable MINE_DEMO_AUTH and --auth-file keep it private.
        auth_file: File with NAME:PASSWORD in its first line.
        url: Address of the demo behind a reverse proxy: its name, and the prefix that the proxy strips.
        workers: Number of photos processed at the same time; each takes 1 GB of memory and its share of the cores.
        checkpoint: Network weights: ours (.safetensors) or published MINE ones (.pth).
    """
    check_checkpoint(checkpoint)
    if auth is not None and auth_file is not None:
        raise InputError("--auth and --auth-file both name who may enter: give one of them")
    auth = _credentials(auth, auth_file)
    if url is not None and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", url):
        raise InputError(f"--url {url!r} is no address: give https://NAME/PREFIX, where the proxy serves the demo")
    check_address(host, port)
    from mine.demo.app import launch

    launch(host, port, share, auth, checkpoint, url, workers)


def _credentials(auth: str | None, file: Path | None) -> str | None:
    """NAME:PASSWORD of the option, the file or the environment; None where none of them has any."""
    source = "--auth"
    if file is not None:
        remedy = "give a file with NAME:PASSWORD in its first line"
        text = read_text(file, "password file", remedy, MAX_AUTH)
        auth, source = text.partition("\n")[0].strip(), str(file)
    elif auth is None:
        auth, source = os.environ.get("MINE_DEMO_AUTH") or None, "MINE_DEMO_AUTH"
    if auth is not None and not re.fullmatch(r"[^:]+:.+", auth):
        raise InputError(f"{source} has no colon between a name and a password, or lacks one: give NAME:PASSWORD")
    return auth


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
