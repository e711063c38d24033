"""Format 2: who wrote from which event on, and with which software."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From format 1; its software refuses the journal from now on."""
    op.create_table(
        "writers",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("wall_time", sa.String, nullable=False),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("process_id", sa.BigInteger, nullable=False),
        sa.Column("software", sa.String, nullable=False),
        sa.Column("first_sequence", sa.BigInteger, nullable=False),
    )
    formats = sa.table("journal_format", sa.column("format", sa.Integer))
    op.execute(formats.insert().values(format=2))
