"""The process behind `matlab_ros.xrd.analyst`: reads questions and writes answers.

It ends when its input does.

Run as ``python -m matlab_ros.xrd.analyst_process STRUCTURES``; both directions carry pickles, which
is safe because the two ends are one program.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from dataclasses import replace
from pathlib import Path

from matlab_ros.model.errors import DataError, LabError
from matlab_ros.model.lab_words import Confirm
from matlab_ros.xrd.analyse import Analysis, analyse
from matlab_ros.xrd.analyst import Answer, NothingToFit, PatternUnreadable, Question
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.merging import exposures_of, merged
from matlab_ros.xrd.open_questions import further_look
from matlab_ros.xrd.pattern import Pattern
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.second_opinion import second_opinion
from matlab_ros.xrd.verdict import is_worth_confirming


def answer(question: Question, library: Library) -> Answer | LabError:
    """The answer, or the error that stands in its place."""
    try:
        pattern = _pattern(question)
    except DataError as error:
        return PatternUnreadable(str(error))
    try:
        analysis = analyse(
            pattern,
            library,
            elements=list(question.elements) or None,
            phases=list(question.phases) or None,
            dispensed_mmol=question.dispensed_mmol,
        )
        target = _names(question.target, question.elements, library)
    except (DataError, ValueError) as error:
        return NothingToFit(str(error))
    if _is_to_be_confirmed(question, analysis, target):
        analysis = replace(analysis, second=second_opinion(analysis.fit))
    if question.budget_s > 0 and question.scan is not None:
        again = further_look(
            analysis, question.scan.seconds_per_degree, question.programs, question.budget_s
        )
        analysis = replace(analysis, again=again)
    return Answer(analysis, target)


def _pattern(question: Question) -> Pattern:
    """The pattern, with the earlier ones added to it."""
    scans = [read_pattern(path) for path in (question.pattern, *question.earlier)]
    programs = [question.scan, *question.earlier_scans]
    known = [program.seconds_per_degree for program in programs if program is not None]
    stated = known if len(known) == len(scans) else [1.0] * len(scans)
    return merged(scans, exposures_of(scans, stated))


def _is_to_be_confirmed(question: Question, analysis: Analysis, target: frozenset[str]) -> bool:
    """Whether a second refinement is asked for: of a success only one that it could confirm."""
    if question.confirm is Confirm.NEVER or not analysis.fit.phases:
        return False
    if question.confirm is Confirm.ALWAYS:
        return True
    found = sum(p.weight_fraction for p in analysis.phases if p.structure.name in target)
    return found >= question.success_fraction and is_worth_confirming(analysis)


def _names(target: str, elements: tuple[str, ...], library: Library) -> frozenset[str]:
    """Names under which the target's structure can be found: of several files that describe one
    structure, the library lets only one compete."""
    if not target:
        return frozenset()
    competing = {phase.name for phase in library.candidates(elements).phases}
    if target in competing:
        return frozenset({target})
    return frozenset(phase.name for phase in library.named(target))


def main() -> int:
    """Answer questions until there are none."""
    # The asker decides when this ends; a Ctrl-C in the terminal reaches both.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "wb")
    # Whatever else is printed must not get between the answers.
    os.dup2(2, 1)
    library = Library(Path(sys.argv[1]))
    questions = sys.stdin.buffer
    while True:
        try:
            question = pickle.load(questions)
        except EOFError:
            return 0
        try:
            pickle.dump(answer(question, library), replies, protocol=pickle.HIGHEST_PROTOCOL)
            replies.flush()
        except BrokenPipeError:
            return 0


if __name__ == "__main__":
    sys.exit(main())
