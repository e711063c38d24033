"""Launch tests in ROS 2's form: run by pytest and by `launch_test`, passing and failing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import pytest

import pocket_ros

ROOT = Path(pocket_ros.__path__[0]).parent
DEADLINE_S = 60.0

HEAD = """
import re
import sys
import unittest

import pytest
from launch import LaunchDescription
from launch.actions import *
from launch.substitutions import LaunchConfiguration
import launch_testing
import launch_testing.asserts
import launch_testing.event_handlers
import launch_testing.markers
from launch_testing.actions import ReadyToTest
from launch_testing.util import KeepAliveProc

def python(code, **kwargs):
    return ExecuteProcess(cmd=[sys.executable, "-uc", code], **kwargs)
"""

GOOD = """
@pytest.mark.launch_test
@launch_testing.parametrize("word", ["one", "two"])
def generate_test_description(word):
    code = f"import sys; print('ready'); print('{word} err', file=sys.stderr); sys.exit(4)"
    talker = python(code, name="talker")
    ready = launch_testing.event_handlers.StdoutReadyListener(
        target_action=talker, ready_txt="ready", actions=[ReadyToTest()])
    return LaunchDescription([
        DeclareLaunchArgument("extra", default_value="none"),
        RegisterEventHandler(ready),
        KeepAliveProc(), talker,
    ]), {"talker": talker}

class Live(unittest.TestCase):
    @classmethod
    def setUpClass(cls, word):
        cls.expected = word

    def setUp(self, talker):
        self.talker = talker

    def test_output(self, proc_output, proc_info, word, test_args):
        assert word == self.expected
        proc_info.assertWaitForStartup("talker")
        proc_info.assertWaitForShutdown(self.talker, timeout=20)
        proc_output.assertWaitFor(word + " err", process=self.talker, timeout=20)
        proc_output.assertWaitFor(re.compile("rea.y"), stream="stdout")
        with self.assertRaises(AssertionError):
            proc_output.assertWaitFor("never", process="talker", timeout=0.1)
        with self.assertRaises(Exception):
            proc_output.assertWaitFor("never", process="nobody", timeout=0.1)

@launch_testing.post_shutdown_test()
class After(unittest.TestCase):
    def test_codes(self, proc_info, proc_output, talker):
        assert proc_info[talker].returncode == 4
        launch_testing.asserts.assertExitCodes(proc_info, [4], process=talker)
        launch_testing.asserts.assertExitCodes(proc_info, [0, 4, -2])
        with self.assertRaises(AssertionError):
            launch_testing.asserts.assertExitCodes(proc_info, process="talker")
        launch_testing.asserts.assertInStdout(proc_output, ["rea", "dy"], talker)
        with launch_testing.asserts.assertSequentialStdout(proc_output, talker) as output:
            output.assertInStdout("ready")
"""

BAD = """
@pytest.mark.launch_test
def generate_test_description():
    return LaunchDescription([KeepAliveProc(), ReadyToTest()])

class Live(unittest.TestCase):
    def test_wrong(self):
        assert "this" == "that"

@launch_testing.post_shutdown_test()
class After(unittest.TestCase):
    def test_right(self, proc_info):
        # 1: the interpreter was interrupted before it was up.
        launch_testing.asserts.assertExitCodes(proc_info, [0, 1, -2])
"""

EARLY_END = """
@pytest.mark.launch_test
def generate_test_description():
    return LaunchDescription([python("print('gone'); raise SystemExit(7)"), ReadyToTest()])

class Live(unittest.TestCase):
    def test_waits(self, proc_output):
        proc_output.assertWaitFor("never", timeout=3)
"""

KEPT_ALIVE = """
@pytest.mark.launch_test
@launch_testing.markers.keep_alive
def generate_test_description():
    return LaunchDescription([python(""), ReadyToTest()])

class Live(unittest.TestCase):
    def test_waits(self, proc_info, launch_service):
        [process] = proc_info.processes() or [None]
        proc_info.assertWaitForShutdown("python", timeout=20)
"""

NEVER_READY = """
@pytest.mark.launch_test
@launch_testing.ready_to_test_action_timeout(0.3)
def generate_test_description():
    return LaunchDescription([KeepAliveProc(), TimerAction(period=60.0, actions=[ReadyToTest()])])

class Live(unittest.TestCase):
    def test_nothing(self):
        pass
"""

SKIPPED = """
@pytest.mark.launch_test
@unittest.skip("not today")
def generate_test_description():
    raise AssertionError

class Live(unittest.TestCase):
    def test_nothing(self):
        raise AssertionError
"""

NODES = """
import rclpy
from std_msgs.msg import String
from launch_testing_ros import WaitForTopics

TALKER = '''
import pocket_ros.hook; pocket_ros.hook.install()
import rclpy
from std_msgs.msg import String
rclpy.init()
node = rclpy.create_node("talker")
publisher = node.create_publisher(String, "chatter", 10)
node.create_timer(0.05, lambda: publisher.publish(String(data="hello")))
try:
    rclpy.spin(node)
except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
    pass
'''

@pytest.mark.launch_test
def generate_test_description():
    return LaunchDescription([python(TALKER), ReadyToTest()])

class Live(unittest.TestCase):
    def test_hears(self):
        with WaitForTopics([("chatter", String)], timeout=20) as heard:
            assert heard.received_messages("chatter")[0].data == "hello"

@launch_testing.post_shutdown_test()
class After(unittest.TestCase):
    def test_codes(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
"""


@pytest.fixture
def program(tmp_path, wire):
    """Runs Python with a module and test files; gives exit code and output."""

    def program(module, *arguments, **files):
        for name, text in files.items():
            (tmp_path / f"{name}.py").write_text(HEAD + textwrap.dedent(text))
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        return done.returncode, done.stdout + done.stderr

    return program


PYTEST = ("pytest", "-p", "pocket_ros.pytest_plugin", "-p", "no:cacheprovider")
LAUNCH_TEST = "pocket_ros.launch_api.launch_testing.launch_test"


def test_pytest_runs_what_is_marked_and_nothing_twice(program):
    code, output = program(
        *PYTEST,
        test_good=GOOD,
        test_alive=KEPT_ALIVE,
        test_nodes=NODES,
        test_skipped=SKIPPED,
        test_plain="def test_plain(): pass\ndef generate_test_description(): pass\n",
    )
    assert code == 0, output
    assert "4 passed, 1 skipped" in output


def test_pytest_tells_what_failed(program):
    code, output = program(*PYTEST, test_bad=BAD, test_early=EARLY_END, test_unready=NEVER_READY)
    assert code == 1, output
    assert "3 failed" in output
    assert "FAIL: test_bad: test_bad.Live.test_wrong" in output
    assert "this" in output
    assert "Launch stopped before the active tests finished." in output
    assert "exited with 7\ngone" in output
    assert "Timed out waiting for processes to start up" in output


def test_launch_test_runs_and_reports(program, tmp_path):
    report = tmp_path / "report.xml"
    code, output = program(LAUNCH_TEST, "--junit-xml", str(report), "test_bad.py", test_bad=BAD)
    assert code == 1, output
    cases = {case.get("name"): case for case in ElementTree.parse(report).iter("testcase")}
    assert cases["test_bad.Live.test_wrong"].find("failure") is not None
    assert cases["test_bad.After.test_right"].find("failure") is None
    code, output = program(LAUNCH_TEST, "good.py", "extra:=x", good=GOOD)
    assert code == 0, output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def generate_test_description(extra): pass", "unexpected extra argument 'extra'"),
        ("x = 1", "has no generate_test_description"),
    ],
)
def test_launch_test_refuses_files_that_are_none(program, text, words):
    code, output = program(LAUNCH_TEST, "wrong.py", wrong=text)
    assert code == 2
    assert words in output
