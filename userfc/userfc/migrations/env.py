"""Alembic's entry: the chassis runs it on the service's own database."""

from chassis.migrations import run_env
from userfc.repository.tables import metadata

run_env(metadata)
