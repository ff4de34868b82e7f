"""Alembic's entry: the chassis runs it on the service's own database."""

from chassis.db.migrations import run_env
from userfc.repository.tables import metadata

run_env(metadata)
