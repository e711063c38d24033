"""Policies are checked when they are read; an authority's folder keeps what it was told."""

import json
import stat

import pytest
import yaml

from pocket_ros import cli
from pocket_ros.security.access import access_control
from pocket_ros.security.errors import SecurityError
from pocket_ros.security.policy import TRUSTED, parse_policy

XRD = {"nodes": {"/lab/xrd": {"publishes": ["~/state", "raw"], "actions": ["~/measure"]}}}


def parse(**entry):
    return parse_policy({"nodes": {"/lab/xrd": entry}}, "xrd.yaml").nodes[0]


def test_names_are_expanded_as_the_node_would():
    node = parse(publishes=["~/state", "raw", "/alarm"], parameters=False)
    assert node.publishes == {"/lab/xrd/state", "/lab/raw", "/alarm", "/rosout"}
    assert node.services == set()


def test_an_action_is_its_services_and_topics_for_either_side():
    server = parse(actions=["~/measure"], parameters=False)
    client = parse(action_clients=["~/measure"], parameters=False)
    assert server.services == client.clients
    assert "/lab/xrd/measure/_action/send_goal" in server.services
    assert server.publishes - {"/rosout"} == client.subscribes


def test_parameters_and_lifecycle_bring_their_services():
    node = parse(lifecycle=True)
    assert {"/lab/xrd/set_parameters", "/lab/xrd/change_state"} <= node.services
    assert {"/parameter_events", "/lab/xrd/transition_event"} <= node.publishes


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("text", "expected 'nodes:'"),
        ({"nodes": {}}, "expected 'nodes:'"),
        ({"nodes": {"/a": {}}, "everything": True}, "nothing else"),
        ({"everything": "yes"}, "expected 'nodes:'"),
        ({"nodes": {"xrd": {}}}, "needs its full name"),
        ({"nodes": {"/lab/1xrd": {}}}, "must not start with a number"),
        ({"nodes": {"/xrd": {"publish": []}}}, "'publish' is not one of publishes"),
        ({"nodes": {"/xrd": {"publishes": "/a"}}}, "must be a list"),
        ({"nodes": {"/xrd": {"publishes": ["/a b"]}}}, "must not contain characters"),
        ({"nodes": {"/xrd": {"publishes": ["/**"]}}}, "must not contain characters"),
        ({"nodes": {"/xrd": {"lifecycle": "no"}}}, "must be true or false"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_place(document, reason):
    with pytest.raises(SecurityError, match=r"^xrd\.yaml: ") as raised:
        parse_policy(document, "xrd.yaml")
    assert reason in str(raised.value)


def test_access_is_denied_unless_a_policy_says_otherwise():
    policies = {"lab": TRUSTED, "xrd": parse_policy(XRD, "xrd.yaml")}
    control = access_control(policies, 7)
    assert control["default_permission"] == "deny"
    assert control["enabled"] is True
    rules = {rule["id"]: rule for rule in control["rules"]}
    assert len(rules) == len(control["rules"])
    [binding] = [b for b in control["policies"] if b["subjects"] == ["xrd"]]
    own = [rules[name] for name in binding["rules"]]
    for rule in own:
        assert rule["key_exprs"]
        for key in rule["key_exprs"]:
            assert key.startswith(("7/", "@ros2_lv/7/"))
    puts = {k for r in own if "put" in r["messages"] and "ingress" in r["flows"]
            for k in r["key_exprs"]}  # fmt: skip
    assert "7/lab/xrd/state/*/RIHS01_$*/**" in puts
    assert not any(key.startswith("7/lab/furnace") for key in puts)


class TestFolder:
    """`pocket-ros security` on a folder."""

    @pytest.fixture
    def folder(self, tmp_path):
        pytest.importorskip("cryptography", reason="certificates need the package 'cryptography'")
        (tmp_path / "xrd.yaml").write_text(yaml.safe_dump(XRD))
        words = ["--enclave", "lab", "--host", "lab.local", "--host", "10.0.0.5"]
        assert cli.main(["security", "init", str(tmp_path / "keys"), *words]) == 0
        return tmp_path

    @staticmethod
    def read(path):
        return json.loads(path.read_text().split("\n", 1)[1])

    def test_a_router_for_others_listens_to_all_with_certificates_only(self, folder):
        router = self.read(folder / "keys/router/router.json5")
        assert router["listen"]["endpoints"] == ["tls/0.0.0.0:7447"]
        assert router["transport"]["link"]["protocols"] == ["tls"]
        assert router["transport"]["link"]["tls"]["enable_mtls"] is True
        session = self.read(folder / "keys/enclaves/lab/session.json5")
        assert session["mode"] == "client"
        assert session["connect"]["endpoints"] == ["tls/lab.local:7447", "tls/10.0.0.5:7447"]
        assert session["listen"]["endpoints"] == []

    def test_an_enclave_is_added_and_others_keep_their_keys(self, folder):
        before = (folder / "keys/enclaves/lab/session.json5").read_bytes()
        new = f"xrd={folder / 'xrd.yaml'}"
        assert cli.main(["security", "add", str(folder / "keys"), "--enclave", new]) == 0
        assert (folder / "keys/enclaves/lab/session.json5").read_bytes() == before
        subjects = self.read(folder / "keys/router/router.json5")["access_control"]["subjects"]
        assert [subject["id"] for subject in subjects] == ["lab", "xrd"]

    def test_renewing_makes_new_keys_under_the_same_authority(self, folder):
        path = folder / "keys/enclaves/lab/session.json5"
        before = self.read(path)["transport"]["link"]["tls"]
        assert cli.main(["security", "renew", str(folder / "keys")]) == 0
        after = self.read(path)["transport"]["link"]["tls"]
        name = "root_ca_certificate_base64"
        assert after[name] == before[name]
        assert after["connect_private_key_base64"] != before["connect_private_key_base64"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["init", "keys", "--enclave", "lab"], "has an authority already"),
            (["add", "nowhere", "--enclave", "lab"], "has no authority"),
            (["add", "keys", "--enclave", "router"], "cannot be an enclave's name"),
            (["add", "keys", "--enclave", "../x"], "cannot be an enclave's name"),
            (["add", "keys", "--enclave", "a=missing.yaml"], "cannot be read"),
            (["renew", "keys", "nobody"], "has no enclave 'nobody'"),
        ],
    )
    def test_mistakes_are_sentences(self, folder, words, reason, monkeypatch, capsys):
        monkeypatch.chdir(folder)
        assert cli.main(["security", *words]) == 1
        error = capsys.readouterr().err
        assert error.startswith("pocket-ros security: ")
        assert reason in error
        assert len(error.splitlines()) == 1
