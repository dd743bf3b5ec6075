"""alembic runs this on the connection from database.py; it is never started from a command line."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    transactional_ddl=True,  # the connection is inside a transaction already, in SQLite too
)
context.run_migrations()
