"""The page's server, over real sockets: nobody gets past it who should not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

aiohttp = pytest.importorskip("aiohttp", reason="pip install 'matlab_ros[monitor]'")

from matlab_ros.model.errors import LabError  # noqa: E402
from matlab_ros.monitor.access import Access, Person, Role, load_access, make_token  # noqa: E402
from matlab_ros.monitor.live import LiveValues  # noqa: E402
from matlab_ros.monitor.web import Command, MonitorServer  # noqa: E402

PATIENCE_S = 30.0
ME = Access(everybody=Person("me", Role.OPERATOR))


def fetch(
    served: Any, path: str, method: str = "GET", json_: Any = None, **headers: str
) -> tuple[int, str]:
    """Status and body."""

    async def ask() -> tuple[int, str]:
        timeout = aiohttp.ClientTimeout(PATIENCE_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(
                method, served.address + path, json=json_, headers=headers, allow_redirects=False
            ) as answer,
        ):
            return answer.status, await answer.text()

    return asyncio.run(ask())


def _no_journal() -> Any:
    raise LabError("The journal is elsewhere.")


def test_the_socket_says_everything_once_and_then_what_changes(serve):
    served = serve()
    served.values.put("lab", "state", {"paused": False})

    async def listen() -> list[Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(served.address + "/live") as socket,
        ):
            first = json.loads((await socket.receive(PATIENCE_S)).data)
            served.values.put("lab", "state", {"paused": True})
            second = json.loads((await socket.receive(PATIENCE_S)).data)
            return [first, second]

    first, second = asyncio.run(listen())
    assert first["first"]
    assert first["values"] == {"lab": {"state": {"paused": False}}}
    assert first["person"]["role"] == "operator"
    assert second["values"] == {"lab": {"state": {"paused": True}}}


def test_every_file_of_the_page_is_served_and_nothing_else(serve):
    served = serve()
    status, page = fetch(served, "/")
    assert status == 200
    for name in ("monitor.js", "monitor.css", "monitor_map.js", "icon.svg"):
        assert fetch(served, f"/page/{name}")[0] == 200, name
    assert "plotly" in fetch(served, "/plotly.js")[1][:2000].lower()
    for name in ("..%2f..%2fcli.py", "%2e%2e/web.py", "nothing.js", "__init__.py"):
        assert fetch(served, f"/page/{name}")[0] == 404, name
    assert "http://" not in page
    assert "https://" not in page


def test_a_wrong_token_gets_nothing_and_many_wrong_ones_wait(serve, tmp_path):
    file = tmp_path / "tokens"
    token = make_token(file, "anna", Role.OPERATOR)
    served = serve(load_access(file))
    served.values.put("lab", "state", {"campaign": "secret"})
    for path in ("/", "/api/state", "/live", "/api/chart", "/api/experiment/x"):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            status, body = fetch(served, path, **headers)
            assert status == 401, path
            assert "secret" not in body
    assert fetch(served, "/api/state", Authorization=f"Bearer {token}")[0] == 200
    statuses = {fetch(served, "/api/state", Authorization="Bearer no")[0] for _ in range(12)}
    assert 429 in statuses
    assert fetch(served, "/api/state", Authorization=f"Bearer {token}")[0] == 429


def test_a_viewer_looks_and_does_not_act(serve, tmp_path):
    file = tmp_path / "tokens"
    viewer = make_token(file, "ben", Role.VIEWER)
    operator = make_token(file, "anna", Role.OPERATOR)
    followed: list[Command] = []

    def follow(command: Command) -> str:
        followed.append(command)
        return "It is paused."

    served = serve(load_access(file), follow)
    pause = {"what": "pause", "fields": {"scope": "lab"}}
    status, body = fetch(served, "/api/command", "POST", pause, Authorization=f"Bearer {viewer}")
    assert (status, followed) == (403, [])
    assert "ben may look" in body
    status, body = fetch(served, "/api/command", "POST", pause, Authorization=f"Bearer {operator}")
    assert (status, json.loads(body)) == (200, {"message": "It is paused."})
    assert followed == [Command("pause", {"scope": "lab"}, Person("anna", Role.OPERATOR))]


def test_pages_of_other_origins_and_names_get_nothing(serve):
    followed: list[Command] = []
    served = serve(follow=lambda command: followed.append(command) or "Done.")
    pause = {"what": "pause", "fields": {}}
    assert fetch(served, "/api/command", "POST", pause, Origin="http://evil.example")[0] == 403
    assert fetch(served, "/api/state", Host="evil.example")[0] == 403
    assert fetch(served, "/live", Origin="http://localhost:1")[0] == 403
    assert followed == []


@pytest.mark.parametrize(
    "given", [[], "x", {"what": 3}, {"fields": {}}, {"what": "a", "fields": 1}]
)
def test_a_command_that_makes_no_sense_is_refused(serve, given):
    served = serve()
    assert fetch(served, "/api/command", "POST", given)[0] == 400


def test_a_refusal_of_the_lab_and_a_missing_journal_are_sentences(serve):
    def refuse(_command: Command) -> str:
        raise LabError("The lab is not paused.")

    served = serve(follow=refuse)
    answer = fetch(served, "/api/command", "POST", {"what": "resume", "fields": {}})
    assert answer == (409, "The lab is not paused.")
    assert fetch(served, "/api/experiment/x") == (503, "The journal is elsewhere.")


def test_a_port_that_is_taken_is_a_sentence(serve):
    served = serve()
    port = int(served.address.rpartition(":")[2])
    server = MonitorServer(LiveValues(), _no_journal, dict, lambda _: "", ME, port=port)
    with pytest.raises(LabError, match="choose another --port"):
        asyncio.run(server.run())
