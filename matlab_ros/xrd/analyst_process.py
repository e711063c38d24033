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
from pathlib import Path

from matlab_ros.model.errors import DataError, LabError
from matlab_ros.xrd.analyse import analyse
from matlab_ros.xrd.analyst import Answer, NothingToFit, PatternUnreadable, Question
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.readers import read_pattern


def answer(question: Question, library: Library) -> Answer | LabError:
    """The answer, or the error that stands in its place."""
    try:
        pattern = read_pattern(question.pattern)
    except DataError as error:
        return PatternUnreadable(str(error))
    try:
        analysis = analyse(
            pattern,
            library,
            elements=list(question.elements) or None,
            phases=list(question.phases) or None,
        )
        target = _names(question.target, question.elements, library)
    except (DataError, ValueError) as error:
        return NothingToFit(str(error))
    return Answer(analysis, target)


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
