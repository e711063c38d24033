"""The doctor between two machines: network namespaces with addresses and a cable of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pocket_ros import cli, router

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SEC = 20.0
HERE, THERE, NOBODY = "10.87.0.1", "10.87.0.2", "10.87.0.9"
PORT = 7447

# A node whose machine's clock is ahead; it speaks when the router knows it.
TALKER = """
    import sys, time
    ahead, true_time_ns = int(float(sys.argv[1]) * 1e9), time.time_ns
    time.time_ns = lambda: true_time_ns() + ahead
    import pocket_ros.hook; pocket_ros.hook.install()
    import rclpy
    from pocket_ros.session import open_observer
    rclpy.init()
    node = rclpy.create_node("talker")
    with open_observer() as observer:
        while not any("/get_parameter_types" in str(reply.ok.key_expr).replace("%", "/")
                      for reply in observer.liveliness().get("@ros2_lv/**") if reply.ok):
            pass
    print("ready", flush=True)
    rclpy.spin(node)
"""


class Host:
    """A network namespace; it lives as long as a process in it."""

    def __init__(self, *command: str) -> None:
        self._holder = subprocess.Popen(
            [*command, "sh", "-c", "echo up && read line"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._holder.pid
        self._processes: list[subprocess.Popen[str]] = [self._holder]
        if self._holder.stdout.readline() != "up\n":
            error = self._holder.communicate()[1].strip()
            pytest.skip(f"no network namespace may be made here: {error}")

    def inside(self, *command: str) -> list[str]:
        """A command line that runs on this machine."""
        place = ["--target", str(self.pid), "--user", "--net", "--preserve-credentials"]
        return ["nsenter", *place, *command]

    def run(self, *command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command on this machine, to its end."""
        return subprocess.run(
            self.inside(*command),
            env={**clean_environment(), **environ},
            capture_output=True,
            text=True,
            timeout=3 * DEADLINE_SEC,
        )

    def start(self, *command: str, until: str, **environ: str) -> None:
        """Start a program on this machine and wait for what it prints."""
        process = subprocess.Popen(
            self.inside(*command),
            env={**clean_environment(), **environ},
            stdout=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        assert until in process.stdout.readline()

    def end(self, *, programs_only: bool = False) -> None:
        """End all programs, and the machine."""
        while len(self._processes) > programs_only:
            process = self._processes.pop()
            process.kill()
            process.wait(DEADLINE_SEC)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def clean_environment() -> dict[str, str]:
    ours = ("ZENOH_", "ROS_", "RMW_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "PYTHONPATH": str(ROOT), "ROS_DOMAIN_ID": "61"}


@pytest.fixture(scope="module")
def cable():
    if not all(map(shutil.which, ("unshare", "nsenter", "ip"))):
        pytest.skip("needs unshare, nsenter and ip, tools of Linux, to make two machines")
    here = Host("unshare", "--net", "--map-root-user")
    there = Host(*here.inside("unshare", "--net"))
    for host, words in (
        (here, f"link add cable type veth peer name cable netns {there.pid}"),
        (here, f"addr add {HERE}/24 dev cable"),
        (there, f"addr add {THERE}/24 dev cable"),
        (here, "link set lo up"),
        (there, "link set lo up"),
        (here, "link set cable up"),
        (there, "link set cable up"),
    ):
        done = host.run("ip", *words.split())
        if done.returncode:
            pytest.skip(f"no cable may be laid between namespaces here: {done.stderr.strip()}")
    yield here, there
    for host in (there, here):
        host.end()


@pytest.fixture
def hosts(cable):
    """This machine and the other one, without any program of the test before."""
    yield cable
    for host in cable:
        host.end(programs_only=True)


def going_to(host: str, port: int = PORT, protocol: str = "tcp") -> dict[str, str]:
    return {"ZENOH_CONFIG_OVERRIDE": f'connect/endpoints=["{protocol}/{host}:{port}"]'}


def start_router(host: Host, *endpoints: str, **environ: str) -> None:
    host.start(*router.router_command(list(endpoints)), until=router.READY, **environ)


def start_talker(host: Host, *, ahead_sec: float = 0.0, **environ: str) -> None:
    script = textwrap.dedent(TALKER)
    environ = {**going_to("127.0.0.1"), **environ}
    host.start(sys.executable, "-c", script, str(ahead_sec), until="ready", **environ)


def ask_doctor(host: Host, problems: list[str], **environ: str) -> str:
    """What the doctor finds, as "subject: sentence"; `problems` are the subjects of those."""
    done = host.run(sys.executable, "-m", "pocket_ros.cli", "doctor", "--json", **environ)
    assert done.stdout, done.stderr
    findings = json.loads(done.stdout)["findings"]
    told = "\n".join(f"{f['subject']}: {f['sentence']} {f['advice']}" for f in findings)
    assert sorted(f["subject"] for f in findings if f["level"] == "problem") == problems, told
    return told


def test_machines_that_see_each_other_are_healthy(hosts):
    here, there = hosts
    start_router(there, f"tcp/0.0.0.0:{PORT}")
    start_talker(there)
    told = ask_doctor(here, [], **going_to(THERE))
    assert "1 node(s) in domain 61: /talker" in told
    assert "A router of Zenoh 1." in told
    assert "The clocks of 1 process(es) were compared" in told


def test_a_router_bound_to_loopback_is_named_on_both_machines(hosts):
    here, there = hosts
    start_router(there)
    told = ask_doctor(here, ["router"], **going_to(THERE))
    assert f"{THERE} answers, but nothing listens at its port {PORT}" in told
    assert "on loopback only" in told
    told = ask_doctor(there, [])
    assert "The router listens on its own machine only: other machines cannot reach it" in told


def test_a_wrong_port_is_named(hosts):
    here, there = hosts
    start_router(there, f"tcp/0.0.0.0:{PORT}")
    told = ask_doctor(here, ["router"], **going_to(THERE, PORT + 1))
    assert f"nothing listens at its port {PORT + 1}" in told
    assert "listens at another port" in told


def test_another_domain_is_named(hosts):
    here, there = hosts
    start_router(there, f"tcp/0.0.0.0:{PORT}")
    start_talker(there, ROS_DOMAIN_ID="7")
    told = ask_doctor(here, ["domain"], **going_to(THERE))
    assert "No node is in this machine's domain 61, but the router carries 1 in domain 7" in told


def test_a_clock_that_is_ahead_is_named(hosts):
    here, there = hosts
    start_router(there, f"tcp/0.0.0.0:{PORT}")
    start_talker(there, ahead_sec=300.0)
    told = ask_doctor(here, ["clocks"], **going_to(THERE))
    assert "The clock of /talker's machine is 300.0" in told or "is 299.9" in told
    assert "ahead of this one's" in told


def test_a_machine_that_is_not_there_is_told_from_one_without_router(hosts):
    here, _ = hosts
    told = ask_doctor(here, ["router"], **going_to(NOBODY))
    assert f"{NOBODY} port {PORT} does not answer" in told or f"{NOBODY} cannot be reached" in told
    told = ask_doctor(here, ["router"], **going_to(THERE))
    assert f"{THERE} answers, but nothing listens" in told


def test_an_unplugged_cable_is_a_machine_that_cannot_be_reached(hosts):
    here, _ = hosts
    here.run("ip", "link", "set", "cable", "down")
    told = ask_doctor(here, ["router"], **going_to(THERE))
    here.run("ip", "link", "set", "cable", "up")
    assert f"{THERE} cannot be reached: Network is unreachable" in told


class TestSecurity:
    """A router with TLS on the other machine."""

    @pytest.fixture
    def folder(self, tmp_path):
        pytest.importorskip("cryptography", reason="certificates need the package 'cryptography'")
        for name in ("ours", "theirs"):
            words = ["--enclave", "lab", "--host", THERE]
            assert cli.main(["security", "init", str(tmp_path / name), *words]) == 0
        return tmp_path

    @staticmethod
    def session(folder: Path) -> dict[str, str]:
        return {"ZENOH_SESSION_CONFIG_URI": str(folder / "enclaves/lab/session.json5")}

    @pytest.fixture
    def here(self, hosts, folder):
        here, there = hosts
        config = str(folder / "ours/router/router.json5")
        start_router(there, ZENOH_ROUTER_CONFIG_URI=config)
        return here

    def test_machines_of_one_lab_trust_each_other(self, here, folder):
        assert "trust each other" in ask_doctor(here, [], **self.session(folder / "ours"))

    def test_a_machine_without_tls_is_told_what_it_lacks(self, here, folder):
        told = ask_doctor(here, ["zenoh"], **going_to(THERE))
        assert "no Zenoh session comes about" in told
        assert "one side has TLS and the other has not" in told

    def test_certificates_of_another_lab_are_named(self, here, folder):
        told = ask_doctor(here, ["tls"], **self.session(folder / "theirs"))
        assert "The router's certificate is not accepted here" in told

    def test_a_router_of_another_name_than_its_certificates_is_named(self, hosts, here, folder):
        _, there = hosts
        there.run("ip", "addr", "add", f"{NOBODY}/24", "dev", "cable")
        environ = {**self.session(folder / "ours"), **going_to(NOBODY, protocol="tls")}
        told = ask_doctor(here, ["tls"], **environ)
        there.run("ip", "addr", "del", f"{NOBODY}/24", "dev", "cable")
        assert "The router's certificate is not accepted here" in told
