"""Which form a journal's tables have, and how an older one becomes the newest."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from matlab_ros.lab.journal_tables import EVENTS, FORMATS, JournalError

NEWEST = "0002"
"""The last step in `migrations/versions`; a journal with a later one is of newer software."""

_STEPS = Path(__file__).parent / "migrations"
_STAMP = sa.table("alembic_version", sa.column("version_num", sa.String))
_BEFORE_STAMPS = "0001"


def present(connection: sa.Connection) -> str | None:
    """The form of the tables behind a connection; None where there are none yet.

    Raises:
        JournalError: newer software wrote them, or they are no journal.
    """
    tables = set(sa.inspect(connection).get_table_names())
    stamps = []
    if _STAMP.name in tables:
        stamps.append(connection.execute(sa.select(_STAMP.c.version_num)).scalar())
    if FORMATS.name in tables:
        number = connection.execute(sa.select(sa.func.max(FORMATS.c.format))).scalar()
        stamps.append(None if number is None else f"{number:04d}")
    stamp = max((found for found in stamps if found is not None), default=None)
    if stamp is None and EVENTS.name in tables:
        raise JournalError(
            "The database holds a table 'events' that is none of a journal; "
            "choose another database or schema by the parameter journal_url."
        )
    if stamp is not None and stamp > NEWEST:
        raise JournalError(
            f"The journal has format {stamp.lstrip('0')} and this software reads up to "
            f"{NEWEST.lstrip('0')}; update the software or choose another journal."
        )
    return stamp


def upgrade(connection: sa.Connection, stamp: str | None) -> None:
    """Bring tables of the form `stamp` to the newest, in the connection's transaction.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database refused; roll back, then all is as it was.
    """
    # Loading Alembic takes a fifth of a second, which a journal of today need not wait for.
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_STEPS).replace("%", "%%"))
    config.attributes["connection"] = connection
    is_stamped = sa.inspect(connection).has_table(_STAMP.name)
    if stamp == _BEFORE_STAMPS and not is_stamped:
        MigrationContext.configure(connection).stamp(ScriptDirectory.from_config(config), stamp)
    command.upgrade(config, NEWEST)


def keep_copy(file: Path, stamp: str) -> Path:
    """Copy a SQLite journal as it is before its tables change.

    Returns:
        The copy, beside the journal; it is complete where it exists.

    Raises:
        OSError, sqlite3.Error: it cannot be made.
    """
    copy = file.with_name(f"{file.name}.format-{stamp.lstrip('0')}")
    unfinished = copy.with_name(f"{copy.name}.part")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(unfinished)) as target:
        source.backup(target)
    unfinished.replace(copy)
    return copy
