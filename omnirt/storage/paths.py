"""Where omnirt keeps things, and how a foreign name becomes part of a path.

Layout: `<data>/omnirt.db`, `<data>/locks/`, `<data>/audio/<project>/<agent>/<session>/<file>.wav`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

FOLDER_MODE = 0o700
FILE_MODE = 0o600

_MAX_NAME = 64
_HASH_CHARS = 12  # 48 bits: two of the names that one user ever gives don't meet
_PLAIN = re.compile(r"[a-z0-9_][a-z0-9._-]*")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
# Windows opens the device for these, whatever the case and the extension.
_RESERVED = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}


def safe_name(text: str) -> str:
    """A name for one file or folder that stands for `text` and no other text.

    Plain lower-case names stay as they are. All others are cleaned, cut, and given `~` (which no plain name
    holds) and a hash of the original, so that two texts never meet, on a file system that ignores case too.

    Args:
        text: Anything: an id from a host or a provider, of any length, with NUL, `..` or lone surrogates.

    Returns:
        1 to 64 ASCII characters: no separator, no leading dot or dash, no trailing dot, no reserved name.
    """
    if _PLAIN.fullmatch(text) and len(text) <= _MAX_NAME and text[-1] != "." and not _is_reserved(text):
        return text
    import hashlib  # here, for start-up's sake

    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    stem = _UNSAFE.sub("_", text[: _MAX_NAME * 2]).lstrip(".-")[: _MAX_NAME - _HASH_CHARS - 2]
    if not stem or _is_reserved(stem):
        stem = f"_{stem}"
    return f"{stem}~{digest}"


def _is_reserved(name: str) -> bool:
    return name.partition(".")[0].lower() in _RESERVED


def default_data_dir() -> Path:
    """The user's data folder for omnirt on this system."""
    import platformdirs  # here, for start-up's sake

    return Path(platformdirs.user_data_dir("omnirt", appauthor=False))


def default_config_dir() -> Path:
    """The user's configuration folder for omnirt on this system."""
    import platformdirs  # here, for start-up's sake

    return Path(platformdirs.user_config_dir("omnirt", appauthor=False))


def database_path(data_dir: Path) -> Path:
    """The database under `data_dir`."""
    return data_dir / "omnirt.db"


def locks_dir(data_dir: Path) -> Path:
    """The folder of the lock files of live sessions."""
    return data_dir / "locks"


def session_audio_dir(data_dir: Path, project_slug: str, agent_slug: str, session_id: str) -> Path:
    """The folder of a session's audio files; the names may be anything."""
    return data_dir / "audio" / safe_name(project_slug) / safe_name(agent_slug) / safe_name(session_id)


def recording_path(data_dir: Path, relative: str) -> Path:
    """The file that a row of the database names; one that names anything else names nothing that exists."""
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or path.parts[:1] != ("audio",) or path.suffix != ".wav":
        return data_dir / "audio" / "no-such.wav"
    return data_dir / path


def audio_file_name(run_prefix: str, ordinal: int, item_id: str, content_index: int) -> str:
    """The name of one content part's file: sorts by run and order, and names the item."""
    return f"{run_prefix}-{ordinal:04d}-{safe_name(item_id)}-{content_index}.wav"


def run_prefix(folder: Path, run_id: str) -> str:
    """A short prefix for the files of a run that no file in `folder` has yet."""
    name = safe_name(run_id)
    taken = [file.name.lower() for file in folder.iterdir()] if folder.is_dir() else []
    for prefix in (name[:8], name[:16]):
        if not any(other.startswith(f"{prefix.lower()}-") for other in taken):
            return prefix
    return name


def make_private_dir(folder: Path) -> None:
    """Make `folder` and its missing parents, for the user alone whatever the umask.

    Folders that exist are left as they are: `--data-dir` may name one that others share.

    Raises:
        OSError: A folder can't be made.
    """
    if folder.is_dir():
        return
    make_private_dir(folder.parent)
    try:
        folder.mkdir(FOLDER_MODE)
    except FileExistsError:  # another daemon was first
        if not folder.is_dir():
            raise
        return
    folder.chmod(FOLDER_MODE)


def create_private(path: Path, flags: int) -> int:
    """Open `path` with `flags`, making it for the user alone whatever the umask; returns the descriptor.

    Raises:
        OSError: It can't be opened, or is a symbolic link.
    """
    fd = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
    try:
        if os.fstat(fd).st_mode & 0o777 != FILE_MODE:
            os.fchmod(fd, FILE_MODE)
    except OSError:
        os.close(fd)
        raise
    return fd
