"""An index of structures of the tests' own, and a PostgreSQL server for those that want one.

The server is thrown away afterwards, and skipped where none is.

`MATLAB_ROS_POSTGRESQL` may name the URL of a server at hand whose user may create databases;
otherwise the binaries of an installed one start a server of our own in a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SERVER_VARIABLE = "MATLAB_ROS_POSTGRESQL"
STRUCTURES_VARIABLE = "MATLAB_ROS_STRUCTURES"
_UNPRIVILEGED = ("postgres", "nobody")


@dataclass(frozen=True)
class PostgresServer:
    """A server that may be stopped and started again."""

    binaries: Path
    folder: Path
    user: str | None
    """It runs as; None: as we do."""

    @property
    def url(self) -> str:
        """Of its database for administration."""
        return f"postgresql+psycopg://lab@/postgres?host={self.folder}"

    def run(self, program: str, *arguments: str) -> None:
        """Run one of its programs as its user."""
        subprocess.run(
            [str(self.binaries / program), *arguments],
            check=True,
            user=self.user,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )

    def create(self) -> None:
        """Make its files."""
        self.run(
            "initdb", "-D", f"{self.folder}/data", "-U", "lab", "-A", "trust", "-E", "UTF8", "-N"
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-c listen_addresses='' -k {self.folder} -c fsync=off"
        self.run(
            "pg_ctl", "-D", f"{self.folder}/data", "-w", "-l", f"{self.folder}/log", "-o", options,
            "start",
        )  # fmt: skip

    def stop(self) -> None:
        """Stop it at once, as a crash would."""
        self.run("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-w", "stop")


def _binaries() -> Path | None:
    """Folder with the server's programs; Debian keeps them off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    program = shutil.which("initdb")
    if program is not None:
        found.append(Path(program).resolve())
    return found[-1].parent if found else None


def _server_user() -> str | None:
    """A server refuses to run as root."""
    if os.geteuid() != 0:
        return None
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in _UNPRIVILEGED if name in known), None)


@pytest.fixture(autouse=True, scope="session")
def _own_structure_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STRUCTURES_VARIABLE, str(tmp_path_factory.mktemp("structures")))
        yield


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[PostgresServer]:
    """A server of our own, which a test may stop and start."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (make postgresql)")
    user = _server_user()
    if os.geteuid() == 0 and user is None:
        pytest.skip("PostgreSQL does not run as root, and there is no other user")
    # A socket's path may have 107 characters: pytest's own folders are too deep.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    if user is not None:
        shutil.chown(folder, user)
    server = PostgresServer(binaries, folder, user)
    try:
        server.create()
        server.start()
        yield server
        server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes an empty database on the server at hand, or on our own, and gives its URL."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    at_hand = os.environ.get(SERVER_VARIABLE)
    text = at_hand or request.getfixturevalue("own_postgres").url
    url = sqlalchemy.engine.make_url(text).set(drivername="postgresql+psycopg")

    def make() -> str:
        name = f"lab_{uuid.uuid4().hex}"
        engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return str(url.set(database=name).render_as_string(hide_password=False))

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def journal_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A journal's URL where nothing is yet: once in a file, once on a server."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/journal.sqlite"
    return str(request.getfixturevalue("new_database")())
