"""All SQL and MongoDB statements; the functions are named after the question they answer."""
