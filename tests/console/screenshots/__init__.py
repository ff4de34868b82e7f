"""`make screenshots`: the pictures of docs/console, of a seeded story on a stack of its own."""
