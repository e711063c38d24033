"""ROS 2's launch in Python: descriptions, actions, substitutions, events, and what runs them.

An action is visited in the supervisor's thread, where it asks for processes or changes the scope.
"""

from pocket_ros.launch_api.launch import (
    actions,
    conditions,
    event_handlers,
    events,
    launch_description_sources,
    substitutions,
)
from pocket_ros.launch_api.launch.action import Action
from pocket_ros.launch_api.launch.condition import Condition
from pocket_ros.launch_api.launch.event import Event
from pocket_ros.launch_api.launch.event_handler import EventHandler
from pocket_ros.launch_api.launch.launch_context import LaunchContext
from pocket_ros.launch_api.launch.launch_description import LaunchDescription
from pocket_ros.launch_api.launch.launch_description_entity import LaunchDescriptionEntity
from pocket_ros.launch_api.launch.launch_description_source import LaunchDescriptionSource
from pocket_ros.launch_api.launch.launch_service import LaunchService
from pocket_ros.launch_api.launch.some_entities_type import SomeEntitiesType
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType
from pocket_ros.launch_api.launch.substitution import Substitution

__all__ = [
    "Action",
    "Condition",
    "Event",
    "EventHandler",
    "LaunchContext",
    "LaunchDescription",
    "LaunchDescriptionEntity",
    "LaunchDescriptionSource",
    "LaunchService",
    "SomeEntitiesType",
    "SomeSubstitutionsType",
    "Substitution",
    "actions",
    "conditions",
    "event_handlers",
    "events",
    "launch_description_sources",
    "substitutions",
]
