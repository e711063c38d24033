"""Alerts reach a web server, and no server can disturb the lab."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest

from matlab_ros.model.errors import ConfigError
from matlab_ros.nodes.webhook import Webhook, WebhookSettings

DEADLINE_S = 20.0
QUICK = WebhookSettings(tries=3, timeout_s=0.3, wait_s=0.01, kept=4)


class Receiver:
    """An HTTP server that answers with the given codes, then with 200."""

    def __init__(self) -> None:
        self.bodies: Queue[dict[str, object]] = Queue()
        self.codes: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code = receiver.codes.pop(0) if receiver.codes else 200
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                receiver.bodies.put({"code": code, **json.loads(body)})

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that listens."""
    made = Receiver()
    yield made
    made.close()


def test_an_alert_arrives_as_it_was_told(receiver: Receiver) -> None:
    webhook = Webhook(receiver.url, pytest.fail, QUICK)
    webhook.post({"level": "error", "text": "furnace_1 is gone.", "device": "furnace_1"})
    body = receiver.bodies.get(timeout=DEADLINE_S)
    assert body["text"] == "furnace_1 is gone."
    assert body["device"] == "furnace_1"
    webhook.close(DEADLINE_S)
    assert (webhook.delivered, webhook.dropped) == (1, 0)


@pytest.mark.parametrize("code", [500, 302, 404])
def test_what_a_server_refuses_is_tried_again_and_not_for_ever(
    receiver: Receiver, code: int
) -> None:
    complaints: Queue[str] = Queue()
    webhook = Webhook(receiver.url, complaints.put, QUICK)
    receiver.codes = [code, code]
    webhook.post({"number": 1})
    assert [receiver.bodies.get(timeout=DEADLINE_S)["code"] for _ in range(3)] == [code, code, 200]
    receiver.codes = [code] * 3
    webhook.post({"number": 2})
    assert str(code) in complaints.get(timeout=DEADLINE_S)
    webhook.post({"number": 3})
    webhook.close(DEADLINE_S)
    assert (webhook.delivered, webhook.dropped) == (2, 1)


def test_a_server_that_hangs_disturbs_nobody() -> None:
    complaints: Queue[str] = Queue()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        webhook = Webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/", complaints.put, QUICK)
        for number in range(50):
            webhook.post({"number": number})
        assert "127.0.0.1" in complaints.get(timeout=DEADLINE_S)
        # Of what waits only the newest is kept; one complaint stands for the whole outage.
        assert webhook.dropped >= 50 - QUICK.kept - 1
        webhook.close(0.1)
        assert complaints.empty()


def test_nobody_at_the_address_is_a_complaint_and_nothing_more() -> None:
    complaints: Queue[str] = Queue()
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}/"
    webhook = Webhook(url, complaints.put, QUICK)
    webhook.post({})
    assert "refused" in complaints.get(timeout=DEADLINE_S)
    webhook.close(DEADLINE_S)


@pytest.mark.parametrize("url", ["file:///etc/hosts", "ftp://host/", "alerts.example", "http://"])
def test_another_kind_of_address_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ConfigError, match="alert_webhook"):
        Webhook(url, pytest.fail)
