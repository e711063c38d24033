"""The router: sessions find it, its port is its own, and it ends when asked."""

import json
import signal
import socket
import subprocess
import sys

import pytest

from pocket_ros import router, session


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def environ(port, monkeypatch):
    value = f'connect/endpoints=["tcp/127.0.0.1:{port}"]'
    monkeypatch.setenv("ZENOH_CONFIG_OVERRIDE", value)
    return value


def test_a_session_finds_the_router(environ, monkeypatch):
    monkeypatch.setenv("ZENOH_ROUTER_CHECK_ATTEMPTS", "20")
    with router.ensure_router() as started:
        assert started is not None
        with session.open_session() as opened:
            assert opened.info.routers_zid()
        assert router.ensure_router() is None


def test_asking_for_a_router_that_is_not_there_fails(environ, monkeypatch):
    monkeypatch.setenv("ZENOH_ROUTER_CHECK_ATTEMPTS", "1")
    with pytest.raises(RuntimeError, match="no router answers at tcp/127"):
        session.open_session()


def test_a_session_opens_without_a_router_and_warns(environ, caplog):
    session.open_session().close()
    assert "no router answers" in caplog.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_router_ends_on_a_signal(environ, number):
    started = router.ensure_router()
    started.process.send_signal(number)
    assert started.process.wait(20) == 0
    started.stop()


def test_a_port_in_use_is_a_sentence_and_code_2():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "pocket_ros.router", f"tcp/127.0.0.1:{port}"],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be used" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_nothing_listens_beyond_this_machine_by_default(monkeypatch):
    for name in ("ZENOH_CONFIG_OVERRIDE", "ZENOH_SESSION_CONFIG_URI", "ZENOH_ROUTER_CONFIG_URI"):
        monkeypatch.delenv(name, raising=False)
    for config in (session.session_config(), session.router_config()):
        endpoints = session.config_endpoints(config, "listen")
        assert all(e.startswith("tcp/127.0.0.1:") for e in endpoints)
        assert json.loads(config.get_json("scouting/multicast/enabled")) is False


def test_overrides_come_on_top_of_a_file(tmp_path):
    file = tmp_path / "session.json5"
    file.write_text('{mode: "client", connect: {endpoints: ["tcp/10.0.0.1:7447"]}}')
    environ = {
        "ZENOH_SESSION_CONFIG_URI": str(file),
        "ZENOH_CONFIG_OVERRIDE": (
            'connect/endpoints=["tcp/10.0.0.2:7447"]; queries_default_timeout=5'
        ),
    }
    config = session.session_config(environ)
    assert json.loads(config.get_json("mode")) == "client"
    assert session.config_endpoints(config, "connect") == ["tcp/10.0.0.2:7447"]
    assert json.loads(config.get_json("queries_default_timeout")) == 5


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ZENOH_CONFIG_OVERRIDE", "nonsense"),
        ("ZENOH_CONFIG_OVERRIDE", "no/such/key=1"),
        ("ZENOH_SESSION_CONFIG_URI", "/does/not/exist.json5"),
    ],
)
def test_wrong_configuration_names_its_variable(variable, value):
    with pytest.raises(session.ConfigurationError, match=variable):
        session.session_config({variable: value})


@pytest.mark.parametrize("value", ["x", "-1", "233"])
def test_a_domain_must_be_a_number(monkeypatch, value):
    monkeypatch.setenv("ROS_DOMAIN_ID", value)
    with pytest.raises(session.ConfigurationError, match="ROS_DOMAIN_ID"):
        session.domain_id()


def test_the_domain_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "42")
    assert session.domain_id() == 42
    monkeypatch.delenv("ROS_DOMAIN_ID")
    assert session.domain_id() == 0
