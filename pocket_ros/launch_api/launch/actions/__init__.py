"""Actions of launch descriptions."""

from pocket_ros.launch_api.launch.actions.configuration import (
    DeclareLaunchArgument,
    SetLaunchConfiguration,
    UnsetLaunchConfiguration,
)
from pocket_ros.launch_api.launch.actions.control import (
    EmitEvent,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
    TimerAction,
    UnregisterEventHandler,
)
from pocket_ros.launch_api.launch.actions.environment import (
    AppendEnvironmentVariable,
    SetEnvironmentVariable,
    UnsetEnvironmentVariable,
)
from pocket_ros.launch_api.launch.actions.execute_process import ExecuteLocal, ExecuteProcess

__all__ = [
    "AppendEnvironmentVariable",
    "DeclareLaunchArgument",
    "EmitEvent",
    "ExecuteLocal",
    "ExecuteProcess",
    "GroupAction",
    "IncludeLaunchDescription",
    "LogInfo",
    "OpaqueFunction",
    "RegisterEventHandler",
    "SetEnvironmentVariable",
    "SetLaunchConfiguration",
    "Shutdown",
    "TimerAction",
    "UnregisterEventHandler",
    "UnsetEnvironmentVariable",
    "UnsetLaunchConfiguration",
]
