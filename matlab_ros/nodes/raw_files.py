"""Raw files of instruments, kept by their content and named in messages."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from urllib.parse import unquote, urlparse

from matlab_ros.model.errors import DataError
from matlab_ros_interfaces.msg import RawFile


def keep(content: bytes, folder: Path, suffix: str, media_type: str) -> RawFile:
    """Write content into a folder under its hash; the same content is kept once.

    Args:
        content: the bytes.
        folder: of all raw files; made where it is missing.
        suffix: of the file's name, with the dot.
        media_type: for the message.
    """
    digest = hashlib.sha256(content).hexdigest()
    path = folder.resolve() / digest[:2] / f"{digest}{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Whole or not at all: a reader never finds half a file under a hash.
        unfinished = path.with_suffix(f"{suffix}.{os.getpid()}.part")
        unfinished.write_bytes(content)
        unfinished.replace(path)
    return RawFile(uri=path.as_uri(), sha256=digest, size_bytes=len(content), media_type=media_type)


def path_of(file: RawFile) -> Path:
    """Where the file that a message names can be read, after checking that it is that file.

    Raises:
        DataError: it is not a file of this machine, or holds other bytes.
    """
    parts = urlparse(file.uri)
    if parts.scheme != "file":
        raise DataError(file.uri or "raw file", "is no file of this machine", "give a file:// URI")
    path = Path(unquote(parts.path))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(path, f"cannot be read ({error.strerror})", "mount its folder") from error
    if file.sha256 and hashlib.sha256(content).hexdigest() != file.sha256:
        raise DataError(path, "holds other bytes than when it was measured", "restore the file")
    return path
