"""Type of an argument that takes one entity or several."""

from __future__ import annotations

from collections.abc import Iterable

from pocket_ros.launch_api.launch.launch_description_entity import LaunchDescriptionEntity

SomeEntitiesType = LaunchDescriptionEntity | Iterable[LaunchDescriptionEntity]
