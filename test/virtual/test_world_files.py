"""A system is one file: the guide's example works, and a wrong file says where and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from matlab_ros.cli import BAD_INPUT, DONE, main
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.lab_config import StockItem, load_lab
from matlab_ros.share import config_file, share_dir
from matlab_ros.virtual.reactions import build_chemistry, load_chemistry
from matlab_ros.virtual.synthesis import Firing, synthesise
from matlab_ros.virtual.world import World
from matlab_ros.virtual.world_file import WorldFileError, parse_world

GUIDE = Path(__file__).parents[2] / "docs" / "worlds.md"
EXAMPLE = re.findall(r"```yaml\n(name: Mg-Al-O.*?)```", GUIDE.read_text(encoding="utf-8"), re.S)[0]
NAME = Path("own.yaml")


@pytest.fixture
def example(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.write_text(EXAMPLE, encoding="utf-8")
    return path


def test_the_guides_example_makes_spinel(example: Path) -> None:
    chemistry = load_chemistry(example)
    doses = {"Mg(OH)2": 364.0, "Al2O3": 636.0}
    cold, warm, hot = (
        synthesise(chemistry, doses, Firing.hold(t, 6)).fraction("MgAl2O4-Spinel")
        for t in (600, 1000, 1300)
    )
    assert cold < 0.01 < warm < hot
    assert hot > 0.9


def test_the_guides_example_works_in_a_lab(example: Path) -> None:
    base = load_lab(config_file("labs", "virtual_lab"))
    powders = (("Mg(OH)2", "Mg(OH)2-Brucite"), ("Al2O3", "Al2O3-Corundum"))
    stock = tuple(
        StockItem(name=name, formula=name, slot=slot, mass_g=10, structure=structure)
        for slot, (name, structure) in enumerate(powders, 1)
    )
    world = World(base.model_copy(update={"stock": stock}), load_chemistry(example), 0)
    world.dose("rack/1", "Mg(OH)2", 364.0)
    world.dose("rack/1", "Al2O3", 636.0)
    world.mix("rack/1")
    world.expose(["rack/1"], [0, 8000, 30_000, 38_000], [25, 1300, 1300, 25])
    masses = world.composition("crucible-01")
    assert masses["MgAl2O4-Spinel"] > 0.9 * sum(masses.values())
    assert sum(masses.values()) + world.losses("crucible-01")["H2O"] == pytest.approx(1000)


def test_every_stock_is_known_to_the_chemistry_that_comes_with_us() -> None:
    chemistry = load_chemistry(share_dir() / "config" / "chemistry")
    for file in sorted((share_dir() / "config" / "labs").glob("*.yaml")):
        lab = load_lab(file)
        if lab.simulated:
            assert {item.name for item in lab.stock} <= chemistry.powders.keys(), file.name


def test_the_command_shows_a_landscape(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["world", "check", str(example), "--target", "MgAl2O4"]) == DONE
    out = " ".join(capsys.readouterr().out.split())
    assert "4 species, 2 powders, 2 reactions" in out
    assert "brucite → magnesia + H2O" in out
    assert "Al2O3 + Mg(OH)2" in out
    assert re.search(r"Best: (9\d|100)\.\d % with Al2O3 \+ Mg\(OH\)2", out)


def test_the_command_finds_the_target_of_a_campaign(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["world", "check", str(config_file("chemistry", "zn_ti_o"))]) == DONE
    assert "Yield of ZnTiO3" in capsys.readouterr().out


@pytest.mark.parametrize("target", ["NaCl", "Qq2"])
def test_a_target_that_nothing_makes_is_bad_input(
    example: Path, target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["world", "check", str(example), "--target", target]) == BAD_INPUT
    assert "--target" in capsys.readouterr().err


def line_of(text: str, words: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if words in line)


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ("products: {spinel: 1}", "products: {spinel: 2}", "name: spinel from", "makes 2 Al"),
        ("leaves: {H2O: 1}", "leaves: {CO2: 1}", "leaves:", "'CO2' is no surrounding"),
        ("{magnesia: 1, corundum: 1}\n    products", "{magnesia: 1, alumina: 1}\n    products",
         "alumina: 1", "'alumina' is no species; expected one of brucite"),
        ("half_time_h: 1\n", "half_time_h: 1\n    half_life_h: 1\n", "half_life_h", "unknown key"),
        ("half_time_h: 1\n", "half_time_h: -1\n", "half_time_h: -1", "greater than 0"),
        ("species: {corundum: 1.0}", "species: {corundum: 0.9}", "corundum: 0.9", r"sum to 0\.9"),
        ("formula: Al2O3", "formula: Qq2O3", "name: corundum", "no element"),
        ("      entropy_j_mol_k: 26.95\n", "", "name: magnesia", "entropy_j_mol_k: is missing"),
        ("of: {magnesia: 1, corundum: 1}", "of: {spinel: 1}", "of: {spinel", "given by its own"),
        ("of: {magnesia: 1, corundum: 1}", "of: {}", "of: {}", "both missing"),
        ("name: brucite\n    formula: Mg(OH)2", "name: magnesia\n    formula: Mg(OH)2",
         "formula: MgO", "'magnesia' is described twice"),
        ("layer: ginstling-brounshtein", "layer: thick", "layer: thick", "jander"),
        ("pure\n  - name: Al2O3", "pure\n    source: x\n  - name: Al2O3",
         "source: x", "stands twice"),
        ("name: Mg-Al-O\n", "name: Mg-Al-O\nuses: [none.yaml]\n", "uses:", "no 'none.yaml'"),
    ],
)  # fmt: skip
def test_a_wrong_file_names_line_and_remedy(
    tmp_path: Path, old: str, new: str, at: str, words: str
) -> None:
    assert old in EXAMPLE
    text = EXAMPLE.replace(old, new, 1)
    path = tmp_path / NAME
    path.write_text(text, encoding="utf-8")
    with pytest.raises(WorldFileError, match=words) as caught:
        load_chemistry(path)
    assert abs(caught.value.line - line_of(text, at)) <= 6
    assert f"own.yaml, line {caught.value.line}" in str(caught.value)
    assert "; expected " in str(caught.value)


def test_two_files_may_share_but_not_differ(example: Path) -> None:
    one = parse_world(NAME, EXAMPLE)
    same = parse_world(Path("same.yaml"), EXAMPLE)
    assert len(build_chemistry([one, same]).species) == 4
    other = parse_world(
        Path("other.yaml"), EXAMPLE.replace("crystallite_nm: 60", "crystallite_nm: 9")
    )
    with pytest.raises(WorldFileError, match=r"other\.yaml.*described twice"):
        build_chemistry([one, other])


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no \.yaml file"):
        load_chemistry(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_chemistry(tmp_path / "none.yaml")


def test_a_lab_may_be_like_another(tmp_path: Path) -> None:
    own = load_lab(config_file("labs", "lithium"))
    base = load_lab(config_file("labs", "virtual_lab"))
    assert own.stations == base.stations
    assert own.devices == base.devices
    assert {item.name for item in own.stock} != {item.name for item in base.stock}
    path = tmp_path / "mine.yaml"
    for like in ("nobody.yaml", "mine.yaml"):
        path.write_text(f"like: {like}\nname: mine\n")
        with pytest.raises(ConfigError, match="like: there is no"):
            load_lab(path)
