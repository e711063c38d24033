"""A persistent index of folders of CIFs: tens of thousands are searched by elements in one look.

It is one SQLite file for all folders of a user. Every process may write it: what one has read of a
CIF the others need not. A file is known by size and time of change, and looked at again when they
differ. Where the database cannot be kept, an index in memory does the same for one process.
"""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.cif_peek import peek_elements
from matlab_ros.xrd.composition import is_element
from matlab_ros.xrd.structure import read_structure
from matlab_ros.xrd.summary import Summary, element_bits, summarise

log = logging.getLogger(__name__)

PLACE_VARIABLE = "MATLAB_ROS_STRUCTURES"
"""Environment variable with the folder of the index and of imported structures."""

VERSION = 1
"""To be raised when summaries change: an index of another version is built anew."""

_SEEN, _READ, _BROKEN = 0, 1, 2
_BUSY_S = 30.0
_CHUNK = 64
_SCHEMA = """
CREATE TABLE IF NOT EXISTS folder (
    id INTEGER PRIMARY KEY, path TEXT UNIQUE NOT NULL, kept INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS file (
    id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, path TEXT NOT NULL, stem TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
    state INTEGER NOT NULL, reason TEXT NOT NULL, summary TEXT NOT NULL, lines BLOB NOT NULL,
    UNIQUE (folder, path));
CREATE INDEX IF NOT EXISTS by_elements ON file (folder, low, high);
CREATE INDEX IF NOT EXISTS by_stem ON file (stem);
"""

Progress = Callable[[int, int], None]
"""Told how many of how many files are done."""


@dataclass(frozen=True)
class Entry:
    """A CIF in the index.

    Attributes:
        row: its place in the database.
        path: the file.
        size: in bytes, when it was looked at.
        mtime_ns: when it was changed, in nanoseconds.
        reason: why it cannot be used, otherwise "".
        text: its summary as it stands in the database; "" if it was only looked at, or cannot be
            used.
        lines: see there.
    """

    row: int
    path: Path
    size: int
    mtime_ns: int
    reason: str
    text: str
    lines: bytes

    @property
    def summary(self) -> Summary | None:
        """What it holds; None if it was only looked at, or cannot be used."""
        return Summary.from_row(self.text, self.lines) if self.text else None


@dataclass(frozen=True)
class FolderState:
    """A folder in the index: how many CIFs, how many of them fully read, how many unusable."""

    path: Path
    kept: bool
    files: int
    read: int
    broken: int


def place() -> Path:
    """The folder of the index and of imported structures."""
    named = os.environ.get(PLACE_VARIABLE)
    if named:
        return Path(named)
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "matlab_ros" / "structures"


class StructureIndex:
    """The index; any thread may use it."""

    def __init__(self, file: Path | None = None) -> None:
        """Opens the index, or makes it.

        Args:
            file: the database; default: ``index.sqlite`` in `place`.
        """
        self._lock = threading.RLock()
        try:
            file = file or place() / "index.sqlite"
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = _opened(str(file))
            self.file: Path | None = file
        except (OSError, RuntimeError, sqlite3.Error) as error:
            log.info("no index of structures at %s (%s): it is kept in memory", file, error)
            self._database = _opened(":memory:")
            self.file = None

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    def keep(self, folder: Path, kept: bool = True) -> None:
        """Has a folder belong to every library from now on, or no longer."""
        with self._writing() as database:
            database.execute(
                "UPDATE folder SET kept = ? WHERE id = ?", (kept, self._folder(folder))
            )

    def forget(self, folder: Path) -> None:
        """Takes a folder out of the index; its files stay."""
        with self._writing() as database:
            number = self._folder(folder)
            database.execute("DELETE FROM file WHERE folder = ?", (number,))
            database.execute("DELETE FROM folder WHERE id = ?", (number,))

    def folders(self) -> list[FolderState]:
        """All folders, in order of their names."""
        with self._lock:
            rows = self._database.execute(
                "SELECT folder.path, kept, count(file.id), total(state = ?), total(state = ?) "
                "FROM folder LEFT JOIN file ON file.folder = folder.id "
                "GROUP BY folder.id ORDER BY folder.path",
                (_READ, _BROKEN),
            ).fetchall()
        return [FolderState(Path(p), bool(k), n, int(r), int(b)) for p, k, n, r, b in rows]

    def refresh(
        self,
        folder: Path,
        *,
        thorough: bool = False,
        jobs: int = 1,
        progress: Progress | None = None,
    ) -> int:
        """Brings the index up to date with a folder and those below it.

        Args:
            folder: of CIFs.
            thorough: read every CIF now, rather than only look which elements it has.
            jobs: processes that read, when `thorough`.
            progress: told after every few files.

        Returns:
            How many CIFs there are.

        Raises:
            DataError: there is no such folder.
        """
        if not folder.is_dir():
            raise DataError(folder, "there is no such folder", "name a folder of CIF files")
        found = dict(_cifs(folder))
        with self._writing():
            number = self._folder(folder)
        with self._lock:
            known = {
                path: (size, mtime, state)
                for path, size, mtime, state in self._database.execute(
                    "SELECT path, size, mtime_ns, state FROM file WHERE folder = ?", (number,)
                )
            }
        gone = [path for path in known if path not in found]
        if gone:
            with self._writing() as database:
                database.executemany(
                    "DELETE FROM file WHERE folder = ? AND path = ?", [(number, p) for p in gone]
                )
        new = [
            path
            for path, stamp in found.items()
            if path not in known
            or known[path][:2] != stamp
            or (thorough and known[path][2] == _SEEN)
        ]
        work = [str(folder / path) for path in new]
        chunks = [work[i : i + _CHUNK] for i in range(0, len(work), _CHUNK)]
        done = 0
        for chunk, looked in zip(chunks, _looked(chunks, thorough, jobs), strict=True):
            paths = new[done : done + len(chunk)]
            self._store(
                number, [(p, *found[p], *row) for p, row in zip(paths, looked, strict=True)]
            )
            done += len(chunk)
            if progress is not None:
                progress(done, len(work))
        return len(found)

    def made_of(
        self, folders: Sequence[Path], elements: Iterable[str], every: bool = False
    ) -> list[Entry]:
        """The CIFs made of some or all of the elements, in order of folder and path.

        Args:
            folders: where to look; they must have been refreshed once.
            elements: what they may be made of.
            every: only those that have each of the elements.
        """
        low, high = element_bits(elements)
        without = "(low & ?) = 0 AND (high & ?) = 0 AND (low | high) <> 0"
        bits = [~low & (1 << 63) - 1, ~high & (1 << 63) - 1]
        if every:
            without += " AND low = ? AND high = ?"
            bits += [low, high]
        return self._entries(folders, without, bits)

    def of_name(self, folders: Sequence[Path], stem: str) -> list[Entry]:
        """The CIFs whose files have a name, given without its ending."""
        return self._entries(folders, "stem = ?", [stem])

    def broken(self, folders: Sequence[Path]) -> list[Entry]:
        """The CIFs that cannot be used."""
        return self._entries(folders, "state = ?", [_BROKEN])

    def count(self, folders: Sequence[Path]) -> int:
        """How many CIFs the folders have."""
        with self._lock:
            return sum(
                self._database.execute(
                    "SELECT count(*) FROM file WHERE folder = "
                    "(SELECT id FROM folder WHERE path = ?)",
                    (_name(folder),),
                ).fetchone()[0]
                for folder in folders
            )

    def described(self, entries: Sequence[Entry]) -> list[Entry]:
        """The same entries, with those read that were only looked at so far."""
        complete = []
        rows = []
        for entry in entries:
            if not entry.text and not entry.reason:
                row = _look(str(entry.path), True)
                rows.append((*row, entry.row))
                entry = replace(entry, reason=row[3], text=row[4], lines=row[5])
            complete.append(entry)
        if rows:
            with self._writing() as database:
                database.executemany(
                    "UPDATE file SET low = ?, high = ?, state = ?, reason = ?, summary = ?, "
                    f"lines = ? WHERE id = ? AND state = {_SEEN}",
                    rows,
                )
        return complete

    def _entries(
        self, folders: Sequence[Path], where: str, values: Sequence[object]
    ) -> list[Entry]:
        entries = []
        with self._lock:
            for folder in folders:
                rows = self._database.execute(
                    "SELECT id, path, size, mtime_ns, reason, summary, lines FROM file "
                    "WHERE folder = (SELECT id FROM folder WHERE path = ?) "
                    f"AND {where} ORDER BY path",
                    (_name(folder), *values),
                )
                entries += [Entry(row, folder / path, *rest) for row, path, *rest in rows]
        return entries

    def _folder(self, folder: Path) -> int:
        """The number of a folder, which is made known if it is not."""
        name = _name(folder)
        self._database.execute("INSERT OR IGNORE INTO folder (path) VALUES (?)", (name,))
        row = self._database.execute("SELECT id FROM folder WHERE path = ?", (name,)).fetchone()
        return int(row[0])

    def _store(self, folder: int, rows: Sequence[tuple[object, ...]]) -> None:
        with self._writing() as database:
            database.executemany(
                "INSERT OR REPLACE INTO file (folder, path, stem, size, mtime_ns, low, high, "
                "state, reason, summary, lines) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(folder, row[0], Path(str(row[0])).stem, *row[1:]) for row in rows],
            )

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction; waits for other processes' at its begin, so that it cannot fail later."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")


def _opened(file: str) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError:
        log.debug("%s: somebody else is opening it, or it is on a network's disk", file)
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("BEGIN IMMEDIATE")
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, VERSION):
        database.execute("DROP TABLE IF EXISTS file")
    for statement in _SCHEMA.split(";")[:-1]:
        database.execute(statement)
    database.execute(f"PRAGMA user_version = {VERSION}")
    database.execute("COMMIT")
    return database


def _name(folder: Path) -> str:
    return str(folder.resolve())


def _cifs(folder: Path, below: str = "") -> Iterator[tuple[str, tuple[int, int]]]:
    """Relative paths of all CIFs with size and time of change, in order."""
    with os.scandir(folder / below) as found:
        items = sorted(found, key=lambda item: item.name)
    for item in items:
        try:
            if item.is_dir():
                yield from _cifs(folder, f"{below}{item.name}/")
            elif item.name.lower().endswith(".cif"):
                status = item.stat()
                yield f"{below}{item.name}", (status.st_size, status.st_mtime_ns)
        except OSError as error:
            log.warning("%s cannot be looked at: %s", item.path, error)


_Row = tuple[int, int, int, str, str, bytes]


def _looked(chunks: Sequence[list[str]], thorough: bool, jobs: int) -> Iterator[list[_Row]]:
    """Rows of the files of each chunk, in order."""
    if not thorough or jobs <= 1 or len(chunks) < 2:
        for chunk in chunks:
            yield [_look(path, thorough) for path in chunk]
        return
    # Started afresh rather than forked: the caller may have threads.
    with ProcessPoolExecutor(
        min(jobs, len(chunks)), get_context("spawn"), initializer=_leave_interrupts
    ) as pool:
        try:
            yield from pool.map(_look_all, chunks)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _leave_interrupts() -> None:
    """A Ctrl-C in the terminal reaches all processes; only the first is to act on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _look_all(paths: list[str]) -> list[_Row]:
    return [_look(path, True) for path in paths]


def _look(path: str, thorough: bool) -> _Row:
    """Bits of the elements, state, reason, summary and lines of one file."""
    low, high = 0, 0
    try:
        peeked = peek_elements(Path(path))
        if peeked and all(is_element(symbol) for symbol in peeked):
            low, high = element_bits(peeked)
            if not thorough:
                return low, high, _SEEN, "", "", b""
        summary = summarise(read_structure(path))
        return *element_bits(summary.elements), _READ, "", *summary.to_row()
    except DataError as error:
        return low, high, _BROKEN, error.problem, "", b""
    # One odd file in ten thousand must not end the work on the others.
    except Exception as error:
        log.warning("%s: %r", path, error)
        return low, high, _BROKEN, f"it cannot be made sense of ({error!r})", "", b""
