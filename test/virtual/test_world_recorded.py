"""Any table of real experiments is a world, and a wrong table says which line and what to do."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from matlab_ros.cli import BAD_INPUT, main
from matlab_ros.model.campaign_config import CampaignConfig, load_campaign
from matlab_ros.model.errors import ConfigError, DataError
from matlab_ros.nodes.table_replay import replay, space_of_recipes
from matlab_ros.share import config_file, share_dir
from matlab_ros.virtual.recorded import load_recorded, read_world
from matlab_ros.virtual.recorded_file import RecordedConfig, load_recorded_file

REPOSITORY = Path(__file__).parents[2]
DATA = Path(os.environ.get("MATLAB_ROS_DATA", REPOSITORY / ".." / "shared" / "datasets"))
DESCRIPTION = {
    "name": "rolls",
    "table": "rolls.csv",
    "source": "a bakery",
    "inputs": [
        {"name": "flour", "column": "Flour", "kind": "choice"},
        {"name": "oven_c", "column": "Oven (C)", "unit": "C"},
        {"name": "spices", "column": "Spices", "kind": "set"},
    ],
    "result": {"column": "taste", "unit": "points", "low": 0, "high": 10},
    "sought": {"best_share": 0.3},
}
TABLE = """Flour,Oven (C),Spices,taste,crust
rye,200,"salt, caraway",7,0.2
rye,220,"caraway, salt",9,0.3
rye,220,"salt, caraway",8,0.5
wheat,220,salt,5,0.1
"""


def described(**changes: object) -> RecordedConfig:
    return RecordedConfig.model_validate({**DESCRIPTION, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rolls.csv").write_text(TABLE, encoding="utf-8")
    return tmp_path


def test_replicates_are_averaged_and_tell_their_scatter(folder: Path) -> None:
    world = read_world(described(phases={"crust": "crust"}), folder)
    assert world.size == 3
    assert world.pure_count == 1
    best = world.outcome({"flour": "rye", "oven_c": 220, "spices": "salt + caraway"})
    assert best.objective == pytest.approx(8.5)
    assert best.sigma == pytest.approx(np.std([9, 8], ddof=1) / np.sqrt(2))
    assert best.pure
    assert best.phases["crust"] == pytest.approx(0.4)
    alone = world.outcome({"flour": "wheat", "oven_c": 220.0, "spices": "salt", "butter": 3})
    assert alone.objective == 5
    assert np.isnan(alone.sigma)


def test_replicates_may_be_drawn_by_the_seed(folder: Path) -> None:
    asked = {"flour": "rye", "oven_c": 220.0, "spices": "caraway + salt"}
    config = described(replicates="draw")
    drawn = [read_world(config, folder, seed).outcome(asked).objective for seed in range(20)]
    assert set(drawn) == {8.0, 9.0}
    assert drawn == [
        read_world(config, folder, seed).outcome(asked).objective for seed in range(20)
    ]


def test_replicates_may_be_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="line 4 repeats the recipe of line 3"):
        read_world(described(replicates="refuse"), folder)


def test_small_values_may_be_the_good_ones(folder: Path) -> None:
    result = {"column": "taste", "direction": "minimize", "factor": 0.1}
    world = read_world(described(result=result, sought={"value": 0.6}), folder)
    good = [recipe for recipe in world.recipes if world.outcome(recipe).pure]
    assert [recipe["flour"] for recipe in good] == ["wheat"]
    assert world.outcome(good[0]).objective == pytest.approx(0.5)


def test_uncertainties_may_stand_in_the_table(folder: Path) -> None:
    (folder / "rolls.csv").write_text(
        "Flour,Oven (C),Spices,taste,sd,lo,hi\nrye,1,a,5,0.5,4,6\nrye,2,a,5,0.5,5,5\n"
    )
    asked = [{"flour": "rye", "oven_c": oven, "spices": "a"} for oven in (1, 2)]
    column = read_world(described(result={"column": "taste", "sigma_column": "sd"}), folder)
    assert column.outcome(asked[0]).sigma == 0.5
    ends = read_world(
        described(result={"column": "taste", "interval_columns": ["lo", "hi"]}), folder
    )
    assert ends.outcome(asked[0]).sigma == pytest.approx(2 / np.sqrt(12))
    assert np.isnan(ends.outcome(asked[1]).sigma)


def test_what_was_never_done_is_named_with_its_nearest(folder: Path) -> None:
    world = read_world(described(), folder)
    with pytest.raises(DataError, match=r"oven_c 210.*never recorded.*nearest.*oven_c 2[02]0"):
        world.outcome({"flour": "rye", "oven_c": 210, "spices": "salt + caraway"})
    with pytest.raises(DataError, match="without 'spices'"):
        world.outcome({"flour": "rye", "oven_c": 200})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", r"no column 'Flour' \(it has a, b\)"),
        ("Flour,Oven (C),Spices,taste\nrye,hot,a,1\n", r"line 2 has 'hot' in column 'Oven \(C\)'"),
        ("Flour,Oven (C),Spices,taste\nrye,1,a,nan\n", "line 2 has 'nan'"),
        ("Flour,Oven (C),Spices,taste\nrye,1,a,3\nrye,2,a,\n", "line 3 has nothing in .*'taste'"),
        ("Flour,Oven (C),Spices,taste\nrye,1,a,11\n", "line 2 is out of range: 11 points"),
        ("Flour,Oven (C),Spices,taste\n", "holds no experiment"),
        ("", "no column"),
    ],
)  # fmt: skip
def test_a_table_that_is_none_is_refused_in_words(folder: Path, text: str, words: str) -> None:
    (folder / "rolls.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        read_world(described(), folder)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rolls\.csv: cannot be read"):
        read_world(described(), tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sought": {}}, "expected one"),
        ({"replicates": "forget"}, "replicates"),
        ({"inputs": [DESCRIPTION["inputs"][0]] * 2}, "stands twice"),  # type: ignore[index]
    ],
)
def test_a_wrong_description_is_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({**DESCRIPTION, **changes}))
    with pytest.raises(ConfigError, match=words):
        load_recorded_file(path)


def test_a_campaign_needs_a_description_of_its_table(tmp_path: Path) -> None:
    campaign = load_campaign(config_file("campaigns", "demo"))
    with pytest.raises(ConfigError, match=r"no table is described for 'demo'.*config/recorded"):
        load_recorded(tmp_path, campaign, "demo.yaml")


def test_a_campaign_without_steps_cannot_be_looked_up() -> None:
    config = load_campaign(config_file("campaigns", "ybco")).model_dump()
    config["parameters"][1]["step"] = 0
    if not (DATA / "ybco").is_dir():
        pytest.skip("the recorded yields are not here; set MATLAB_ROS_DATA")
    with pytest.raises(ConfigError, match="'temperature_c' has no steps"):
        load_recorded(DATA / "ybco", CampaignConfig.model_validate(config), "x")


@pytest.mark.parametrize(
    ("name", "size", "best"),
    [("crossed_barrel", 600, 46.7), ("silver", 164, 0.148), ("p3ht", 178, 838.3)],
)
def test_the_described_tables_are_as_their_authors_counted(
    name: str, size: int, best: float
) -> None:
    if not (DATA / "planner").is_dir():
        pytest.skip("the tables are not here; set MATLAB_ROS_DATA to the folder of datasets")
    config = load_recorded_file(config_file("recorded", name))
    world = read_world(config, DATA / "planner")
    assert world.size == size
    choose = max if config.result.direction == "maximize" else min
    assert choose(o.objective for o in world.outcomes.values()) == pytest.approx(best, rel=0.01)
    space = space_of_recipes(world)
    assert space.size == size
    assert all(space.contains(candidate) for candidate in space.candidates)
    good = [o.objective for o in world.outcomes.values() if o.pure]
    assert len(good) == world.pure_count == -(-size // 20)


def test_every_description_can_be_read() -> None:
    files = sorted((share_dir() / "config" / "recorded").glob("*.yaml"))
    assert len(files) >= 4
    assert [load_recorded_file(file).name for file in files] == [file.stem for file in files]


def test_a_planner_finds_what_is_sought_in_a_table(folder: Path) -> None:
    rng = np.random.default_rng(3)
    rows = []
    for oven in range(150, 300, 5):
        for extra, spice in enumerate(("dill", "salt")):
            taste = 9 - abs(oven - 230) / 20 + extra + rng.normal(0, 0.1)
            rows.append(f"rye,{oven},{spice},{taste:.3f}")
    (folder / "rolls.csv").write_text("Flour,Oven (C),Spices,taste\n" + "\n".join(rows))
    file = folder / "rolls.yaml"
    file.write_text(
        yaml.safe_dump(
            {**DESCRIPTION, "result": {"column": "taste"}, "sought": {"best_share": 0.05}}
        )
    )
    out = io.StringIO()
    assert replay(file, folder, seed=1, method="random", experiments=None, out=out) == 0
    text = out.getvalue()
    assert "60 recipes" in text
    assert "3 are sought" in text
    assert text.count("(sought)") >= 1
    assert "Source: a bakery" in text


def test_a_folder_that_is_none_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(config_file("recorded", "silver"))
    assert main(["world", "replay", file, "--data", "/nowhere/at/all"]) == BAD_INPUT
    assert "is no folder" in capsys.readouterr().err
