"""Where the files of the package are: launch, config, urdf."""

from __future__ import annotations

import sys
from pathlib import Path

from matlab_ros.model.errors import ConfigError

_MARK = Path("config") / "labs"


def share_dir() -> Path:
    """The folder that holds launch/, config/ and urdf/.

    A source tree or an editable install has them beside the package; an installed package has them
    in ``share/matlab_ros`` of one of the prefixes above it.

    Raises:
        ConfigError: they are nowhere, so the installation is broken.
    """
    package = Path(__file__).resolve().parent
    places = [package.parent, Path(sys.prefix) / "share" / "matlab_ros"]
    places += [parent / "share" / "matlab_ros" for parent in package.parents]
    for place in places:
        if (place / _MARK).is_dir():
            return place
    raise ConfigError(package, "", "has no config folder beside it", "a complete installation")


def config_file(kind: str, name: str, suffix: str = ".yaml") -> Path:
    """A file that comes with the package, such as ``config_file("labs", "virtual_lab")``."""
    return share_dir() / "config" / kind / f"{name}{suffix}"
