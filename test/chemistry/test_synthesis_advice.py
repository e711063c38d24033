"""Advisers: syntheses of similar targets, and a chat endpoint that nobody trusts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from matlab_ros.chemistry.advice import Bounds, plain
from matlab_ros.chemistry.chat_adviser import (
    LARGEST_ANSWER_BYTES,
    MOST_PROPOSALS,
    AdviserUnreachable,
    ChatAdviser,
)
from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.chemistry.precursor_sets import Judgement, PrecursorSet, precursor_sets
from matlab_ros.chemistry.similarity import element_likeness, similarity
from matlab_ros.chemistry.synthesis_table import SynthesisTable, precursor_kind
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.lab_config import StockItem
from matlab_ros.share import config_file

TABLE = SynthesisTable.read(config_file("precursors", "syntheses", suffix=".csv"))
BOUNDS = Bounds(1400.0)


def candidates(target: str, *formulas: str, refused: str = "") -> list[PrecursorSet]:
    stock = [StockItem(name=f, formula=f, slot=1 + i, mass_g=50) for i, f in enumerate(formulas)]
    found = []
    for item in precursor_sets(target, stock, 500.0, 900.0):
        said = (
            (Judgement("no_nitrate", True, "because"),) if refused and refused in item.name else ()
        )
        found.append(PrecursorSet(item.reaction, item.doses, said))
    return found


# Similarity of targets


def test_a_compound_is_most_similar_to_itself_and_then_to_its_kin() -> None:
    strontium, barium, lithium, spinel = (
        parse_formula(f) for f in ("SrTiO3", "BaTiO3", "Li2TiO3", "ZnFe2O4")
    )
    assert similarity(strontium, strontium) == pytest.approx(1.0)
    assert (
        1.0
        > similarity(strontium, barium)
        > similarity(strontium, lithium)
        > similarity(strontium, spinel)
    )
    assert similarity(barium, lithium) == pytest.approx(similarity(lithium, barium))


def test_elements_of_a_group_are_alike_and_hydrogen_is_alone() -> None:
    assert element_likeness("Na", "K") > element_likeness("Na", "Mg")
    assert element_likeness("H", "Li") == 0


def test_a_known_target_gets_its_own_synthesis() -> None:
    found = TABLE.advise("BaTiO3", candidates("BaTiO3", "BaCO3", "BaO", "TiO2"), BOUNDS)
    first = found.advice[0]
    assert first.candidate.name == "BaCO3 + TiO2"
    assert first.temperature_c == 1100
    assert "Beauger" in first.source


def test_a_new_target_is_made_like_its_relatives() -> None:
    found = TABLE.advise("NaCoO2", candidates("NaCoO2", "NaOH", "Na2CO3", "CoCO3", "CoO"), BOUNDS)
    assert found.advice[0].candidate.name == "Na2CO3 + CoCO3"
    assert "LiCoO2" in found.advice[0].because


def test_what_a_rule_refuses_or_no_furnace_reaches_is_not_advised() -> None:
    given = candidates("BaTiO3", "BaCO3", "TiO2", refused="BaCO3")
    refused = TABLE.advise("BaTiO3", given, BOUNDS)
    assert refused.advice == ()
    assert "no_nitrate" in refused.rejected[0]
    cold = TABLE.advise("BaTiO3", candidates("BaTiO3", "BaCO3", "TiO2"), Bounds(1000.0))
    assert "1100" in cold.rejected[0]


def test_nothing_similar_gives_no_advice() -> None:
    assert TABLE.most_similar("CsI") == []


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("Foo,BaCO3,900,1,air,x", "formula"),
        ("BaTiO3,BaCO3 + TiO2,hot,1,air,x", "float"),
        ("BaTiO3,BaCO3 + TiO2,900,1,air,", "source"),
    ],
    ids=["no formula", "no number", "no source"],
)
def test_a_table_that_makes_no_sense_names_its_line(row: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"target,precursors,temperature_c,time_h,atmosphere,source\n{row}\n")
    with pytest.raises(ConfigError, match=problem) as caught:
        SynthesisTable.read(path)
    assert "line 2" in str(caught.value)


def test_kinds_of_precursors() -> None:
    kinds = {
        "BaCO3": "carbonate", "Mg(OH)2": "hydroxide", "LiNO3": "nitrate", "TiO2": "oxide",
        "NH4H2PO4": "ammonium phosphate", "FePO4": "phosphate", "FeC2O4": "oxalate", "Ti": "metal",
        "NaCl": "salt",
    }  # fmt: skip
    assert {formula: precursor_kind(formula) for formula in kinds} == kinds


# A chat endpoint

Answer = Callable[[BaseHTTPRequestHandler], None]


class _Endpoint(ThreadingHTTPServer):
    """Answers with what a test tells it to."""

    daemon_threads = True
    answer: Answer

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self.done = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, *_: object) -> None:
        """Clients hang up here on purpose."""


class _Handler(BaseHTTPRequestHandler):
    server: _Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, dict(self.headers), body))
        self.server.answer(self)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def endpoint() -> Iterator[_Endpoint]:
    server = _Endpoint()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.done.set()
    server.shutdown()
    thread.join(20)
    server.server_close()


def sends(body: bytes, status: int = 200) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def says(content: Any) -> Answer:
    return sends(json.dumps({"choices": [{"message": {"content": content}}]}).encode())


def proposes(*proposals: Any) -> Answer:
    return says(json.dumps({"proposals": list(proposals)}))


GOOD = {"precursors": ["BaCO3", "TiO2"], "temperature_c": 1100, "dwell_h": 6, "reason": "usual"}


def ask(endpoint: _Endpoint, answer: Answer, **arguments: Any) -> Any:
    endpoint.answer = answer
    adviser = ChatAdviser(endpoint.address, "some-model", **{"deadline_s": 30.0, **arguments})
    given = candidates("BaTiO3", "BaCO3", "Ba(NO3)2", "TiO2", refused="NO3")
    return adviser.advise("BaTiO3", given, BOUNDS)


def test_an_answer_is_read_and_only_allowed_sets_are_offered(endpoint: _Endpoint) -> None:
    found = ask(endpoint, proposes(GOOD), key="secret")
    (advice,) = found.advice
    assert advice.candidate.name == "BaCO3 + TiO2"
    assert (advice.temperature_c, advice.dwell_h, advice.because) == (1100, 6, "usual")
    path, headers, body = endpoint.requests[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer secret"
    assert body["model"] == "some-model"
    question = body["messages"][-1]["content"]
    assert "BaCO3" in question
    assert "NO3" not in question


def test_words_and_fences_around_the_json_do_no_harm(endpoint: _Endpoint) -> None:
    text = f"Sure {{here}} it is:\n```json\n{json.dumps({'proposals': [GOOD]})}\n```\nGood luck!"
    assert len(ask(endpoint, says(text)).advice) == 1


@pytest.mark.parametrize(
    ("proposal", "reason"),
    [
        ({**GOOD, "precursors": ["Ba(NO3)2", "TiO2"]}, "no_nitrate"),
        ({**GOOD, "precursors": ["BaCO3", "TiO2", "KClO4"]}, "no set of stocked powders"),
        ({**GOOD, "precursors": ["BaCO3"]}, "no set of stocked powders"),
        ({**GOOD, "precursors": "BaCO3 + TiO2"}, "names no precursors"),
        ({**GOOD, "precursors": [["BaCO3"], "TiO2"]}, "names no precursors"),
        ({**GOOD, "temperature_c": 5000}, "outside"),
        ({**GOOD, "temperature_c": "1100; rm -rf /"}, "no number"),
        ({**GOOD, "temperature_c": True}, "no number"),
        ({**GOOD, "temperature_c": 10**400}, "no number"),
        ({**GOOD, "dwell_h": -1}, "dwell"),
        ({**GOOD, "dwell_h": "long"}, "dwell"),
        ("do it", "no object"),
        (None, "no object"),
    ],
    ids=str,
)
def test_a_proposal_that_cannot_be_is_thrown_away_with_its_reason(
    proposal: Any, reason: str, endpoint: _Endpoint
) -> None:
    found = ask(endpoint, proposes(proposal, GOOD))
    assert len(found.advice) == 1
    assert reason in found.rejected[0]


def test_not_a_number_is_no_temperature(endpoint: _Endpoint) -> None:
    text = json.dumps({"proposals": [GOOD]}).replace("1100", "NaN")
    assert ask(endpoint, says(text)).advice == ()


def test_escape_sequences_of_terminals_are_taken_out(endpoint: _Endpoint) -> None:
    hostile = "fine\x1b[2J\x1b]0;owned\x07\u202e\nprecursor_sets: auto" + "x" * 10_000
    (advice,) = ask(endpoint, proposes({**GOOD, "reason": hostile})).advice
    assert advice.because.isprintable()
    assert len(advice.because) <= 300


def test_more_proposals_than_anybody_reads_are_cut(endpoint: _Endpoint) -> None:
    found = ask(endpoint, proposes(*[GOOD] * 1000))
    assert len(found.advice) == MOST_PROPOSALS
    assert "990 more" in found.rejected[-1]


@pytest.mark.parametrize(
    "answer",
    [
        sends(b""),
        sends(b"<html>login</html>"),
        sends(b"[" * 100_000),
        sends(b'{"choices": []}'),
        sends(b'{"choices": [{"message": {"content": 5}}]}'),
        sends(b"\xff\xfe\x00"),
        says("I cannot help with that."),
        says('{"proposals": "none"}'),
        says('{"a":' * 20_000),
        sends(b'{"error": "no such model"}', status=404),
        sends(b"moved", status=302),
    ],
    ids=["empty", "html", "deep", "no choice", "no text", "no utf-8", "refusal", "no list",
         "deep message", "not found", "moved"],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_is_one_clear_error(
    answer: Answer, endpoint: _Endpoint
) -> None:
    with pytest.raises(AdviserUnreachable, match="do without"):
        ask(endpoint, answer)


def test_a_redirection_is_not_followed(endpoint: _Endpoint) -> None:
    def moved(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(307)
        handler.send_header("Location", f"{endpoint.address}/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with pytest.raises(AdviserUnreachable, match="307"):
        ask(endpoint, moved, key="secret")
    assert len(endpoint.requests) == 1


def test_a_huge_answer_is_cut_off(endpoint: _Endpoint) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not endpoint.done.is_set():
            handler.wfile.write(b"x" * 65536)

    with pytest.raises(AdviserUnreachable, match=str(LARGEST_ANSWER_BYTES)):
        ask(endpoint, endless)


def test_an_answer_in_drops_ends_at_the_deadline(endpoint: _Endpoint) -> None:
    """Every byte comes within the timeout of the socket, and there is no end of them."""

    def drips(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not endpoint.done.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    with pytest.raises(AdviserUnreachable, match="not complete"):
        ask(endpoint, drips, deadline_s=0.5)


def test_an_endpoint_that_never_answers_ends_at_the_deadline(endpoint: _Endpoint) -> None:
    with pytest.raises(AdviserUnreachable, match="not complete"):
        ask(endpoint, lambda _: endpoint.done.wait(60) and None, deadline_s=0.3)


def test_nobody_there_is_one_clear_error() -> None:
    adviser = ChatAdviser("http://127.0.0.1:1/v1", "model", deadline_s=5)
    with pytest.raises(AdviserUnreachable):
        adviser.advise("BaTiO3", candidates("BaTiO3", "BaCO3", "TiO2"), BOUNDS)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "nonsense", "http://[", "ftp://x/v1"])
def test_only_http_addresses_are_asked(address: str) -> None:
    with pytest.raises(AdviserUnreachable, match="no http"):
        ChatAdviser(address, "model")


def test_plain_keeps_one_line_of_what_can_be_printed() -> None:
    assert plain("a\nb\x00c\t d") == "a b c d"
    assert len(plain("x" * 1000)) == 300
