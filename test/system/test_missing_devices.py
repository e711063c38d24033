"""A device that is missing is named, in the diagnostics and to whoever asks for a campaign."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

REPOSITORY = Path(__file__).parents[2]
BRING_UP_S = 8.0
FAILED = 1

_WITH_ANOTHER_LAUNCH_FILE = """
import sys
from pathlib import Path
from matlab_ros import cli
from matlab_ros.nodes import virtual_campaign
share = Path(sys.argv[1])
virtual_campaign.share_dir = lambda: share
sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.fixture
def serial_port_in_use() -> Iterator[str]:
    """A serial device that another program holds."""
    master, slave = os.openpty()
    path = os.ttyname(slave)
    holder = serial.Serial(path, exclusive=True)
    yield path
    holder.close()
    os.close(slave)
    os.close(master)


def test_a_missing_serial_device_is_named_and_the_campaign_is_refused(
    start: Callable[..., Any],
    look_at: Callable[[Any], Any],
    tmp_path: Path,
    serial_port_in_use: str,
) -> None:
    launch = (REPOSITORY / "launch" / "virtual_lab.launch.xml").read_text()
    for present, instead in (
        ("$(var run_dir)/wires/balance", "/dev/no_such_balance"),
        ("serial://$(var run_dir)/wires/furnace_2?", f"serial://{serial_port_in_use}?"),
        (
            '<param name="never_ask"',
            f'<param name="bring_up_timeout_s" value="{BRING_UP_S}"/><param name="never_ask"',
        ),
    ):
        assert launch.count(present) == 1
        launch = launch.replace(present, instead)
    (tmp_path / "launch").mkdir()
    (tmp_path / "launch" / "virtual_lab.launch.xml").write_text(launch)
    (tmp_path / "config").symlink_to(REPOSITORY / "config")

    campaign = start(program=[sys.executable, "-c", _WITH_ANOTHER_LAUNCH_FILE, str(tmp_path)])
    onlooker = look_at(campaign)
    for node, device in (
        ("/dispenser", "/dev/no_such_balance"),
        ("/furnace_2", serial_port_in_use),
    ):
        onlooker.wait_for(
            lambda node=node, device=device: any(
                device in text for text in onlooker.diagnostics.get(node, ())
            ),
            f"{node} says in its diagnostics that {device} is not to be had",
        )
    assert campaign.end() == FAILED, campaign.told()
    assert "'dispenser' is missing" in campaign.err
    assert "/dev/no_such_balance" in campaign.err
    assert "Traceback" not in campaign.err
    assert campaign.entries() == []
    assert campaign.remaining() == {}


def test_a_port_in_use_is_named_and_everything_ends(start: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        campaign = start("--set", f"aeris_port:={port}")
        assert campaign.end() == FAILED, campaign.told()
    assert "aeris_port" in campaign.err
    assert str(port) in campaign.err
    assert "a free TCP port" in campaign.err
    assert "Traceback" not in campaign.err
    assert campaign.remaining() == {}
