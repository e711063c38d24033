"""A graph of their own for the tests of nodes."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator

import pytest

import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)


@pytest.fixture(scope="session")
def graph() -> Iterator[None]:
    """A router on a port of its own, where there is no ROS 2."""
    patch = pytest.MonkeyPatch()
    if os.environ.get("AMENT_PREFIX_PATH"):
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        patch.setenv("ROS_DOMAIN_ID", "87")
        yield
        patch.undo()
        return
    import zenoh

    from pocket_ros.session import router_config

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"tcp/127.0.0.1:{probe.getsockname()[1]}"
    config = router_config()
    config.insert_json5("listen/endpoints", json.dumps([endpoint]))
    with zenoh.open(config):
        patch.setenv("ZENOH_CONFIG_OVERRIDE", f'connect/endpoints=["{endpoint}"]')
        yield
    patch.undo()
