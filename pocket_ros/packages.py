"""Where packages live: share directories, interface texts and executables.

Asked in this order, the first that knows a package wins:

1. `<prefix>/share/<package>` for each prefix in AMENT_PREFIX_PATH (a colcon workspace);
2. the folders in POCKET_ROS_PACKAGE_PATH;
3. the source trees of editable pip installs;
4. `<sys.prefix>/share/<package>` (installed wheels).

A folder is the share directory of the package that its package.xml names. In 2 and 3 it is the
folder itself or one directly below it, as in a colcon source workspace. Interface texts may also
stand alone in `<sys.prefix>/share/pocket_ros/interfaces/<package>`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

_MANIFEST = "package.xml"
_NOT_SOURCES = {"build", "install", "log"}
_KINDS = ("msg", "srv", "action")


class PackageNotFoundError(KeyError):
    """No package of that name is known; the message says where it was looked for."""

    def __str__(self) -> str:
        return str(self.args[0])


def share_directory(package: str) -> Path:
    """The folder with the package's launch files, configuration and interface texts.

    Raises PackageNotFoundError.
    """
    for folder in _share_directories(package):
        return folder
    raise PackageNotFoundError(f"the package {package!r} was not found; looked in {_searched()}")


def interface_folders(package: str) -> list[Path]:
    """Folders that hold interface texts of the package (msg/, srv/, action/), best first."""
    folders = [*_share_directories(package), _interface_share() / package]
    return [folder for folder in folders if _has_interfaces(folder)]


def interface_packages() -> set[str]:
    """Names of all packages, outside pocket_ros itself, that hold interface texts."""
    names = {name for name, folder in _source_packages().items() if _has_interfaces(folder)}
    for share in [*_ament_shares(), Path(sys.prefix, "share"), _interface_share()]:
        if share.is_dir():
            names.update(entry.name for entry in share.iterdir() if _has_interfaces(entry))
    return {name for name in names if name.isidentifier()}


def executables(package: str) -> dict[str, metadata.EntryPoint]:
    """The programs of a package: console scripts of the distribution with the package's name.

    Raises PackageNotFoundError where no such distribution is installed.
    """
    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        raise PackageNotFoundError(
            f"no installed Python distribution is called {package!r}, so it has no executables"
        ) from None
    return {e.name: e for e in distribution.entry_points if e.group == "console_scripts"}


def refresh() -> None:
    """Forget what was found, after an environment variable or an installation changed."""
    _editable_roots.cache_clear()
    _packages_below.cache_clear()


def _share_directories(package: str) -> Iterator[Path]:
    if not re.fullmatch(r"[A-Za-z][\w-]*", package):
        return
    for share in _ament_shares():
        if (share / package / _MANIFEST).is_file():
            yield share / package
    if (source := _source_packages().get(package)) is not None:
        yield source
    installed = Path(sys.prefix, "share", package)
    if (installed / _MANIFEST).is_file():
        yield installed


def _has_interfaces(folder: Path) -> bool:
    return any((folder / kind).is_dir() for kind in _KINDS)


def _interface_share() -> Path:
    return Path(sys.prefix, "share", "pocket_ros", "interfaces")


def _ament_shares() -> list[Path]:
    return [Path(prefix, "share") for prefix in _path_variable("AMENT_PREFIX_PATH")]


def _path_variable(name: str) -> list[str]:
    return [part for part in os.environ.get(name, "").split(os.pathsep) if part]


def _source_packages() -> dict[str, Path]:
    """Packages of source trees by name; the first tree that names one wins."""
    found: dict[str, Path] = {}
    for root in [*_path_variable("POCKET_ROS_PACKAGE_PATH"), *_editable_roots()]:
        for name, folder in _packages_below(Path(root)).items():
            found.setdefault(name, folder)
    return found


@cache
def _packages_below(root: Path) -> dict[str, Path]:
    """Packages whose package.xml is in `root` or in a folder directly below it."""
    if not root.is_dir():
        return {}
    below = sorted(
        entry
        for entry in root.iterdir()
        if entry.is_dir()
        and not entry.name.startswith(".")
        and entry.name not in _NOT_SOURCES
        and not (entry / "COLCON_IGNORE").exists()
    )
    found: dict[str, Path] = {}
    for folder in [root, *below]:
        manifest = folder / _MANIFEST
        if manifest.is_file() and (name := _manifest_name(manifest)):
            found.setdefault(name, folder.resolve())
    return found


def _manifest_name(manifest: Path) -> str | None:
    try:
        element = ElementTree.parse(manifest).getroot().find("name")
    except ElementTree.ParseError:
        return None
    return element.text.strip() if element is not None and element.text else None


@cache
def _editable_roots() -> tuple[str, ...]:
    """Project roots of editable installs, from pip's direct_url.json (PEP 610)."""
    roots = []
    for folder in sys.path:
        for record in Path(folder or ".").glob("*.dist-info/direct_url.json"):
            try:
                content = json.loads(record.read_text(encoding="utf-8"))
                editable = bool(content["dir_info"]["editable"])
                url = urlsplit(content["url"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if editable and url.scheme == "file":
                # Brings half of Python's network library, for those who have such installs.
                from urllib.request import url2pathname

                roots.append(url2pathname(url.path))
    return tuple(roots)


def _searched() -> str:
    """Says in words where packages are looked for."""
    ament = ", ".join(map(str, _ament_shares())) or "AMENT_PREFIX_PATH (not set)"
    own = _path_variable("POCKET_ROS_PACKAGE_PATH")
    sources = [
        ament,
        ", ".join(own) or "POCKET_ROS_PACKAGE_PATH (not set)",
        ", ".join(_editable_roots()) or "editable pip installs (none)",
        str(Path(sys.prefix, "share")),
    ]
    return "; ".join(sources)
