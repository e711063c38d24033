"""The doctor names what keeps machines from seeing each other, on real routers and sessions."""

import json
import socket
import subprocess
import time

import pytest
import zenoh
from zenoh import handlers

from pocket_ros import cli, router, session
from pocket_ros.rclpy._core import wire

VARIABLES = (
    "ZENOH_CONFIG_OVERRIDE",
    "ZENOH_SESSION_CONFIG_URI",
    "ZENOH_ROUTER_CONFIG_URI",
    "RMW_IMPLEMENTATION",
    "ROS_DISTRO",
)
HASH = "RIHS01_" + "0" * 64
SERVICE = "rcl_interfaces::srv::dds_::GetParameterTypes_"


@pytest.fixture(scope="module")
def environ():
    environ = router.private_environment({})
    with router.ensure_router(environ):
        yield environ


@pytest.fixture
def examine(monkeypatch, capsys):
    """Run the doctor in an environment; returns its findings as "subject: sentence"."""

    def examine(environ, problems):
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("ROS_DOMAIN_ID", "61")
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        code = cli.main(["doctor", "--json"])
        report = json.loads(capsys.readouterr().out)
        found = [f for f in report["findings"] if f["level"] == "problem"]
        assert {f["subject"] for f in found} == set(problems), found
        assert report["problems"] == len(found)
        assert code == (1 if problems else 0)
        return "\n".join(f"{f['subject']}: {f['sentence']}" for f in report["findings"])

    return examine


@pytest.fixture
def show(environ):
    """Show tokens in the graph, as nodes of another machine would."""
    sessions, kept = [], []

    def show(*tokens):
        opened = zenoh.open(session.session_config(environ))
        sessions.append(opened)
        kept.extend(opened.liveliness().declare_token(token) for token in tokens)
        # Their coming to the router is what the doctor needs.
        with session.open_observer(environ) as observer:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                replies = observer.liveliness().get("@ros2_lv/**")
                if set(tokens) <= {str(reply.ok.key_expr) for reply in replies if reply.ok}:
                    break
        return opened

    yield show
    for opened in sessions:
        opened.close()


def node(domain, name, number=0):
    return f"@ros2_lv/{domain}/{name}zid/{number}/{number}/NN/%/%/{name}"


def endpoint(domain, kind, of, name, dds_type, hash_=HASH):
    where = f"@ros2_lv/{domain}/{of}zid/0/1/{kind}/%/%/{of}"
    return f"{where}/{wire.mangle(name)}/{dds_type}/{hash_}/::,10:,:,:,,"


def test_a_missing_router_is_told_from_a_silent_machine(examine):
    told = examine(router.private_environment({}), ["router"])
    assert "router: 127.0.0.1 answers, but nothing listens at its port" in told
    unknown = {"ZENOH_CONFIG_OVERRIDE": 'connect/endpoints=["tcp/no.such.host.invalid:7447"]'}
    assert "The name no.such.host.invalid is not known here" in examine(unknown, ["router"])


def test_a_healthy_graph_has_no_problems(environ, examine, show):
    show(node(61, "talker"))
    told = examine(environ, [])
    assert "nodes: 1 node(s) in domain 61: /talker." in told
    assert "versions: A router of Zenoh 1." in told
    assert "router: The router listens on its own machine only" in told
    assert "look for a router on this machine only" in told


def test_another_domain_is_named(environ, examine, show):
    show(node(7, "talker"), node(7, "listener"))
    told = examine(environ, ["domain"])
    assert "No node is in this machine's domain 61, but the router carries 2 in domain 7" in told


def test_a_router_without_nodes_is_a_note(environ, examine):
    assert "nodes: The router carries no ROS node at all" in examine(environ, [])


def test_types_that_differ_are_named_with_their_nodes(environ, examine, show):
    string = "std_msgs::msg::dds_::String_"
    show(
        node(61, "talker"),
        endpoint(61, "MP", "talker", "/a", string),
        endpoint(61, "MS", "listener", "/a", string, "RIHS01_" + "1" * 64),
        endpoint(61, "MP", "talker", "/b", string),
        endpoint(61, "MS", "listener", "/b", "std_msgs::msg::dds_::Int32_"),
        endpoint(61, "MP", "talker", "/c", string, "TypeHashNotSupported"),
        endpoint(61, "MS", "listener", "/c", string),
    )
    told = examine(environ, ["types"])
    assert "topic /a do not hear each other, for they have the same type in different" in told
    assert "topic /b do not hear each other, for they have different types: " in told
    assert "topic /c do not hear each other, for they have no type hash on one side" in told
    assert "/listener" in told


@pytest.mark.parametrize(("ahead_s", "problems"), [(0, []), (3600, ["clocks"])])
def test_clocks_of_other_machines_are_compared(environ, examine, show, ahead_s, problems):
    name = "/talker/get_parameter_types"
    opened = show(node(61, "talker"), endpoint(61, "SS", "talker", name, SERVICE))
    key = wire.topic_key(61, name, SERVICE, HASH)

    def answer(query):
        stamp = time.time_ns() + ahead_s * 10**9
        query.reply(key, b"", attachment=wire._ATTACHMENT.pack(1, stamp, 16, bytes(16)))

    opened.declare_queryable(key, handlers.Callback(answer, indirect=False), complete=True)
    told = examine(environ, problems)
    assert "clocks: The clocks of 1 process(es) were compared" in told
    if problems:
        assert "The clock of /talker's machine is 3600." in told or "3599.9" in told
        assert "s ahead of this one's" in told


def test_another_middleware_cannot_be_seen(environ, examine):
    told = examine({**environ, "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp"}, ["middleware"])
    assert "speak DDS" in told
    assert "cannot be seen" in examine({**environ, "RMW_IMPLEMENTATION": "rmw_zenoh_cpp"}, [])
    assert "RMW_IMPLEMENTATION is not set" in examine({**environ, "ROS_DISTRO": "jazzy"}, [])


def test_wrong_settings_are_named(examine):
    assert "ZENOH_CONFIG_OVERRIDE" in examine({"ZENOH_CONFIG_OVERRIDE": "x"}, ["configuration"])
    nobody = router.private_environment({}) | {"ROS_DOMAIN_ID": "999"}
    assert "got '999'" in examine(nobody, ["domain", "router"])


def test_a_port_of_something_else_is_noticed(examine):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        place = f"tcp/127.0.0.1:{other.getsockname()[1]}"
        environ = {"ZENOH_CONFIG_OVERRIDE": f'connect/endpoints=["{place}"]'}
        assert "no Zenoh session comes about" in examine(environ, ["zenoh"])


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A router with TLS, and the folders of two authorities: only one is the router's."""
    pytest.importorskip("cryptography", reason="certificates need the package 'cryptography'")
    folder = tmp_path_factory.mktemp("lab")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    for name in ("ours", "theirs"):
        words = ["--enclave", "lab", "--port", port]
        assert cli.main(["security", "init", str(folder / name), *words]) == 0
    process = subprocess.Popen(
        router.router_command([]),
        env={"ZENOH_ROUTER_CONFIG_URI": str(folder / "ours/router/router.json5")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert router.READY in process.stdout.readline()
    yield folder
    process.terminate()
    process.wait(20)
    process.stdout.close()


class TestCertificates:
    """Machines whose certificates fit the router's or do not."""

    @staticmethod
    def environ(folder):
        return {"ZENOH_SESSION_CONFIG_URI": str(folder / "enclaves/lab/session.json5")}

    def test_fitting_certificates_are_fine(self, lab, examine):
        told = examine(self.environ(lab / "ours"), [])
        assert "trust each other" in told
        assert "this machine's certificate (CN=lab) is valid until" in told

    def test_a_router_of_another_authority_is_not_trusted(self, lab, examine):
        told = examine(self.environ(lab / "theirs"), ["tls"])
        assert "The router's certificate is not accepted here" in told

    def test_an_unknown_certificate_is_refused_by_the_router(self, lab, examine):
        ours = (lab / "ours/enclaves/lab/session.json5").read_text().split("\n", 1)[1]
        trusted = json.loads(ours)["transport"]["link"]["tls"]["root_ca_certificate_base64"]
        environ = self.environ(lab / "theirs")
        override = f'transport/link/tls/root_ca_certificate_base64="{trusted}"'
        told = examine({**environ, "ZENOH_CONFIG_OVERRIDE": override}, ["certificates", "tls"])
        assert "The router does not accept this machine's certificate" in told
        assert "files of two authorities are mixed up" in told

    def test_an_expired_certificate_is_named(self, lab, examine, monkeypatch, tmp_path):
        from pocket_ros.security import authority

        made = authority.Authority.create(tmp_path / "old", authority.RouterPlace(("127.0.0.1",)))
        monkeypatch.setattr(authority, "CERTIFICATE_DAYS", 0)
        made.add("lab", "everything: true")
        environ = {**self.environ(tmp_path / "old"), **router.private_environment({})}
        told = examine(environ, ["certificates", "router"])
        assert "this machine's certificate (CN=lab) expired on" in told

    def test_one_side_without_tls_is_noticed(self, lab, examine):
        config = session.session_config(self.environ(lab / "ours"))
        plain = session.config_endpoints(config, "connect")[0].replace("tls/", "tcp/")
        environ = {"ZENOH_CONFIG_OVERRIDE": f'connect/endpoints=["{plain}"]'}
        assert "one side has TLS" not in (told := examine(environ, ["zenoh"]))
        assert "no Zenoh session comes about" in told


def test_the_words_for_people(environ, monkeypatch, capsys):
    monkeypatch.setenv("ZENOH_CONFIG_OVERRIDE", environ["ZENOH_CONFIG_OVERRIDE"])
    assert cli.main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "no problems found"
    assert lines[0].startswith("ok      versions: Python ")
