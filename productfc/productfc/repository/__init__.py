"""Everything that productfc asks PostgreSQL and Redis."""
