"""A lab that `matlab-ros init` wrote passes every check, and belongs to its owner."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import matlab_ros.nodes  # noqa: F401  (switches pocket_ros on where there is no ROS 2)
from matlab_ros.cli import BAD_INPUT, DONE, main
from matlab_ros.model.campaign_config import load_campaign
from matlab_ros.model.lab_config import DeviceKind
from matlab_ros.model.recipe import load_recipes
from matlab_ros.share import own_file

pytest.importorskip("rclpy", reason="there is neither ROS 2 nor pocket_ros")


@pytest.mark.parametrize("furnaces", [1, 4])
def test_a_new_lab_passes_every_check_of_a_campaign(tmp_path, furnaces):
    from matlab_ros.nodes.virtual_campaign import prepare

    folder = tmp_path / "mylab"
    words = [str(folder), "--furnaces", str(furnaces), "--max-temperature", "1000"]
    assert main(["init", *words, "--crucibles", "13"]) == DONE
    file = folder / "campaigns/first.yaml"
    campaign = load_campaign(file)
    lab_file = own_file("labs", campaign.lab, file)
    assert lab_file == folder / "labs/mylab.yaml"
    plan, lab = prepare(campaign, file, lab_file)
    assert len(lab.devices_of(DeviceKind.FURNACE)) == furnaces
    assert lab.containers.count == 13
    assert plan.recipe.name in load_recipes(folder / "recipes")
    # A furnace of one's own bounds what may be asked for.
    hot = campaign.model_copy(
        update={
            "parameters": tuple(
                item.model_copy(update={"high": 1100.0}) if item.name == "temperature_c" else item
                for item in campaign.parameters
            )
        }
    )
    with pytest.raises(Exception, match="1000"):
        prepare(hot, file, lab_file)


def test_changes_to_ones_own_recipe_count(tmp_path):
    from matlab_ros.nodes.virtual_campaign import prepare

    folder = tmp_path / "mylab"
    assert main(["init", str(folder)]) == DONE
    recipe = folder / "recipes/solid_state.yaml"
    recipe.write_text(recipe.read_text().replace("ramp_c_per_min: 10", "ramp_c_per_min: 5"))
    file = folder / "campaigns/first.yaml"
    plan, _ = prepare(load_campaign(file), file, folder / "labs/mylab.yaml")
    assert "ramp_c_per_min" in repr(plan.recipe)
    packaged = load_recipes(Path(__file__).parents[2] / "config/recipes")["solid_state"]
    assert plan.recipe.sha256 != packaged.sha256


def test_nothing_that_is_there_is_touched(tmp_path, capsys):
    folder = tmp_path / "mylab"
    folder.mkdir()
    (folder / "thesis").write_text("precious")
    assert main(["init", str(folder)]) == BAD_INPUT
    assert "is there already" in capsys.readouterr().err
    assert [item.name for item in folder.iterdir()] == ["thesis"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["My Lab"], "is no name"),
        (["lab", "--furnaces", "9"], "1 to 4"),
        (["lab", "--crucibles", "0"], "at least 1"),
        (["lab", "--max-temperature", "20"], "850 to 1800"),
    ],
)
def test_what_makes_no_sense_writes_nothing(tmp_path, monkeypatch, capsys, words, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(["init", *words]) == BAD_INPUT
    assert sentence in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_bash_completes_commands_and_their_options(tmp_path, capsys):
    assert main(["completion", "bash"]) == DONE
    script = tmp_path / "completion"
    script.write_text(capsys.readouterr().out)

    def completed(*words: str) -> set[str]:
        line = " ".join(("matlab-ros", *words))
        program = (
            f"source {script}; COMP_WORDS=({line} ''); COMP_CWORD={len(words) + 1}; "
            f"COMP_WORDS[{len(words) + 1}]=''; COMP_LINE='{line} '; COMP_POINT=${{#COMP_LINE}}; "
            "f=$(complete -p matlab-ros | sed 's/.*-F \\([^ ]*\\).*/\\1/'); "
            "$f matlab-ros '' ''; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        done = subprocess.run(
            ["bash", "-c", program], capture_output=True, text=True, timeout=60, check=True
        )
        return set(done.stdout.split())

    assert {"demo", "monitor", "repeat", "lab"} <= completed()
    assert {"resolve", "pause", "estop"} <= completed("lab")
