"""Many patterns at once, in processes; what is finished stays finished when it is interrupted."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from matlab_ros.xrd.analysis_job import PART, Done, Job, Request, carry_out, failed
from matlab_ros.xrd.library import Library

# The matrices are small: threads would only wait for each other.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_here: tuple[Request, Library] | None = None


def planned(files: Sequence[Path], folder: Path, endings: Sequence[str]) -> list[Job]:
    """Jobs whose results have the patterns' names; of two of one name the second gets a number."""
    taken: dict[str, int] = {}
    jobs = []
    for file in files:
        count = taken[file.stem] = taken.get(file.stem, 0) + 1
        stem = file.stem if count == 1 else f"{file.stem}-{count}"
        jobs.append(Job(file, tuple(folder / f"{stem}{ending}" for ending in endings)))
    return jobs


def analyse_many(
    jobs: Sequence[Job], request: Request, processes: int
) -> Generator[Done, None, None]:
    """Results as they come.

    Ends all processes when it is left early.

    Raises:
        DataError: a folder of structures is missing or empty.
    """
    library = Library(request.structures)
    if processes <= 1 or len(jobs) <= 1:
        for job in jobs:
            yield carry_out(job, request, library)
        return
    # Started afresh rather than forked: the caller draws its progress in a thread.
    with _single_threads():
        pool = ProcessPoolExecutor(
            min(processes, len(jobs)),
            multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(request,),
        )
        open_jobs: dict[Future[Done], Job] = {pool.submit(_one, job): job for job in jobs}
    complete = False
    try:
        while open_jobs:
            ready, _ = wait(open_jobs, return_when=FIRST_COMPLETED)
            for future in ready:
                job = open_jobs.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    yield failed(
                        job,
                        f"{job.file}: the process that analysed it, or one beside it, ended; "
                        "look at the memory of this computer and try with --jobs 1.",
                    )
        complete = True
    finally:
        pool.shutdown(wait=complete, cancel_futures=True)
        if not complete:
            for process in multiprocessing.active_children():
                process.terminate()
            for job in jobs:
                for path in job.outputs:
                    path.with_name(f"{path.stem}{PART}{path.suffix}").unlink(missing_ok=True)


@contextmanager
def _single_threads() -> Iterator[None]:
    """Processes started within compute with one thread each."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin(request: Request) -> None:
    # A Ctrl-C in the terminal reaches all processes; the first one decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    global _here
    _here = request, Library(request.structures)


def _one(job: Job) -> Done:
    assert _here is not None, "the process has begun"
    request, library = _here
    return carry_out(job, request, library)
