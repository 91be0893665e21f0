"""Files and folders that a user names: how they are found, and what is wrong where they are not."""

import json
import os
import unicodedata
from pathlib import Path
from typing import Any

from reex_jax.errors import UserError

_POINTER = b"version https://git-lfs.github.com/spec/"


def home(path: str | Path) -> Path:
    """The path, `~` at its start read as the home folder; shells do so only at a word's start."""
    return Path(os.path.expanduser(path))


def is_pointer(content: bytes) -> bool:
    """Whether these bytes, or the first hundred of them, are what Git LFS puts for a large file."""
    return content.startswith(_POINTER)


def pointer_error(name: str | Path) -> UserError:
    """For a file that Git LFS has not fetched."""
    return UserError(
        f"{name}: a pointer of Git LFS, not the file itself: the repository was cloned without "
        "Git LFS; run 'git lfs pull' in it, or download the file"
    )


def refuse_pointer(path: Path) -> None:
    """Raises UserError if the file is a pointer of Git LFS; one that cannot be read passes."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_POINTER))
    except OSError:
        return
    if is_pointer(start):
        raise pointer_error(path)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        UserError: unreadable, a pointer of Git LFS, not JSON, or not an object.
    """
    refuse_pointer(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); fetch the file anew") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content


class FileFinder:
    """Finds files whose names are written in another way than on the disk.

    Each folder is listed once, so that many missing files cost no more than one.
    """

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, list[str]]] = {}

    def find(self, path: Path) -> Path:
        """The file or folder itself, or the one whose name is the same in another Unicode form.

        macOS writes `é` as two characters, others as one. If none exists, `path` as it is.
        """
        if os.path.exists(path) or path.parent == path:
            return path
        folder = self.find(path.parent)
        form = unicodedata.normalize("NFC", path.name)
        for name in self._names(folder).get(_loose(path.name), ()):
            if unicodedata.normalize("NFC", name) == form:
                return folder / name
        return path

    def near(self, path: Path) -> str:
        """The name in the same folder that differs only in case or ending; "" if none does."""
        if os.path.exists(path):
            return ""
        names = self._names(self.find(path.parent))
        found = names.get(_loose(path.name)) or names.get(_loose(path.stem)) or ()
        return next(iter(found), "")

    def _names(self, folder: Path) -> dict[str, list[str]]:
        """Loose name, with and without ending -> the names in the folder."""
        if folder not in self._folders:
            listed: dict[str, list[str]] = {}
            try:
                names = sorted(os.listdir(folder))
            except OSError:
                names = []
            for name in names:
                for key in {_loose(name), _loose(os.path.splitext(name)[0])}:
                    listed.setdefault(key, []).append(name)
            self._folders[folder] = listed
        return self._folders[folder]


def _loose(name: str) -> str:
    """The same for all Unicode forms and cases of a name."""
    return unicodedata.normalize("NFC", name).casefold()
