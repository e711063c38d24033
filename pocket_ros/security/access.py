"""Zenoh's access control from policies: who may send what to the router, and hear what from it.

"ingress" is what comes from the enclave's machine to the router, "egress" what goes to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pocket_ros.security.policy import NodePolicy, Policy

_IN, _OUT = "ingress", "egress"
_ALL_MESSAGES = [
    "put",
    "delete",
    "declare_subscriber",
    "query",
    "reply",
    "declare_queryable",
    "liveliness_token",
    "liveliness_query",
    "declare_liveliness_subscriber",
]
# "**" does not reach into chunks that begin with "@".
_EVERY_KEY = ["**", "**/@adv/**", "**/@alive/**", "@ros2_lv/**", "@/**"]
Json = dict[str, Any]


def access_control(policies: Mapping[str, Policy], domain_id: int) -> Json:
    """The router's `access_control` for enclaves by name (their certificates' common name)."""
    rules: list[Json] = []
    bindings: list[Json] = []
    for enclave, policy in sorted(policies.items()):
        own = _everything() if policy.everything else _restricted(policy, domain_id)
        for number, rule in enumerate(own):
            rule["id"] = f"{enclave}-{number}"
        rules += own
        bindings.append({"rules": [rule["id"] for rule in own], "subjects": [enclave]})
    return {
        "enabled": True,
        "default_permission": "deny",
        "rules": rules,
        "subjects": [{"id": name, "cert_common_names": [name]} for name in sorted(policies)],
        "policies": bindings,
    }


def _rule(flow: str, messages: list[str], keys: Iterable[str]) -> Json:
    return {
        "permission": "allow",
        "flows": [flow],
        "messages": messages,
        "key_exprs": sorted(set(keys)),
    }


def _everything() -> list[Json]:
    return [_rule(flow, _ALL_MESSAGES, _EVERY_KEY) for flow in (_IN, _OUT)]


def _restricted(policy: Policy, domain_id: int) -> list[Json]:
    def keys(names: Iterable[str]) -> list[str]:
        # Type and hash, and what newer distributions append to them.
        return [f"{domain_id}/{name.strip('/')}/*/RIHS01_$*/**" for name in names]

    def advanced(names: Iterable[str]) -> list[str]:
        """Where publishers keep their last messages for late joiners."""
        return [f"{key[: -len('/**')]}/@adv/**" for key in keys(names)]

    def assertions(names: Iterable[str]) -> list[str]:
        """Where publishers with manual liveliness say that they are alive."""
        return [f"{key[: -len('/**')]}/@alive/**" for key in keys(names)]

    publishes = {name for node in policy.nodes for name in node.publishes}
    subscribes = {name for node in policy.nodes for name in node.subscribes}
    services = {name for node in policy.nodes for name in node.services}
    clients = {name for node in policy.nodes for name in node.clients}
    graph = [f"@ros2_lv/{domain_id}/**"]
    tokens = [token for node in policy.nodes for token in _tokens(node, domain_id)]
    rules = [
        _rule(
            _IN, ["put", "delete"], keys(publishes) + advanced(publishes) + assertions(publishes)
        ),
        _rule(
            _OUT,
            ["declare_subscriber"],
            keys(publishes) + advanced(publishes) + assertions(publishes),
        ),
        # What is asked for below @adv is answered with the messages' own key.
        _rule(_IN, ["reply"], keys(publishes)),
        _rule(_IN, ["declare_queryable", "reply", "liveliness_token"], advanced(publishes)),
        _rule(
            _OUT,
            ["query", "liveliness_token", "liveliness_query", "declare_liveliness_subscriber"],
            advanced(publishes),
        ),
        _rule(
            _IN,
            ["declare_subscriber"],
            keys(subscribes) + advanced(subscribes) + assertions(subscribes),
        ),
        _rule(
            _OUT,
            ["put", "delete"],
            keys(subscribes) + advanced(subscribes) + assertions(subscribes),
        ),
        _rule(
            _IN,
            ["query", "liveliness_token", "liveliness_query", "declare_liveliness_subscriber"],
            advanced(subscribes),
        ),
        _rule(_OUT, ["reply"], keys(subscribes)),
        _rule(_OUT, ["declare_queryable", "reply", "liveliness_token"], advanced(subscribes)),
        _rule(_IN, ["declare_queryable", "reply"], keys(services)),
        _rule(_OUT, ["query"], keys(services)),
        _rule(_IN, ["query"], keys(clients)),
        _rule(_OUT, ["declare_queryable", "reply"], keys(clients)),
        # Everybody may see the graph; only its own nodes may an enclave show in it.
        _rule(_IN, ["liveliness_query", "declare_liveliness_subscriber"], graph),
        _rule(_OUT, ["liveliness_token", "reply"], graph),
        _rule(_IN, ["liveliness_token"], tokens),
    ]
    return [rule for rule in rules if rule["key_exprs"]]


def _tokens(node: NodePolicy, domain_id: int) -> list[str]:
    """Liveliness tokens that a node and its endpoints may declare."""
    from pocket_ros.rclpy._core import wire

    def token(kind: str) -> str:
        where = f"{wire.mangle(node.namespace)}/{node.name}"
        return f"{wire.LIVELINESS_SPACE}/{domain_id}/*/*/*/{kind}/*/{where}"

    return [token(wire.NODE)] + [
        f"{token(kind)}/{wire.mangle(name)}/**"
        for kind, names in (
            (wire.PUBLISHER, node.publishes),
            (wire.SUBSCRIPTION, node.subscribes),
            (wire.SERVICE, node.services),
            (wire.CLIENT, node.clients),
        )
        for name in names
    ]
