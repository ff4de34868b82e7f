"""All SQL and MongoDB statements, named after the question they answer."""
