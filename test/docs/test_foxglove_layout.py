"""The Foxglove layout shows topics and fields that the lab really has."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
LAYOUT = REPOSITORY / "config" / "foxglove" / "alab.json"
_TOPIC_KEYS = ("topicPath", "topicToRender")


def _panels(layout: Any) -> Iterator[str]:
    if isinstance(layout, str):
        yield layout
    else:
        yield from _panels(layout["first"])
        yield from _panels(layout["second"])


def _paths(layout: Any) -> Iterator[str]:
    """Topics with fields behind them, such as ``/furnace_1/setpoint.temperature``."""
    for panel in layout["configById"].values():
        yield from (panel[key] for key in _TOPIC_KEYS if panel.get(key))
        yield from (item["value"] for item in panel.get("paths", ()))
        yield from panel.get("topics", {})


def test_every_panel_of_the_layout_is_configured_and_shown() -> None:
    layout = json.loads(LAYOUT.read_text(encoding="utf-8"))
    assert sorted(_panels(layout["layout"])) == sorted(layout["configById"])
    assert len(list(_paths(layout))) > 20


@pytest.mark.system
def test_every_topic_and_field_of_the_layout_is_in_a_recording(tmp_path: Path) -> None:
    pytest.importorskip("rosbags", reason="pip install 'matlab_ros[record]'")
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore

    done = subprocess.run(
        [
            *(sys.executable, "-m", "matlab_ros.cli", "demo", "--plain", "--experiments", "2"),
            *("--set", "record:=true", "--results", str(tmp_path)),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    store = get_typestore(Stores.EMPTY)
    folder = tmp_path / "demo" / "run" / "recording"
    with AnyReader([folder], default_typestore=store) as reader:
        types = {item.topic: item.msgtype for item in reader.connections}
        for path in _paths(json.loads(LAYOUT.read_text(encoding="utf-8"))):
            topic, _, fields = path.partition(".")
            assert topic in types, topic
            if not fields:
                continue
            (first,) = (item for item in reader.connections if item.topic == topic)
            _, _, raw = next(reader.messages([first]))
            value: Any = reader.deserialize(raw, first.msgtype)
            for name, index in re.findall(r"(\w+)(?:\[(\d+)\])?", fields):
                value = getattr(value, name)
                value = value[int(index)] if index else value
            assert isinstance(float(value), float)
