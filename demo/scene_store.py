"""The scenes that visitors have made, on disk: a folder per scene, owned by a session, with limits on their number."""

import secrets
import shutil
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

PER_SESSION = 4
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

    def __len__(self) -> int:
        """Number of scenes."""
        return len(self._folders)

    def find(self, session: str, photo: Path, settings: Hashable) -> Path | None:
        """The folder of a scene that this session made with these settings, or None. It then counts as just used."""
        folder = self._folders.get((session, photo, settings))
        if folder is not None:
            self._folders.move_to_end((session, photo, settings))
        return folder

    def photo_folders(self) -> set[Path]:
        """The folders of the photos of all scenes."""
        return {photo.parent for _, photo, _ in self._folders}

    @contextmanager
    def new(self, session: str, photo: Path, settings: Hashable) -> Iterator[Path]:
        """Makes the folder of a new scene. It is removed if the block raises; else old scenes beyond the limits are.

        Args:
            session: Owner of the scene.
            photo: File of the photo.
            settings: What else the scene depends on.

        Yields:
            An empty folder. Its name cannot be guessed, because whoever knows a file's name can fetch it.
        """
        folder = self.root / secrets.token_urlsafe(16)
        folder.mkdir(parents=True)
        try:
            yield folder
        except BaseException:
            shutil.rmtree(folder)
            raise
        self._folders[session, photo, settings] = folder
        own = [key for key in self._folders if key[0] == session]
        for key in own[: -self.per_session]:
            self._remove(key)
        while len(self._folders) > self.overall:
            self._remove(next(iter(self._folders)))

    def close(self, session: str) -> None:
        """Removes all scenes of a session."""
        for key in [key for key in self._folders if key[0] == session]:
            self._remove(key)

    def _remove(self, key: Key) -> None:
        shutil.rmtree(self._folders.pop(key), ignore_errors=True)


def replace_folder(folder: Path, kind: str) -> Path:
    """Replaces the folder `kind-*` inside `folder` by an empty one under another name.

    Under the same name, browsers would show the old files from their cache.
    """
    for old in folder.glob(f"{kind}-*"):
        shutil.rmtree(old)
    new = folder / f"{kind}-{secrets.token_hex(4)}"
    new.mkdir()
    return new


def remove_stale(uploads: Path, keep: set[Path], seconds: float) -> None:
    """Removes the folders in `uploads` that are older than `seconds`, except those in `keep`."""
    for folder in set(uploads.iterdir()) - keep:
        if time.time() - folder.stat().st_mtime > seconds:
            shutil.rmtree(folder, ignore_errors=True)
