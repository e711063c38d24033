"""Running launches: real processes, started, watched, ended, and never left behind."""

import os
import queue
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import pocket_ros
from pocket_ros.launch import LaunchError, launch_file
from pocket_ros.session import is_reachable

ROOT = Path(pocket_ros.__path__[0]).parent
DEADLINE_S = 30.0

NODES = """
import signal, sys, threading

def polite():
    stop = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    from std_msgs.msg import String
    print(String(data=" ".join(sys.argv)), flush=True)
    stop.wait()
    print("goodbye")

def stubborn():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    threading.Event().wait()

def failing():
    print("no newline at the end", end="", file=sys.stderr)
    return 3
"""


class Output(queue.Queue):
    """Collects the lines of a launch; `until` waits for one."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def __call__(self, line):
        self.put(line)

    def until(self, text):
        deadline = time.monotonic() + DEADLINE_S
        while True:
            line = self.get(timeout=max(0.01, deadline - time.monotonic()))
            self.lines.append(line)
            if text in line.text:
                return line

    def rest(self):
        while not self.empty():
            self.lines.append(self.get())
        return self.lines


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def environ(tmp_path, monkeypatch, port):
    """Environment with a package `demo_pkg`, and a router port of its own."""
    info = tmp_path / "demo_pkg-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: demo-pkg\nVersion: 1\n")
    scripts = "".join(f"{name} = demo_nodes:{name}\n" for name in ("polite", "stubborn", "failing"))
    (info / "entry_points.txt").write_text(f"[console_scripts]\n{scripts}")
    (tmp_path / "demo_nodes.py").write_text(NODES)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return {
        **os.environ,
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "ZENOH_CONFIG_OVERRIDE": f'connect/endpoints=["tcp/127.0.0.1:{port}"]',
    }


@pytest.fixture
def launch(tmp_path, environ):
    """Starts launch files, and ends at the end what a test has left running."""
    runs = []

    def launch(text, **options):
        path = tmp_path / "test.launch.xml"
        path.write_text(f"<launch>{textwrap.dedent(text)}</launch>")
        output = Output()
        runs.append(launch_file(path, env=environ, on_output=output, **options))
        return runs[-1], output

    yield launch
    for run in runs:
        run.shutdown(timeout=5)


def wait_gone(pid):
    """Wait until a process (not our child) no longer runs."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.02)
    raise AssertionError(f"the process {pid} is still there")


def test_processes_run_apart_with_the_hook_and_a_router(launch, port):
    run, output = launch(
        """
        <node pkg="demo_pkg" exec="polite" name="a"/>
        <node pkg="demo_pkg" exec="polite" name="b"/>
        """
    )
    names = {output.until("__node:=").process, output.until("__node:=").process}
    assert names == {"polite-1", "polite-2"}
    assert is_reachable(f"tcp/127.0.0.1:{port}")
    pids = {process.pid for process in run.processes}
    assert len(pids | {os.getpid()}) == 4
    assert all(os.getpgid(pid) == pid for pid in pids)
    assert run.shutdown(DEADLINE_S)
    assert [p.returncode for p in run.processes] == [0, 0, 0]
    assert [line.text for line in output.rest()].count("goodbye") == 2
    assert not run.failed
    assert not is_reachable(f"tcp/127.0.0.1:{port}")


def test_the_router_ends_last(launch):
    run, output = launch('<node pkg="demo_pkg" exec="polite"/>')
    output.until("polite")
    assert run.shutdown(DEADLINE_S)
    finished = [line.process for line in output.rest() if "finished cleanly" in line.text]
    assert finished == ["polite-1", "router"]


def test_a_router_that_runs_already_is_used(launch, environ):
    from pocket_ros.router import ensure_router

    with ensure_router(environ):
        run, output = launch('<node pkg="demo_pkg" exec="polite"/>')
        output.until("polite")
        assert [p.spec.name for p in run.processes] == ["polite"]
        assert run.shutdown(DEADLINE_S)


def test_the_stubborn_are_killed(launch):
    run, output = launch(
        '<node pkg="demo_pkg" exec="stubborn" sigterm_timeout="0.3" sigkill_timeout="0.3"/>'
    )
    output.until("ready")
    assert run.shutdown(DEADLINE_S)
    assert run.process("stubborn").returncode == -signal.SIGKILL
    texts = [line.text for line in output.rest()]
    assert "did not end after SIGINT: sending SIGTERM" in texts
    assert "did not end after SIGTERM: sending SIGKILL" in texts


def test_a_shutdown_with_a_timeout_kills_what_is_left(launch):
    run, output = launch('<node pkg="demo_pkg" exec="stubborn"/>')
    output.until("ready")
    assert run.shutdown(timeout=0.3) is False
    assert run.wait(DEADLINE_S)
    assert run.process("stubborn").returncode == -signal.SIGKILL


def test_a_process_with_on_exit_takes_all_with_it(launch):
    run, output = launch(
        """
        <node pkg="demo_pkg" exec="polite"/>
        <node pkg="demo_pkg" exec="failing" on_exit="shutdown"/>
        """
    )
    assert run.wait(DEADLINE_S)
    assert run.process("failing").returncode == 3
    assert run.failed == [run.process("failing-2")]
    assert run.reason == "failing-2 has ended"
    assert "no newline at the end" in [line.text for line in output.rest()]


def test_a_launch_is_over_when_its_processes_are(launch):
    run, output = launch('<executable cmd="echo done"/><executable cmd="false"/>')
    assert run.wait(DEADLINE_S)
    assert run.process("echo").returncode == 0
    assert [p.spec.name for p in run.failed] == ["false"]
    assert ("echo-1", "stdout", "done") in output.rest()


def test_respawning_stops_after_its_retries(launch):
    run, _ = launch('<executable cmd="false" respawn="true" respawn_max_retries="2"/>')
    assert run.wait(DEADLINE_S)
    assert run.process("false").respawns == 2
    assert len(run.failed) == 1


def test_a_killed_process_comes_back_with_respawn(launch):
    run, output = launch('<node pkg="demo_pkg" exec="polite" respawn="true"/>')
    output.until("polite")
    first = run.process("polite").pid
    os.kill(first, signal.SIGKILL)
    output.until("has died")
    output.until("String(")
    assert run.process("polite").pid != first
    assert run.shutdown(DEADLINE_S)
    assert run.process("polite").returncode == 0


def test_the_router_comes_back(launch, port):
    run, output = launch('<node pkg="demo_pkg" exec="polite"/>')
    output.until("polite")
    os.kill(run.process("router").pid, signal.SIGKILL)
    output.until("router listens at")
    assert is_reachable(f"tcp/127.0.0.1:{port}")
    assert run.shutdown(DEADLINE_S)


def test_a_program_that_does_not_exist_is_said_to(launch):
    run, output = launch('<executable cmd="/no/such/program"/>')
    assert run.wait(DEADLINE_S)
    assert run.process("program").returncode == 127
    assert any("could not be started" in line.text for line in output.rest())


def test_timers_start_later(launch):
    run, output = launch(
        '<timer period="0.2"><executable cmd="echo second"/></timer><executable cmd="echo first"/>'
    )
    assert run.wait(DEADLINE_S)
    texts = [line.text for line in output.rest() if line.stream == "stdout"]
    assert texts[-2:] == ["first", "second"]


def test_grandchildren_do_not_stay(launch):
    run, output = launch("<executable cmd=\"sh -c 'sleep 1000 &amp; echo $!; wait'\"/>")
    while not (line := output.until("")).text.isdecimal():
        pass
    assert run.shutdown(DEADLINE_S)
    wait_gone(int(line.text))


def test_every_line_is_in_the_log(launch, tmp_path):
    run, _ = launch('<executable cmd="echo hello"/>', log_dir=tmp_path / "log")
    assert run.wait(DEADLINE_S)
    assert "[echo-1] hello" in (tmp_path / "log" / "launch.log").read_text()


def test_a_wrong_file_starts_nothing(launch):
    with pytest.raises(LaunchError):
        launch('<node pkg="demo_pkg" exec="polite"/><node pkg="demo_pkg" exec="nobody"/>')


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_nobody_survives_a_killed_launcher(tmp_path, environ):
    path = tmp_path / "test.launch.xml"
    path.write_text(
        '<launch><node pkg="demo_pkg" exec="polite" output="screen"/>'
        '<node pkg="demo_pkg" exec="stubborn" output="screen"/></launch>'
    )
    launcher = subprocess.Popen(
        [sys.executable, "-m", "pocket_ros.cli", "launch", str(path)],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    pids, ready = [], 0
    while ready < 2:
        line = launcher.stdout.readline()
        assert line, "the launcher ended early"
        if "started with pid" in line:
            pids.append(int(line.rpartition("[")[2].strip("]\n")))
        ready += "String(" in line or "] ready" in line
    assert len(pids) == 3
    launcher.kill()
    launcher.wait()
    launcher.stdout.close()
    for pid in pids:
        wait_gone(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_line_ends_everybody_on_a_signal(tmp_path, environ, number):
    path = tmp_path / "test.launch.xml"
    path.write_text(
        '<launch><arg name="who" default="x"/>'
        '<node pkg="demo_pkg" exec="polite" output="screen" args="$(var who)"/></launch>'
    )
    with subprocess.Popen(
        [sys.executable, "-m", "pocket_ros.cli", "launch", str(path), "who:=world"],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as launcher:
        while "polite world" not in (line := launcher.stdout.readline()):
            assert line, "the launcher ended early"
        launcher.send_signal(number)
        assert "goodbye" in launcher.stdout.read()
        assert launcher.wait(DEADLINE_S) == 0


def test_the_command_line_shows_arguments_and_refuses_nonsense(tmp_path, environ):
    path = tmp_path / "test.launch.xml"
    path.write_text('<launch><arg name="who" default="x" description="whom to greet"/></launch>')

    def run(*words):
        command = [sys.executable, "-m", "pocket_ros.cli", "launch", *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)

    shown = run(str(path), "--show-args")
    assert (shown.returncode, shown.stdout) == (0, "who ('x'): whom to greet\n")
    for words in ([str(path), "whom:=y"], [str(tmp_path / "no.xml")], ["nobody", "a.launch.xml"]):
        refused = run(*words)
        assert refused.returncode == 2
        assert refused.stderr.startswith("pocket-ros launch: ")
        assert len(refused.stderr.splitlines()) == 1
