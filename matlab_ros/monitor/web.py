"""The page's server: files, one WebSocket for what changes, and what people decide.

Nothing from outside this machine is loaded, and nobody outside it is served without a token. A
page of another origin gets nothing, whatever name it reached this machine by.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web
from plotly.offline import get_plotlyjs

from matlab_ros.model.errors import LabError
from matlab_ros.monitor.access import Access, Person, Role
from matlab_ros.monitor.details import CampaignDetails
from matlab_ros.monitor.live import LiveValues

_LOG = logging.getLogger(__name__)

PERIOD_S = 0.05
"""Between two messages to a page: twenty a second."""

SEND_S = 10.0
"""For a page to take a message; then it is gone, and comes back by itself."""

COOKIE = "matlab_ros_token"
PERSON = web.RequestKey("person", Person)
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer", with which a form of ours would not say where it comes from.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FILES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_WRONG_TOKENS = 10
"""Wrong tokens in a minute from one address; then it waits the minute out."""

_MINUTE_S = 60.0
_LARGEST_COMMAND = 16 * 1024


@dataclass(frozen=True)
class Command:
    """Something that an operator asks for.

    Attributes:
        what: "resolve", "pause", "resume", "cancel", "estop", "look".
        fields: its arguments.
        person: who asks.
    """

    what: str
    fields: Mapping[str, Any]
    person: Person


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    return host in _LOOPBACK


class MonitorServer:
    """Serves the page until its task is cancelled.

    Args:
        values: what the lab says.
        details: the journal's view.
        temperatures: readings of each furnace of the last day: time, reading, set point.
        follow: carries a command out, in a thread of its own, and returns a sentence; LabError
            where it is refused.
        access: who may do what.
        host: address to listen at.
        port: TCP port; 0: any that is free.
        tls: encrypts, where given.
    """

    def __init__(
        self,
        values: LiveValues,
        details: Callable[[], CampaignDetails],
        temperatures: Callable[[], Any],
        follow: Callable[[Command], str],
        access: Access,
        host: str = "127.0.0.1",
        port: int = 8088,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._values = values
        self._details = details
        self._temperatures = temperatures
        self._follow = follow
        self._access = access
        self._host, self._port, self._tls = host, port, tls
        self._wrong: dict[str, list[float]] = {}
        self._page = resources.files("matlab_ros.monitor") / "page"
        self._plotly = get_plotlyjs().encode()
        self.address = ""

    async def run(self, ready: Callable[[str], None] = lambda _: None) -> None:
        """Serve.

        Args:
            ready: told the page's address once it can be opened.

        Raises:
            LabError: the port cannot be had.
        """
        runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port, ssl_context=self._tls)
            try:
                await site.start()
            except OSError as error:
                raise LabError(
                    f"The page cannot be served at {self._host}:{self._port} ({error.strerror}); "
                    "end what listens there, or choose another --port."
                ) from error
            port = runner.addresses[0][1]
            scheme = "http" if self._tls is None else "https"
            host = f"[{self._host}]" if ":" in self._host else self._host
            self.address = f"{scheme}://{host}:{port}"
            ready(self.address)
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard], client_max_size=_LARGEST_COMMAND)
        application.add_routes(
            [
                web.get("/", self._index),
                web.post("/login", self._login),
                web.get("/plotly.js", self._plotting),
                web.get("/page/{name}", self._file),
                web.get("/api/state", self._state),
                web.get("/api/chart", self._chart),
                web.get("/api/parameters", self._parameters),
                web.get("/api/temperatures", self._past),
                web.get("/api/experiment/{name}", self._experiment),
                web.post("/api/command", self._command),
                web.get("/live", self._live),
            ]
        )
        return application

    @web.middleware
    async def _guard(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Nobody gets past this without being known; pages of other origins never."""
        refusal = self._refusal(request)
        response = refusal if refusal is not None else await handler(request)
        if not response.prepared:
            response.headers.update(_HEADERS)
        return response

    def _refusal(self, request: web.Request) -> web.Response | None:
        host = urlsplit(f"//{request.host}").hostname or ""
        if is_loopback(self._host) and not is_loopback(host):
            # A name of somebody's that points here would make its pages ours.
            return _plain(403, "This page is called localhost.")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            return _plain(403, "Asked by a page of another origin.")
        if request.path == "/login" or request.path.startswith("/page/"):
            return None
        token = self._token(request)
        if token is not None and self._too_often(request):
            return _plain(429, "Too many wrong tokens; wait a minute.")
        person = self._access.person(token)
        if person is None and token is not None and not self._access.demands_token:
            # An old cookie, of when tokens were asked for.
            person = self._access.person(None)
        if person is None:
            if token is not None:
                self._note_wrong(request)
            if request.path == "/":
                return self._form("This token is not known." if token is not None else "", 401)
            return _plain(401, "A token is needed; open the page and give it.")
        request[PERSON] = person
        return None

    @staticmethod
    def _token(request: web.Request) -> str | None:
        scheme, _, word = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and word:
            return word.strip()
        return request.cookies.get(COOKIE)

    def _too_often(self, request: web.Request) -> bool:
        now = time.monotonic()
        recent = [t for t in self._wrong.get(request.remote or "", ()) if now - t < _MINUTE_S]
        self._wrong[request.remote or ""] = recent
        return len(recent) >= _WRONG_TOKENS

    def _note_wrong(self, request: web.Request) -> None:
        self._wrong.setdefault(request.remote or "", []).append(time.monotonic())
        _LOG.warning("a wrong token from %s", request.remote)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        if self._too_often(request):
            return self._form("Too many wrong tokens; wait a minute.", 429)
        token = str((await request.post()).get("token", "")).strip()
        if self._access.person(token) is None:
            self._note_wrong(request)
            return self._form("This token is not known.", 401)
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            COOKIE, token, httponly=True, samesite="Strict", secure=self._tls is not None
        )
        return response

    def _form(self, complaint: str, status: int) -> web.Response:
        text = (self._page / "login.html").read_text(encoding="utf-8")
        return web.Response(
            text=text.replace("{complaint}", complaint), content_type="text/html", status=status
        )

    async def _index(self, _request: web.Request) -> web.StreamResponse:
        text = (self._page / "monitor.html").read_text(encoding="utf-8")
        return web.Response(text=text, content_type="text/html")

    async def _plotting(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(body=self._plotly, content_type="text/javascript")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        ending = name[name.rfind(".") :]
        names = {item.name for item in self._page.iterdir()}
        if ending not in _FILES or name not in names:
            return _plain(404, "There is no such file.")
        return web.Response(body=(self._page / name).read_bytes(), content_type=_FILES[ending])

    async def _state(self, _request: web.Request) -> web.StreamResponse:
        return _json(self._values.changes().values)

    async def _chart(self, _request: web.Request) -> web.StreamResponse:
        return await self._from_journal(lambda details: details.chart())

    async def _past(self, _request: web.Request) -> web.StreamResponse:
        return _json(self._temperatures())

    async def _parameters(self, _request: web.Request) -> web.StreamResponse:
        return await self._from_journal(lambda details: details.parameters())

    async def _experiment(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        return await self._from_journal(lambda details: details.experiment(name))

    async def _from_journal(self, ask: Callable[[CampaignDetails], Any]) -> web.StreamResponse:
        def answer() -> Any:
            return ask(self._details())

        try:
            found = await asyncio.get_running_loop().run_in_executor(None, answer)
        except LabError as error:
            return _plain(503, str(error))
        return (
            _plain(404, "The journal knows nothing of it yet.") if found is None else _json(found)
        )

    async def _command(self, request: web.Request) -> web.StreamResponse:
        person = request[PERSON]
        if person.role is not Role.OPERATOR:
            return _plain(403, f"{person.name} may look and not act; an operator's token may.")
        try:
            given = await request.json()
            what, fields = given["what"], given.get("fields", {})
            if not isinstance(what, str) or not isinstance(fields, dict):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            return _plain(400, 'Expected {"what": "pause", "fields": {…}}.')
        try:
            sentence = await asyncio.get_running_loop().run_in_executor(
                None, self._follow, Command(what, fields, person)
            )
        except LabError as error:
            return _plain(409, str(error))
        return _json({"message": sentence})

    async def _live(self, request: web.Request) -> web.StreamResponse:
        person = request[PERSON]
        socket = web.WebSocketResponse(heartbeat=10.0, max_msg_size=1024)
        await socket.prepare(request)
        reader = asyncio.create_task(_drain(socket))
        try:
            await self._tell(socket, person)
        except (ConnectionError, asyncio.TimeoutError):
            _LOG.info("a page at %s does not listen any more", request.remote)
        finally:
            reader.cancel()
            await socket.close(code=WSCloseCode.GOING_AWAY)
        return socket

    async def _tell(self, socket: web.WebSocketResponse, person: Person) -> None:
        about = {"name": person.name, "role": person.role.value, "session": _SESSION}
        version = 0
        first = True
        while not socket.closed:
            found = self._values.changes(version)
            if found.values or first:
                text = json.dumps(
                    {"person": about, "first": first, "values": found.values}, allow_nan=False
                )
                await asyncio.wait_for(socket.send_str(text), SEND_S)
                first = False
            version = found.version
            await asyncio.sleep(PERIOD_S)


_SESSION = secrets.token_hex(4)
"""Of this process: a page that sees another one begins anew."""


async def _drain(socket: web.WebSocketResponse) -> None:
    """Answer pings and see the end; pages say nothing here."""
    async for message in socket:
        if message.type is WSMsgType.ERROR:
            return


def _plain(status: int, sentence: str) -> web.Response:
    return web.Response(status=status, text=sentence)


def _json(value: Any) -> web.Response:
    return web.Response(
        text=json.dumps(value, allow_nan=False, separators=(",", ":")),
        content_type="application/json",
    )
