"""Fuzzes the readers of files: only `InputError` in one line, and in less than five seconds, whatever the bytes are.

    python fuzz/fuzz_readers.py --reader photo --seconds 60
    python fuzz/fuzz_readers.py --reader all --executions 1000 --seed 3

Small valid files are changed at random and read in this process. The exit status is 1 if a promise was broken; such
files are kept in the folder of `--keep`.
"""

import argparse
import faulthandler
import logging
import random
import resource
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutate import mutate
from seeds import READERS

from mine.errors import InputError

SLOW = 5.0
"""Seconds that a call may take."""

HANGING = 120.0
"""Seconds after which a call that does not return ends the process, with a traceback of where it is."""


@dataclass
class Account:
    """What became of the files that one reader was given."""

    reader: str
    seconds: float = 0.0
    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    broken: list[str] = field(default_factory=list)
    """one line for each broken promise"""

    def __str__(self) -> str:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return (
            f"{self.reader}: {self.read + self.refused + len(self.broken)} executions in {self.seconds:.0f} s, "
            f"{self.read} read, {self.refused} refused, {len(self.broken)} broken promises, "
            f"slowest {self.slowest:.2f} s, peak {peak:.0f} MB"
        )


def fuzz(name: str, seed: int, executions: int, seconds: float, keep: Path | None = None) -> Account:
    """Gives a reader changed files.

    Args:
        name: One of `READERS`.
        seed: Of the changes.
        executions: Most files.
        seconds: Most seconds.
        keep: Folder for the files that broke a promise.
    """
    reader, account, rng = READERS[name], Account(name), random.Random(f"{seed} {name}")
    with tempfile.TemporaryDirectory() as folder:
        seeds = {path: path.read_bytes() for path in reader.seeds(Path(folder))}
        for path in seeds:  # unchanged, so that modules that readers import on use are not timed
            _run(name, path, Account(name))
        start = time.perf_counter()
        for execution in range(executions):
            path, content = rng.choice(list(seeds.items()))
            path.write_bytes(mutate(content, rng))
            problem = _run(name, path, account)
            if problem:
                account.broken.append(f"{path.name}, execution {execution}: {problem}")
                if keep:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{name}-{execution}-{path.name}").write_bytes(path.read_bytes())
            path.write_bytes(content)
            account.seconds = time.perf_counter() - start
            if account.seconds > seconds:
                break
    return account


def _run(name: str, path: Path, account: Account) -> str | None:
    """Reads one file; returns what promise was broken, None if none was."""
    faulthandler.dump_traceback_later(HANGING, exit=True)
    start = time.perf_counter()
    problem = None
    try:
        READERS[name].read(path)
        account.read += 1
    except InputError as error:
        account.refused += 1
        if "\n" in str(error) or len(str(error)) > 1000:
            problem = f"not one line: {str(error)[:200]!r}"
    except Exception as error:
        problem = f"{type(error).__name__}: {str(error)[:200]!r}"
    finally:
        faulthandler.cancel_dump_traceback_later()
    taken = time.perf_counter() - start
    account.slowest = max(account.slowest, taken)
    return problem or (f"took {taken:.1f} s" if taken > SLOW else None)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", choices=["all", *READERS], default="all")
    parser.add_argument("--executions", type=int, default=sys.maxsize, help="most files for each reader")
    parser.add_argument("--seconds", type=float, default=10.0, help="most seconds for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files that broke a promise")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of damage that the readers get over
    logging.disable(logging.WARNING)  # of samples that data sets skip
    broken = 0
    for name in READERS if options.reader == "all" else [options.reader]:
        account = fuzz(name, options.seed, options.executions, options.seconds, options.keep)
        print(account, *account.broken[:20], sep="\n  ", flush=True)
        broken += len(account.broken)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
