"""How often loops go round again is learned from those that did."""

from __future__ import annotations

from matlab_ros.lab.repeats import Repeats


def test_before_anything_was_seen_both_are_as_likely():
    assert Repeats().chance("regrind", "analyse", 0) == 0.5


def test_what_was_seen_counts_for_its_own_round_and_recipe_only():
    repeats = Repeats()
    for is_again in (True, True, True, False):
        repeats.note("regrind", "analyse", 0, is_again)
    assert repeats.chance("regrind", "analyse", 0) == 4 / 6
    assert repeats.chance("regrind", "analyse", 1) == 0.5
    assert repeats.chance("other", "analyse", 0) == 0.5
