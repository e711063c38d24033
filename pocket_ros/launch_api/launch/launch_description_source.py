"""Where an included launch description comes from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pocket_ros.launch_api.launch.launch_description import LaunchDescription
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType
from pocket_ros.launch_api.launch.utilities import Text

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext


class LaunchDescriptionSource:
    """A description at hand, or the path of a file to be read when it is included."""

    def __init__(
        self,
        launch_description: LaunchDescription | None = None,
        location: SomeSubstitutionsType = "<script>",
        method: str = "unspecified mechanism from a script",
    ) -> None:
        self._description = launch_description
        self._location = Text(location)
        self.method = method

    @property
    def is_file(self) -> bool:
        """Whether it is read from a file."""
        return self._description is None

    def location(self, context: LaunchContext) -> Path:
        """Absolute path of the file."""
        return Path(self._location.value(context)).absolute()

    def try_get_launch_description_without_context(self) -> LaunchDescription | None:
        """The description, if it is known before the launch runs."""
        return self._description

    def get_launch_description(self, context: LaunchContext) -> LaunchDescription:
        """The description to visit; raises LaunchError if the file is wrong."""
        if self._description is None:
            raise NotImplementedError(f"{type(self).__name__} does not say what it describes")
        return self._description
