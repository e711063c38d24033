"""Run by Alembic: apply steps on the connection, and in the transaction, that it was handed."""

from alembic import context

from matlab_ros.lab.journal_tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
)
context.run_migrations()
