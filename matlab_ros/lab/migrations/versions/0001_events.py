"""Format 1: events, the raw files they speak of, and the format's number."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From an empty database."""
    op.create_table(
        "events",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("campaign", sa.String, nullable=False),
        sa.Column("ros_time_ns", sa.BigInteger, nullable=False),
        sa.Column("wall_time", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("ix_events_campaign", "events", ["campaign"])
    op.create_index("ix_events_kind", "events", ["kind"])
    op.create_table(
        "raw_files",
        sa.Column("sha256", sa.String, primary_key=True),
        sa.Column("uri", sa.String, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.String, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
    )
    formats = op.create_table(
        "journal_format",
        sa.Column("format", sa.Integer, primary_key=True, autoincrement=False),
    )
    op.bulk_insert(formats, [{"format": 1}])
