"""An adviser behind any chat endpoint that speaks the protocol of OpenAI.

It is asked for sets of the stocked powders and a temperature, in JSON. Its answer is foreign text:
it may be slow, huge, broken or hostile. It is read with a limit and a deadline, nothing of it is
interpreted but the names of stocked powders and numbers within bounds, and what it says in words is
shown as one plain line.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import threading
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from matlab_ros.chemistry.advice import Advice, Advised, Bounds, plain
from matlab_ros.chemistry.precursor_sets import PrecursorSet
from matlab_ros.model.errors import LabError

LARGEST_ANSWER_BYTES = 200_000
MOST_PROPOSALS = 10
_CONNECTIONS = {"http": HTTPConnection, "https": HTTPSConnection}
_MOST_POWDERS = 12
_MOST_BRACES = 50
_LONGEST_LIST = 60

_TASK = (
    "You are an adviser for solid-state synthesis of inorganic powders. Answer with one JSON "
    'object only: {"proposals": [{"precursors": ["name", ...], "temperature_c": number, '
    '"dwell_h": number, "reason": "one sentence, with a citation if you know one"}]}. '
    "Use only the names of powders that are listed, in one of the combinations that are listed."
)


class AdviserUnreachable(LabError):
    """The endpoint gave no answer that can be read; the message says why."""

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(
            f"the adviser at {address} gave no usable answer: {problem}; ask it again or do "
            "without, nothing else needs it."
        )


class ChatAdviser:
    """Asks a chat endpoint."""

    def __init__(
        self,
        address: str,
        model: str,
        key: str | None = None,
        deadline_s: float = 60.0,
    ) -> None:
        """
        Args:
            address: base of the interface, such as ``http://localhost:8000/v1``.
            model: which of its models is asked.
            key: sent as a bearer token; None for none.
            deadline_s: for the whole answer, steady time.

        Raises:
            AdviserUnreachable: the address is no http or https address.
        """
        self._address = address.rstrip("/")
        try:
            self._url = urlsplit(self._address)
            known = self._url.scheme in _CONNECTIONS and self._url.hostname and self._url.port != 0
        except ValueError:
            known = False
        if not known:
            raise AdviserUnreachable(plain(address), "it is no http or https address")
        self._model = model
        self._key = key
        self._deadline_s = deadline_s

    @property
    def name(self) -> str:
        """Who is asked."""
        return f"{self._model} at {self._address}"

    def advise(self, target: str, candidates: Sequence[PrecursorSet], bounds: Bounds) -> Advised:
        """See `matlab_ros.chemistry.advice.Adviser`.

        Raises:
            AdviserUnreachable: there is no answer, or none that can be read.
        """
        answer = self._ask(_question(target, candidates, bounds))
        return self._validated(_proposals(self._address, answer), candidates, bounds)

    def _ask(self, question: str) -> str:
        body = json.dumps(
            {
                "model": self._model,
                "temperature": 0,
                "messages": [
                    {"role": "system", "content": _TASK},
                    {"role": "user", "content": question},
                ],
            }
        ).encode()
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            content = json.loads(self._reply(body, headers))["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise AdviserUnreachable(
                self._address, "it does not answer in the form of a chat completion"
            ) from error
        if not isinstance(content, str):
            raise AdviserUnreachable(self._address, "its message is no text")
        return content

    def _reply(self, body: bytes, headers: Mapping[str, str]) -> bytes:
        """What the endpoint answers; a redirection is not followed, so that neither key nor
        question go elsewhere."""
        connection = _CONNECTIONS[self._url.scheme](
            str(self._url.hostname), self._url.port, timeout=self._deadline_s
        )
        expired = threading.Event()
        alarm: threading.Timer | None = None
        try:
            connection.connect()
            # The timeout of a socket begins again with every byte; the alarm does not.
            alarm = threading.Timer(self._deadline_s, _hang_up, (connection.sock, expired))
            alarm.daemon = True
            alarm.start()
            path = f"{self._url.path}/chat/completions"
            connection.request("POST", path, body=body, headers=dict(headers))
            reply = connection.getresponse()
            text: bytes = reply.read(LARGEST_ANSWER_BYTES + 1)
            status, reason = reply.status, reply.reason
        except (OSError, HTTPException, ValueError) as error:
            problem = plain(str(error) or repr(error))
            if expired.is_set() or isinstance(error, TimeoutError):
                problem = self._too_late()
            raise AdviserUnreachable(self._address, problem) from error
        finally:
            if alarm is not None:
                alarm.cancel()
            connection.close()
        if expired.is_set():
            raise AdviserUnreachable(self._address, self._too_late())
        if status != HTTPStatus.OK:
            raise AdviserUnreachable(self._address, f"status {status}, {plain(reason, 100)}")
        if len(text) > LARGEST_ANSWER_BYTES:
            raise AdviserUnreachable(
                self._address, f"it is longer than {LARGEST_ANSWER_BYTES} bytes"
            )
        return text

    def _too_late(self) -> str:
        return f"it is not complete after {self._deadline_s:g} s"

    def _validated(
        self, proposals: Sequence[Any], candidates: Sequence[PrecursorSet], bounds: Bounds
    ) -> Advised:
        known = {frozenset(_names(item)): item for item in candidates}
        advice: list[Advice] = []
        rejected: list[str] = []
        for number, proposal in enumerate(proposals[:MOST_PROPOSALS]):
            checked = _checked(proposal, known, bounds)
            if isinstance(checked, str):
                rejected.append(checked)
                continue
            candidate, temperature, dwell, reason = checked
            advice.append(
                Advice(candidate, temperature, dwell, reason, self.name, 1.0 / (1 + number))
            )
        if len(proposals) > MOST_PROPOSALS:
            rejected.append(f"{len(proposals) - MOST_PROPOSALS} more than are read")
        return Advised(tuple(advice), tuple(rejected))


def _hang_up(wire: socket.socket, expired: threading.Event) -> None:
    expired.set()
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


def _question(target: str, candidates: Sequence[PrecursorSet], bounds: Bounds) -> str:
    """What is asked; only sets that no rule refuses are offered."""
    allowed = [item for item in candidates if item.is_allowed][:_LONGEST_LIST]
    lines = [f"Target: {target}", "Combinations of powders that balance:"]
    lines += [f"- {json.dumps(_names(item))}" for item in allowed]
    lines.append(
        f"The furnaces go from {bounds.min_temperature_c:g} to {bounds.max_temperature_c:g} C, in "
        "crucibles of a few grams. Propose at most five, best first."
    )
    return "\n".join(lines)


def _names(candidate: PrecursorSet) -> list[str]:
    return [dose.substance for dose in candidate.doses]


def _proposals(address: str, content: str) -> Sequence[Any]:
    """The list of proposals in a message, which may have words or a fence around its JSON."""
    decoder = json.JSONDecoder(parse_constant=lambda _: math.nan)
    start = -1
    for _ in range(_MOST_BRACES):
        start = content.find("{", start + 1)
        if start < 0:
            break
        try:
            found, _ = decoder.raw_decode(content, start)
        except ValueError:
            continue
        except RecursionError:
            break
        proposals = found.get("proposals")
        if isinstance(proposals, list):
            return proposals
    raise AdviserUnreachable(address, "its message holds no JSON object with proposals")


def _checked(
    proposal: Any, known: Mapping[frozenset[str], PrecursorSet], bounds: Bounds
) -> tuple[PrecursorSet, float, float | None, str] | str:
    """A proposal as values, or what is wrong with it."""
    if not isinstance(proposal, dict):
        return "a proposal is no object"
    names = proposal.get("precursors")
    if (
        not isinstance(names, list)
        or not 1 <= len(names) <= _MOST_POWDERS
        or not all(isinstance(name, str) for name in names)
    ):
        return "a proposal names no precursors"
    shown = plain(" + ".join(names), 100)
    candidate = known.get(frozenset(names))
    if candidate is None:
        return f"{shown}: no set of stocked powders that balances"
    refusals = [said for said in candidate.judgements if said.refuses]
    if refusals:
        return f"{shown}: {refusals[0].rule}: {refusals[0].why}"
    temperature = _number(proposal.get("temperature_c"))
    if temperature is None:
        return f"{shown}: its temperature is no number"
    dwell = None
    if proposal.get("dwell_h") is not None:
        dwell = _number(proposal["dwell_h"])
        if dwell is None:
            return f"{shown}: its dwell is no number"
    problem = bounds.problem(temperature, dwell)
    if problem:
        return f"{shown}: {problem}"
    reason = proposal.get("reason")
    return candidate, temperature, dwell, plain(reason) if isinstance(reason, str) else "no reason"


def _number(value: Any) -> float | None:
    """A finite number; booleans and texts are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
