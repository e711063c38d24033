"""One pattern of many: read, analyse, judge, and leave the results in a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from matlab_ros.model.errors import DataError, LabError
from matlab_ros.xrd.analyse import Analysis, analyse
from matlab_ros.xrd.eligibility import Atmosphere
from matlab_ros.xrd.library import Library
from matlab_ros.xrd.plot import write_plot
from matlab_ros.xrd.readers import read_pattern
from matlab_ros.xrd.second_opinion import second_opinion
from matlab_ros.xrd.verdict import Assessment, is_worth_confirming, verdict

SCHEMA = 1
"""Raised when a field of the document changes its meaning; see docs/analyse.md."""
PART = ".part"
"""Ending of a file that is being written."""


@dataclass(frozen=True)
class Request:
    """What to do with every pattern.

    Attributes:
        structures: folders of CIFs.
        elements: that can be in the sample; empty where the phases are named.
        phases: that are there; empty where they are searched.
        atmosphere: what the sample was fired in.
        confirm: whether a second program refines what nothing else speaks against.
        scan: which scan of files with several, from 1.
    """

    structures: tuple[Path, ...]
    elements: tuple[str, ...] = ()
    phases: tuple[str, ...] = ()
    atmosphere: Atmosphere = Atmosphere.AIR
    confirm: bool = True
    scan: int | None = None


@dataclass(frozen=True)
class Job:
    """A pattern and where its results go.

    Attributes:
        file: of the pattern.
        outputs: to write, by their endings .json, .html, .png, .svg or .pdf.
    """

    file: Path
    outputs: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Done:
    """What became of a job.

    Attributes:
        job: it.
        document: the analysis for programs; with ``error`` alone where there is none.
        error: why there is none, otherwise "".
    """

    job: Job
    document: dict[str, Any]
    error: str = ""


def examine(job: Job, request: Request, library: Library) -> tuple[Analysis, Assessment]:
    """Analyses and judges one pattern.

    Raises:
        DataError: it cannot be read or analysed.
    """
    analysis = analyse(
        read_pattern(job.file, request.scan),
        library,
        elements=request.elements or None,
        phases=request.phases or None,
        atmosphere=request.atmosphere,
    )
    if request.confirm and is_worth_confirming(analysis):
        analysis = replace(analysis, second=second_opinion(analysis.fit))
    return analysis, verdict(analysis)


def carry_out(job: Job, request: Request, library: Library) -> Done:
    """Analyses one pattern and writes its results; errors are told, not raised."""
    try:
        analysis, judged = examine(job, request, library)
        document = full_document(analysis, judged)
        write_outputs(job.outputs, analysis, judged)
    except LabError as error:
        return failed(job, str(error))
    # A pattern that nobody has thought of must not end the work on the others.
    except Exception as error:
        return failed(job, f"{job.file}: it cannot be analysed ({type(error).__name__}: {error}).")
    return Done(job, document)


def failed(job: Job, reason: str) -> Done:
    """A job without a result."""
    return Done(job, {"schema": SCHEMA, "file": str(job.file), "error": reason}, reason)


def full_document(analysis: Analysis, judged: Assessment) -> dict[str, Any]:
    """The analysis with its verdict, for programs; docs/analyse.md says what is in it."""
    document: dict[str, Any] = json.loads(analysis.to_json(indent=None))
    return {
        "schema": SCHEMA,
        **document,
        "verdict": {
            "kind": judged.kind.name.lower(),
            "reasons": list(judged.reasons),
            "remarks": list(judged.remarks),
        },
    }


def write_outputs(outputs: Sequence[Path], analysis: Analysis, judged: Assessment) -> None:
    """Writes each file whole or not at all.

    Raises:
        DataError: one of them cannot be written.
    """
    for path in outputs:
        part = path.with_name(f"{path.stem}{PART}{path.suffix}")
        try:
            if path.suffix == ".json":
                part.write_text(
                    json.dumps(full_document(analysis, judged), indent=2) + "\n", encoding="utf-8"
                )
            else:
                write_plot(analysis, part, judged)
            os.replace(part, path)
        except OSError as error:
            raise DataError(
                path, f"cannot be written ({error.strerror})", "choose another place"
            ) from error
