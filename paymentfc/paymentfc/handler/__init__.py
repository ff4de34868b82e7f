"""The edges: HTTP routes and Kafka messages, each with one use-case or repository function behind it."""
