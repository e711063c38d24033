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


def config_named(kind: str, given: str, option: str) -> Path:
    """A configuration that somebody names: a YAML file, or the name of one that comes with us.

    Raises:
        ConfigError: there is none of that name; the known ones are listed.
    """
    path = Path(given)
    if path.suffix in (".yaml", ".yml"):
        return path
    path = config_file(kind, given)
    if not path.is_file():
        known = ", ".join(sorted(item.stem for item in path.parent.glob("*.yaml")))
        raise ConfigError("command line", option, f"{given!r} is unknown", f"one of {known}")
    return path


def own_file(kind: str, name: str, campaign: Path) -> Path:
    """A file of the lab that a campaign belongs to; of the package where the lab has none.

    A lab of one's own is a folder with ``labs/``, ``recipes/`` and ``campaigns/`` in it, as
    ``matlab-ros init`` writes it.

    Args:
        kind: "labs" or "recipes".
        name: without its ending.
        campaign: file of the campaign.
    """
    own = campaign.resolve().parent.parent / kind / f"{name}.yaml"
    return own if own.is_file() else config_file(kind, name)


def own_folder(kind: str, campaign: Path) -> Path | None:
    """A folder beside that of a campaign's file; None where there is none."""
    folder = campaign.resolve().parent.parent / kind
    return folder if folder.is_dir() else None


def known_names(kind: str, campaign: Path) -> list[str]:
    """What a campaign can name: files of the package and of its own lab, without their ending."""
    folders = [share_dir() / "config" / kind, own_folder(kind, campaign)]
    return sorted({file.stem for folder in folders if folder for file in folder.glob("*.yaml")})
