"""The scenes that visitors have made, on disk: a folder per scene, owned by a session, with limits on their number."""

import secrets
import shutil
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

PER_SESSION = 6
"""Scenes kept per session. A scene takes about 20 MB of disk and no memory."""

OVERALL = 24
"""Scenes kept over all sessions."""


Key = tuple[str, Path, Hashable]
"""Session, photo and settings of a scene."""


class SceneStore:
    """Scene folders by session, photo and settings; the least recently used are removed first. Not thread-safe.

    Args:
        root: Folder of the scene folders.
        per_session: Most scenes kept per session.
        overall: Most scenes kept over all sessions.
    """

    def __init__(self, root: Path, per_session: int = PER_SESSION, overall: int = OVERALL) -> None:
        self.root, self.per_session, self.overall = root, per_session, overall
        self._folders: OrderedDict[Key, Path] = OrderedDict()
        self._used: dict[str, float] = {}

    def __len__(self) -> int:
        """Number of scenes."""
        return len(self._folders)

    def find(self, session: str, photo: Path, settings: Hashable) -> Path | None:
        """The folder of a scene that this session made with these settings, or None. It then counts as just used."""
        folder = self._folders.get((session, photo, settings))
        if folder is not None:
            self._folders.move_to_end((session, photo, settings))
            self._used[session] = time.monotonic()
        return folder

    def upload_folders(self) -> set[Path]:
        """The folders of the photos, and of the depth maps, of all scenes."""
        maps = (getattr(settings, "depth", None) for _, _, settings in self._folders)
        return {photo.parent for _, photo, _ in self._folders} | {file.parent for file in maps if file}

    @contextmanager
    def new(
        self,
        session: str,
        photo: Path,
        settings: Hashable,
        lock: AbstractContextManager[object] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Iterator[Path]:
        """Makes the folder of a new scene. It is removed if the block raises; else old scenes beyond the limits are.

        Args:
            session: Owner of the scene.
            photo: File of the photo.
            settings: What else the scene depends on.
            lock: Held while the store changes, but not while the block runs.
            check: Called with the lock held once the scene is made; raises if its owner has gone.

        Yields:
            An empty folder. Its name cannot be guessed, because whoever knows a file's name can fetch it.
        """
        folder = self.root / secrets.token_urlsafe(16)
        folder.mkdir(parents=True)
        try:
            yield folder
            with lock or nullcontext():
                check()
                self._add((session, photo, settings), folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def close(self, session: str) -> None:
        """Removes all scenes of a session."""
        for key in [key for key in self._folders if key[0] == session]:
            self._remove(key)

    def rank(self, session: str, last: bool) -> bool:
        """Of too many scenes, makes those of a session the last to go, or the first; returns whether there are any."""
        own = [key for key in self._folders if key[0] == session]
        for key in own if last else reversed(own):
            self._folders.move_to_end(key, last=last)
        return bool(own)

    def close_idle(self, keep: set[str], seconds: float) -> None:
        """Removes the scenes of all sessions but `keep` that were not used for some seconds."""
        oldest = time.monotonic() - seconds
        for session in {key[0] for key in self._folders} - keep:
            if self._used[session] < oldest:
                self.close(session)

    def _add(self, key: Key, folder: Path) -> None:
        """Takes a scene in; the oldest beyond the limits go."""
        session = key[0]
        if key in self._folders:  # made twice at once: the later one stays
            self._remove(key)
        self._folders[key] = folder
        self._used[session] = time.monotonic()
        own = [key for key in self._folders if key[0] == session]
        for old in own[: -self.per_session]:
            self._remove(old)
        while len(self._folders) > self.overall:
            self._remove(next(iter(self._folders)))

    def _remove(self, key: Key) -> None:
        shutil.rmtree(self._folders.pop(key), ignore_errors=True)
        if not any(other[0] == key[0] for other in self._folders):
            self._used.pop(key[0], None)


@contextmanager
def new_folder(folder: Path, kind: str, keep: int) -> Iterator[Path]:
    """Makes an empty folder `kind-NUMBER-*` inside `folder`, which is removed if the block raises.

    Else the oldest of more than `keep` of this kind go. Each has a name of its own: under the same name, browsers would
    show old files from their cache.
    """
    old = _by_age(folder, kind)
    number = _number(old[-1]) + 1 if old else 0
    new = folder / f"{kind}-{number}-{secrets.token_hex(4)}"
    new.mkdir()
    try:
        yield new
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    for one in _by_age(folder, kind)[:-keep]:
        shutil.rmtree(one, ignore_errors=True)


def latest(folder: Path, kind: str) -> list[Path]:
    """The files in the folders `kind-*` inside `folder`, latest folder first, MP4 before the others."""
    return [
        file
        for one in reversed(_by_age(folder, kind))
        for file in sorted(one.iterdir(), key=lambda file: (file.suffix != ".mp4", file.name))
    ]


def _by_age(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"{kind}-*-*"), key=_number)


def _number(folder: Path) -> int:
    return int(folder.name.split("-")[1])


def remove_stale(uploads: Path, keep: set[Path], seconds: float) -> None:
    """Removes what is in `uploads` and older than `seconds`, except `keep`: folders, and files of broken uploads."""
    for entry in set(uploads.iterdir()) - keep:
        try:
            if time.time() - entry.stat().st_mtime <= seconds:
                continue
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()
        except FileNotFoundError:
            continue  # moved to its folder, or removed by another sweep
