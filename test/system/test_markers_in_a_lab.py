"""The markers' node in a whole lab's graph: everything that moves and changes is drawn."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from matlab_ros.model.lab_config import load_lab, position_frame, position_points
from matlab_ros.nodes.device_node import LATCHED

REPOSITORY = Path(__file__).parents[2]
LAB = REPOSITORY / "config" / "labs" / "virtual_lab.yaml"


@contextlib.contextmanager
def markers_node(graph: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "matlab_ros.nodes.markers", "--ros-args", "-p", f"lab_file:={LAB}"],
        cwd=REPOSITORY,
        env={**os.environ, **graph, "OMP_NUM_THREADS": "1"},
    )
    yield
    process.terminate()
    assert process.wait(60) == 0


def test_a_campaign_is_drawn_with_its_samples_heat_and_paths(
    start: Callable[..., Any], look_at: Callable[..., Any]
) -> None:
    campaign = start()
    onlooker = look_at(campaign)
    drawn: dict[tuple[str, int], Any] = {}
    wholes: list[Any] = []
    frames: set[str] = set()

    def on_markers(message: Any) -> None:
        wholes.append(message)
        for marker in message.markers:
            if marker.action == Marker.ADD:
                drawn[marker.ns, marker.id] = marker
            else:
                drawn.pop((marker.ns, marker.id), None)

    onlooker.node.create_subscription(MarkerArray, "markers", on_markers, LATCHED)
    onlooker.node.create_subscription(
        TFMessage,
        "/tf_static",
        lambda message: frames.update(t.child_frame_id for t in message.transforms),
        LATCHED,
    )
    with markers_node(dict(campaign.graph)):
        lab = load_lab(LAB)
        positions = {position_frame(name) for name in position_points(lab)}
        onlooker.wait_for(lambda: positions <= frames, "a frame at every position")

        def words() -> str:
            return "\n".join(
                marker.text for (ns, _), marker in list(drawn.items()) if ns == "label"
            )

        onlooker.wait_for(lambda: "rack" in words(), "the stations")
        onlooker.wait_for(
            lambda: sum(ns == "sample" for ns, _ in list(drawn)) >= lab.containers.count - 1,
            "all crucibles but one in the gripper",
        )
        onlooker.wait_for(lambda: "0001-s1" in words(), "a sample's name")
        onlooker.wait_for(lambda: "°C" in words(), "a furnace's temperature")
        onlooker.wait_for(lambda: ("path", 0) in drawn, "the way that the tool will take")
        colours = {
            (m.color.r, m.color.g, m.color.b)
            for (ns, _), m in list(drawn.items())
            if ns == "sample"
        }
        assert len(colours) > 1
        assert all(len({(m.ns, m.id) for m in w.markers}) == len(w.markers) for w in wholes)
        assert campaign.end() == 0


pytestmark = pytest.mark.system
