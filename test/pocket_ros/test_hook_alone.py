"""pocket_ros by itself: installed alone, small, and ignorant of what it is used for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pocket_ros.router import ensure_router, private_environment
from pocket_ros.session import DEFAULT_ENDPOINT

OURS = Path(__file__).resolve().parents[2] / "pocket_ros"
LONGEST_SEC = 60.0
MOST_MEGABYTES = 60.0


def files_of(folder: Path) -> set[str]:
    """Modules and interface texts below a folder."""
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.suffix in (".py", ".msg", ".srv", ".action") and "build" not in path.parts
    }


@pytest.fixture(scope="module")
def commands():
    """The three commands of the README."""
    chapter = (OURS / "README.md").read_text(encoding="utf-8").split("in three commands\n")[1]
    found = re.search(r"```\n(.*?)```", chapter, re.DOTALL)[1].splitlines()
    assert len(found) == 3
    return found


@pytest.fixture(scope="module")
def installed(commands, tmp_path_factory):
    """Where the first of them has installed what it installs, without its dependencies."""
    assert commands[0] == "pip install ./pocket_ros"
    folder = tmp_path_factory.mktemp("alone")
    ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    shutil.copytree(OURS, folder / "pocket_ros", ignore=ignored)
    # What it depends on is here already, and the network may be not.
    words = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", "installed"]
    done = subprocess.run(
        [sys.executable, "-m", *commands[0].split(), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=3 * LONGEST_SEC,
    )
    assert done.returncode == 0, done.stderr
    return folder / "installed"


def test_an_installation_by_itself_is_complete(installed):
    assert files_of(installed / "pocket_ros") == files_of(OURS)


@pytest.mark.skipif(sys.platform == "win32", reason="the commands are those of a POSIX shell")
def test_three_commands_join_a_graph(installed, commands, tmp_path):
    environment = private_environment()
    place = re.search(r"tcp/[\w.:]+", environment["ZENOH_CONFIG_OVERRIDE"])[0]
    script = "\n".join(commands[1:]).replace("tcp/ROBOT:7447", place)
    assert script != "\n".join(commands[1:])
    path = os.pathsep.join([str(installed / "bin"), os.environ["PATH"]])
    strange = {**os.environ, "PATH": path, "PYTHONPATH": str(installed)}
    talker = """
        import pocket_ros.hook; pocket_ros.hook.install()
        import rclpy
        from std_msgs.msg import String
        rclpy.init()
        node = rclpy.create_node("robot")
        publisher = node.create_publisher(String, "/battery", 10)
        print("ready", flush=True)
        rclpy.spin(node)
    """
    with ensure_router(environment):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(talker)],
            env={**environment, "ROS_DOMAIN_ID": "0", "PYTHONPATH": str(OURS.parent)},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout.readline() == "ready\n"
            # The robot's token may still be on its way to the router.
            for _ in range(20):
                done = subprocess.run(
                    ["sh", "-ec", script],
                    env=strange,
                    cwd=tmp_path,
                    capture_output=True,
                    text=True,
                    timeout=LONGEST_SEC,
                )
                if "/battery" in done.stdout:
                    break
        finally:
            process.kill()
            process.wait(LONGEST_SEC)
            process.stdout.close()
    assert "/battery [std_msgs/msg/String]" in done.stdout.splitlines(), done.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_an_empty_node_is_small(wire):
    script = """
        import sys
        import pocket_ros.hook; pocket_ros.hook.install()
        import rclpy
        rclpy.init()
        node = rclpy.create_node("empty")
        status = open("/proc/self/status").read()
        print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
        print(*(name for name in sys.modules if "." not in name))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**os.environ, "PYTHONPATH": str(OURS.parent)},
        capture_output=True,
        text=True,
        timeout=LONGEST_SEC,
    )
    kilobytes, modules = done.stdout.splitlines()
    assert int(kilobytes) / 1024 < MOST_MEGABYTES
    # Only who needs them pays for them.
    assert {"numpy", "rosbags", "asyncio", "cryptography", "urllib.request"}.isdisjoint(
        modules.split()
    )


def test_it_knows_of_nothing_that_it_is_used_for():
    words = re.compile(r"matlab|laborator|furnace|crucible|diffract|dispens|powder|synthesi", re.I)
    for path in OURS.rglob("*.py"):
        found = words.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path} speaks of {found[0]}"


def test_the_default_endpoint_stays_on_this_machine():
    assert DEFAULT_ENDPOINT.startswith("tcp/127.0.0.1:")
