"""The journal's tables as the newest migration leaves them, and what is raised about them."""

from __future__ import annotations

import sqlalchemy as sa

from matlab_ros.model.errors import LabError


class JournalError(LabError):
    """The journal cannot be read or written."""


METADATA = sa.MetaData()

EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("campaign", sa.String, nullable=False, index=True),
    sa.Column("ros_time_ns", sa.BigInteger, nullable=False),
    sa.Column("wall_time", sa.String, nullable=False),
    sa.Column("kind", sa.String, nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)
"""What happened; never changed, never deleted."""

RAW_FILES = sa.Table(
    "raw_files",
    METADATA,
    sa.Column("sha256", sa.String, primary_key=True),
    sa.Column("uri", sa.String, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("media_type", sa.String, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
)
"""Files that events speak of, by their content."""

WRITERS = sa.Table(
    "writers",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("wall_time", sa.String, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    sa.Column("process_id", sa.BigInteger, nullable=False),
    sa.Column("software", sa.String, nullable=False),
    sa.Column("first_sequence", sa.BigInteger, nullable=False),
)
"""Who opened the journal for writing, from which event on; the last one holds its lock."""

FORMATS = sa.Table(
    "journal_format",
    METADATA,
    sa.Column("format", sa.Integer, primary_key=True, autoincrement=False),
)
"""Every format that the tables had. Software older than the migrations looks here alone."""
