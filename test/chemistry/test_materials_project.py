"""The Materials Project, against a stand-in that answers as its interface does."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from matlab_ros.chemistry import tables
from matlab_ros.chemistry.formula import parse_formula
from matlab_ros.chemistry.materials_project import MaterialsProjectEnergies, carbonate_ions
from matlab_ros.chemistry.thermodynamics import Thermodynamics

needs_tables = pytest.mark.skipif(
    not tables.is_installed(), reason=f"needs the energies of elements: {tables.INSTALL}"
)

ENTRIES = [
    ("mp-1", "MgTiO3", -3.30, 104.0, 10),
    ("mp-2", "MgTiO3", -3.28, 90.0, 10),
    ("mp-3", "MgO", -3.05, 18.8, 2),
    ("mp-4", "MgCO3", -2.40, 93.0, 10),
    ("mp-5", "unfinished", None, 1.0, 1),
]


class _Project(ThreadingHTTPServer):
    """Counts what it is asked."""

    daemon_threads = True
    broken = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[dict[str, list[str]]] = []
        self.keys: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: _Project

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self.server.asked.append(query)
        self.server.keys.append(self.headers["X-API-KEY"])
        if self.server.broken:
            self.send_error(403, "no such key")
            return
        wanted = query.get("formula", [""])[0]
        systems = query.get("chemsys", [""])[0].split(",")
        data = []
        for material, formula, energy, volume, sites in ENTRIES:
            made_of = "-".join(sorted(parse_formula(formula).elements)) if energy else ""
            same = energy and wanted and parse_formula(formula).reduced == wanted
            if same or made_of in systems:
                data.append(
                    {
                        "material_id": material,
                        "formula_pretty": formula,
                        "formation_energy_per_atom": energy,
                        "volume": volume,
                        "nsites": sites,
                    }
                )
        if systems != [""]:
            data.append({"material_id": "mp-5", "formula_pretty": "MgTi", "volume": 1.0})
        body = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def project() -> Iterator[_Project]:
    server = _Project()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(20)
    server.server_close()


@needs_tables
def test_the_most_stable_structure_counts_and_is_named(project: _Project) -> None:
    energies = MaterialsProjectEnergies("secret", project.address)
    found = energies.formation_energy(parse_formula("MgTiO3"), 1000)
    assert found is not None
    assert "mp-1" in found.source
    assert "Bartel" in found.source
    assert found.uncertainty_kj_per_mol == pytest.approx(5 * 4.8, rel=0.01)
    assert project.keys == ["secret"]


@needs_tables
def test_each_formula_is_asked_for_once(project: _Project) -> None:
    energies = MaterialsProjectEnergies("secret", project.address)
    for temperature_k in (600, 900, 1200):
        assert energies.formation_energy(parse_formula("Mg2Ti2O6"), temperature_k) is not None
        assert energies.formation_energy(parse_formula("CaTiO3"), temperature_k) is None
    assert len(project.asked) == 2


def test_a_system_is_asked_for_with_all_that_is_within_it(project: _Project) -> None:
    energies = MaterialsProjectEnergies("secret", project.address)
    found = set(energies.known_formulas(frozenset({"Mg", "Ti", "O"})))
    assert found == {"MgTiO3", "MgO"}
    assert set(project.asked[0]["chemsys"][0].split(",")) == {"Mg-O", "Mg-Ti", "O-Ti", "Mg-O-Ti"}


@needs_tables
def test_carbonates_are_corrected_and_say_so(project: _Project) -> None:
    found = MaterialsProjectEnergies("k", project.address).formation_energy(
        parse_formula("MgCO3"), 300
    )
    assert found is not None
    assert "carbonate" in found.note
    assert carbonate_ions(parse_formula("Mg(HCO3)2")) == 2
    assert carbonate_ions(parse_formula("MgC2O4")) == 0


def test_without_a_valid_key_it_is_asked_once_and_the_log_says_why(
    project: _Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.broken = True
    energies = MaterialsProjectEnergies("wrong", project.address)
    with caplog.at_level(logging.WARNING):
        assert energies.formation_energy(parse_formula("MgO"), 900) is None
        assert energies.formation_energy(parse_formula("TiO2"), 900) is None
    assert len(project.asked) == 1
    assert "403" in caplog.text
    assert "wrong" not in caplog.text  # the key stays out of logs


@needs_tables
def test_measured_values_are_asked_before_calculated_ones(
    project: _Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matlab_ros.chemistry import materials_project, sources

    monkeypatch.setenv(materials_project.KEY_VARIABLE, "secret")
    monkeypatch.setattr(
        sources,
        "MaterialsProjectEnergies",
        lambda key: MaterialsProjectEnergies(key, project.address),
    )
    combined = Thermodynamics.default()
    assert combined.gibbs("MgO", 900).source == "FREED"
    assert project.asked == []
    assert not combined.knows("MgTi2O4")
    assert len(project.asked) == 1
