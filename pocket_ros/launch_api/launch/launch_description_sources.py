"""Launch files as sources of descriptions: XML, YAML, Python, or whatever the path ends in."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from pocket_ros.launch.errors import LaunchError
from pocket_ros.launch.interpreter import interpret_included
from pocket_ros.launch_api.launch.action import Action
from pocket_ros.launch_api.launch.launch_description import LaunchDescription
from pocket_ros.launch_api.launch.launch_description_source import LaunchDescriptionSource
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext

__all__ = [
    "AnyLaunchDescriptionSource",
    "FrontendLaunchDescriptionSource",
    "InvalidPythonLaunchFileError",
    "PythonLaunchDescriptionSource",
    "get_launch_description_from_python_launch_file",
]


class InvalidPythonLaunchFileError(LaunchError):
    """A Python launch file has no generate_launch_description."""


class _InterpretFile(Action):
    """Does what an XML or YAML file says, in the context's scope."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def execute(self, context: LaunchContext) -> None:
        for item in interpret_included(self._path, context.scope).items:
            context.running().do(item)


class _FileSource(LaunchDescriptionSource):
    def __init__(self, launch_file_path: SomeSubstitutionsType) -> None:
        super().__init__(None, launch_file_path, "launch file")

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        """The description to visit; raises LaunchError if the file is wrong."""
        path = self.location(context)
        if not path.is_file():
            raise LaunchError(f"the launch file {path} does not exist")
        return self._read(path)

    def _read(self, path: Path) -> LaunchDescription:
        raise NotImplementedError


class FrontendLaunchDescriptionSource(_FileSource):
    """A launch file in XML or YAML."""

    def _read(self, path: Path) -> LaunchDescription:
        return LaunchDescription([_InterpretFile(path)])


class PythonLaunchDescriptionSource(_FileSource):
    """A launch file in Python."""

    def _read(self, path: Path) -> LaunchDescription:
        return get_launch_description_from_python_launch_file(str(path))


class AnyLaunchDescriptionSource(_FileSource):
    """A launch file in Python if its name ends in .py, else in XML or YAML."""

    def _read(self, path: Path) -> LaunchDescription:
        if path.suffix == ".py":
            return get_launch_description_from_python_launch_file(str(path))
        return LaunchDescription([_InterpretFile(path)])


def get_launch_description_from_python_launch_file(
    python_launch_file_path: str,
) -> LaunchDescription:
    """Run a file and its `generate_launch_description`.

    Raises InvalidPythonLaunchFileError without one, and whatever the file itself raises.
    """
    spec = importlib.util.spec_from_file_location("python_launch_file", python_launch_file_path)
    if spec is None or spec.loader is None:
        raise InvalidPythonLaunchFileError(f"{python_launch_file_path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    generate = getattr(module, "generate_launch_description", None)
    if generate is None:
        raise InvalidPythonLaunchFileError(
            f"the launch file {python_launch_file_path} has no generate_launch_description()"
        )
    description = generate()
    if not isinstance(description, LaunchDescription):
        raise InvalidPythonLaunchFileError(
            f"generate_launch_description() of {python_launch_file_path} returned no "
            f"LaunchDescription but {description!r}"
        )
    return description
