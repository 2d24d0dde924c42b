"""The scenes that visitors have made: one folder of files a scene, owned by one session, and never too many."""

import secrets
import shutil
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

PER_SESSION = 4
"""Scenes a session keeps: enough to go back to a photo or two. A scene takes some 20 MB of disk, no memory."""

OVERALL = 24
"""Scenes of all sessions together."""


Key = tuple[str, Path, Hashable]
"""Session, photo and the settings that the scene was made with."""


class Scenes:
    """Folders by session, photo and settings, least recently used first. Callers take turns: nothing here locks."""

    def __init__(self, root: Path, per_session: int = PER_SESSION, overall: int = OVERALL) -> None:
        self.root, self.per_session, self.overall = root, per_session, overall
        self._folders: OrderedDict[Key, Path] = OrderedDict()

    def __len__(self) -> int:
        return len(self._folders)

    def find(self, session: str, photo: Path, settings: Hashable) -> Path | None:
        """The folder of a scene that this session made, or None."""
        folder = self._folders.get((session, photo, settings))
        if folder is not None:
            self._folders.move_to_end((session, photo, settings))
        return folder

    def photos(self) -> set[Path]:
        """The folders of the photos that scenes were made of."""
        return {photo.parent for _, photo, _ in self._folders}

    @contextmanager
    def new(self, session: str, photo: Path, settings: Hashable) -> Iterator[Path]:
        """Yields an empty folder, kept when the block ends well; old scenes make room for it.

        Its name cannot be guessed: whoever knows the name of a file can fetch it.
        """
        folder = self.root / secrets.token_urlsafe(16)
        folder.mkdir(parents=True)
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder)
            raise
        self._folders[session, photo, settings] = folder
        own = [name for name in self._folders if name[0] == session]
        for name in own[: -self.per_session]:
            self._remove(name)
        while len(self._folders) > self.overall:
            self._remove(next(iter(self._folders)))

    def close(self, session: str) -> None:
        """Removes all that a session made."""
        for name in [name for name in self._folders if name[0] == session]:
            self._remove(name)

    def _remove(self, name: Key) -> None:
        shutil.rmtree(self._folders.pop(name), ignore_errors=True)


def emptied(folder: Path, kind: str) -> Path:
    """A new folder `kind-*` inside `folder` in place of an earlier one.

    A new name each time: browsers would show what they fetched under the old one.
    """
    for old in folder.glob(f"{kind}-*"):
        shutil.rmtree(old)
    new = folder / f"{kind}-{secrets.token_hex(4)}"
    new.mkdir()
    return new


def remove_old(uploads: Path, keep: set[Path], seconds: float) -> None:
    """Removes the folders in `uploads` that are older than `seconds`, except those in `keep`."""
    for folder in set(uploads.iterdir()) - keep:
        if time.time() - folder.stat().st_mtime > seconds:
            shutil.rmtree(folder, ignore_errors=True)
