"""ROS 2's launch_testing: tests of running processes, and of what they leave behind.

A test file has `generate_test_description()`, which returns a description with a `ReadyToTest`
action (and, if it likes, a dictionary of arguments for its tests), and classes of unittest. Those
marked with `post_shutdown_test` run when all processes have ended.
"""

from pocket_ros.launch_api.launch_testing import (
    actions,
    asserts,
    event_handlers,
    markers,
    tools,
    util,
)
from pocket_ros.launch_api.launch_testing.decorators import (
    parametrize,
    post_shutdown_test,
    ready_to_test_action_timeout,
)
from pocket_ros.launch_api.launch_testing.io_handler import ActiveIoHandler, IoHandler
from pocket_ros.launch_api.launch_testing.proc_info_handler import (
    ActiveProcInfoHandler,
    ProcInfoHandler,
)
from pocket_ros.launch_api.launch_testing.ready_aggregator import ReadyAggregator

__all__ = [
    "ActiveIoHandler",
    "ActiveProcInfoHandler",
    "IoHandler",
    "ProcInfoHandler",
    "ReadyAggregator",
    "actions",
    "asserts",
    "event_handlers",
    "markers",
    "parametrize",
    "post_shutdown_test",
    "ready_to_test_action_timeout",
    "tools",
    "util",
]
