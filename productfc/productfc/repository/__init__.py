"""All SQL and Redis of productfc, in functions named after the question they answer."""
