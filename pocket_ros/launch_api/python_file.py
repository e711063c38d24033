"""Launch files in Python, for those who start launch files whatever they are written in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pocket_ros import hook
from pocket_ros.launch.description import Argument
from pocket_ros.launch.errors import LaunchError

if TYPE_CHECKING:
    from pocket_ros.launch.supervisor import LaunchRun, OnOutput
    from pocket_ros.launch_api.launch.launch_description import LaunchDescription


def start(
    path: Path,
    arguments: Mapping[str, str],
    environ: Mapping[str, str],
    on_output: OnOutput | None = None,
    log_dir: Path | None = None,
) -> LaunchRun:
    """Start what the file describes; raises LaunchError if the file itself is wrong."""
    description = _load(path)
    from pocket_ros.launch_api.launch.actions import IncludeLaunchDescription
    from pocket_ros.launch_api.launch.launch_description import LaunchDescription
    from pocket_ros.launch_api.launch.launch_description_source import LaunchDescriptionSource
    from pocket_ros.launch_api.launch.launch_service import LaunchService

    service = LaunchService()
    service.context.scope.file = path.absolute()
    service.context.scope.environment = dict(environ)
    source = LaunchDescriptionSource(description)
    include = IncludeLaunchDescription(source, launch_arguments=arguments.items())
    service.include_launch_description(LaunchDescription([include]))
    return service.start(environ, on_output=on_output, log_dir=log_dir)


def declared_arguments(path: Path) -> list[Argument]:
    """Arguments that the file declares, with their defaults as written."""
    found = []
    for argument in _load(path).get_launch_arguments(conditional_inclusion=True):
        default = argument.default_value
        text = None if default is None else "".join(_written(part) for part in default)
        found.append(
            Argument(argument.name, text, argument.description, tuple(argument.choices or ()))
        )
    return found


def _written(part: object) -> str:
    return part.text if hasattr(part, "text") else part.describe()  # type: ignore[attr-defined]


def _load(path: Path) -> LaunchDescription:
    hook.install()
    from pocket_ros.launch_api.launch.launch_description_sources import (
        get_launch_description_from_python_launch_file,
    )

    if not path.is_file():
        raise LaunchError(f"the launch file {path} does not exist")
    try:
        return get_launch_description_from_python_launch_file(os.fspath(path))
    except LaunchError:
        raise
    except Exception as error:
        raise LaunchError(f"{path}: {type(error).__name__}: {error}") from error
