"""All SQL and Redis of userfc, in functions named after the question they answer."""
